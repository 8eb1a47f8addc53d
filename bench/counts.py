#!/usr/bin/env python3
"""What a run costs that finds nothing to do, by counts that no clock and no other load moves.

    bench/counts.py [--write tests/cost/counts.json]

For 100 and 1,000 files, `full` (every file is read) and `known` (what looks as it did is not): the
system calls (strace) above those of the bare interpreter, and the instructions (valgrind's
cachegrind) as a multiple of its. tests/cost holds runs to the numbers in the repository.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import subprocess
import sys
import tempfile
import time

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))

from noop import make

SIZES = (100, 1000)
BARE = ["-c", "pass"]


def calls(argv: list[str]) -> int:
    """Return how many system calls a command makes."""
    with tempfile.NamedTemporaryFile("r") as file:
        subprocess.run(["strace", "-f", "-qq", "-c", "-o", file.name, *argv], check=True)
        total = file.read().splitlines()[-1].split()  # % time, seconds, us/call, calls, errors
    return int(total[3])


def instructions(argv: list[str]) -> int:
    """Return how many instructions a command takes."""
    head = ["valgrind", "--tool=cachegrind", "--cache-sim=no", "--cachegrind-out-file=/dev/null"]
    done = subprocess.run([*head, *argv], check=True, capture_output=True, text=True)
    found = re.search(r"I +refs: +([\d,]+)", done.stderr)
    assert found, done.stderr
    return int(found[1].replace(",", ""))


def counts(python: str) -> dict[str, dict[str, float]]:
    """Return the counts of `python -I` with this checkout's converge, by what and of how much."""
    import converge

    program = os.path.join(os.path.dirname(converge.__file__), "__main__.py")
    start = [python, "-I"]
    none, bare = calls([*start, *BARE]), instructions([*start, *BARE])
    found: dict[str, dict[str, float]] = {"calls": {}, "instructions": {}}
    for size in SIZES:
        with tempfile.TemporaryDirectory(prefix="converge-bench-") as folder:
            os.chmod(folder, 0o755)  # noqa: S103  the agent refuses what others could change
            make(folder, size)
            command = [
                *start, program, "--once", "--quiet", "--profile", f"{folder}/profile.yaml",
                "--state-dir", f"{folder}/state", "--runtime-dir", f"{folder}/run",
            ]  # fmt: skip
            subprocess.run(command, check=True)
            time.sleep(2.1)  # what was changed just now is read again, whatever it looks like
            subprocess.run(command, check=True)
            for name, argv in {"known": command, "full": [*command, "--full"]}.items():
                found["calls"][f"{name} {size}"] = calls(argv) - none
                found["instructions"][f"{name} {size}"] = round(instructions(argv) / bare, 3)
    return found


def main() -> None:
    """Count, and print or keep it."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--python", default=sys.executable)
    parser.add_argument("--write", metavar="FILE")
    options = parser.parse_args()
    text = json.dumps(counts(options.python), indent=2) + "\n"
    if options.write:
        with open(options.write, "w", encoding="utf-8") as file:
            file.write(text)
    print(text, end="")


if __name__ == "__main__":
    main()
