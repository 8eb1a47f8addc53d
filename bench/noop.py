#!/usr/bin/env python3
"""What `converge --once` costs when nothing differs, beside the floors, in one run.

    bench/noop.py [--files 1,100,1000,10000] [--runs 15]

References: the bare interpreter (`python3 -I -c pass`), and a minimal loop that loads a JSON list
of (path, content, mode), stats and reads each file, and compares: what no agent in Python can beat.
The first run of ours reads nothing that looks as it did, the second (`--full`) reads all of it.
Every figure is a median of the wall-clock time with the median absolute deviation; the ratios are
of medians of the same run. State is kept in a scratch directory, nothing else is touched.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time

LOOP = """
import json, os, sys
for path, content, mode in json.load(open(sys.argv[1])):
    found = os.lstat(path)
    wanted = content.encode()
    if found.st_size != len(wanted) or found.st_mode & 0o7777 != mode:
        sys.exit(2)
    fd = os.open(path, os.O_RDONLY)
    if os.read(fd, len(wanted) + 1) != wanted:
        sys.exit(2)
    os.close(fd)
"""


def timed(commands: list[list[str]], runs: int) -> list[tuple[float, float]]:
    """Return (median, median absolute deviation) of each command's time, in milliseconds.

    They take turns, so that whatever else the machine does meets all of them.
    """
    times: list[list[float]] = [[] for _ in commands]
    for _ in range(runs + 1):
        for argv, found in zip(commands, times, strict=True):
            begin = time.perf_counter()
            subprocess.run(argv, check=True, stdout=subprocess.DEVNULL)
            found.append((time.perf_counter() - begin) * 1000)
    return [spread(found[1:]) for found in times]  # the first warms the caches


def spread(times: list[float]) -> tuple[float, float]:
    """Return the median, and the median distance from it."""
    middle = statistics.median(times)
    return middle, statistics.median(abs(t - middle) for t in times)


def make(folder: str, count: int) -> None:
    """Write a profile of `count` files in folders of 100, and the list for the minimal loop."""
    resources, plain = [], []
    for i in range(count):
        path = f"{folder}/tree/{i // 100:03d}/{i:05d}.conf"
        content = f"# file {i}\n" + "key = value\n" * 20
        resources.append({"file": path, "content": content, "mode": "0644"})
        plain.append([path, content, 0o644])
        os.makedirs(os.path.dirname(path), exist_ok=True)
    parts = [resources[i : i + 1000] for i in range(0, count, 1000)]  # a file has at most 1 MiB
    names = [f"part{i}.yaml" for i in range(len(parts))]
    for name, part in zip(names, parts, strict=True):
        with open(f"{folder}/{name}", "w", encoding="utf-8") as file:
            json.dump({"resources": part}, file)  # JSON is YAML
    with open(f"{folder}/profile.yaml", "w", encoding="utf-8") as file:
        json.dump({"profile": "bench", "include": names}, file)
    with open(f"{folder}/plain.json", "w", encoding="utf-8") as file:
        json.dump(plain, file)
    with open(f"{folder}/loop.py", "w", encoding="utf-8") as file:
        file.write(LOOP)


def measure(count: int, runs: int) -> None:
    """Print one row of the table."""
    import converge as package

    folder = tempfile.mkdtemp(prefix="converge-bench-")
    try:
        make(folder, count)
        program = os.path.join(os.path.dirname(package.__file__), "__main__.py")
        converge = [
            sys.executable, "-I", program, "--once", "--quiet",
            "--profile", f"{folder}/profile.yaml",
            "--state-dir", f"{folder}/state", "--runtime-dir", f"{folder}/run",
        ]  # fmt: skip
        subprocess.run(converge, check=True)
        time.sleep(2.1)  # what was changed just now is read again, whatever it looks like
        subprocess.run(converge, check=True)
        bare_argv = [sys.executable, "-I", "-c", "pass"]
        loop_argv = [sys.executable, "-I", f"{folder}/loop.py", f"{folder}/plain.json"]
        found = timed([bare_argv, loop_argv, converge, [*converge, "--full"]], runs)
        (bare, _), (loop, loop_mad), (ours, ours_mad), (full, full_mad) = found
    finally:
        shutil.rmtree(folder)
    print(
        f"{count:>7} {bare:>7.1f} {loop:>7.1f} ±{loop_mad:<5.1f} {ours:>8.1f} ±{ours_mad:<5.1f}"
        f" {ours / bare:>6.1f}x {ours / loop:>6.2f}x {full:>8.1f} ±{full_mad:<5.1f}"
        f" {full / loop:>6.2f}x",
        flush=True,
    )


def main() -> None:
    """Measure every number of files and print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--files", default="1,100,1000,10000")
    parser.add_argument("--runs", type=int, default=15)
    options = parser.parse_args()
    print(
        f"Python {sys.version.split()[0]}, {os.cpu_count()} cores, median of {options.runs} runs, ms"
    )
    print(
        f"{'files':>7} {'bare':>7} {'loop':>7} {'':6} {'converge':>8} {'':6} {'/bare':>7} {'/loop':>7}"
        f" {'--full':>8} {'':6} {'/loop':>7}"
    )
    for count in map(int, options.files.split(",")):
        measure(count, options.runs if count < 10000 else max(3, options.runs // 3))


if __name__ == "__main__":
    main()
