#!/usr/bin/env python3
"""What `converge --once` costs when nothing differs, beside the floors, in one run.

    bench/noop.py [--files 1,100,1000,10000] [--runs 15]

References: the bare interpreter (`python3 -I -c pass`), and a minimal loop that loads a JSON list
of (path, content, mode), stats and reads each file, and compares: what no agent in Python can beat.
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


def timed(argv: list[str], runs: int) -> tuple[float, float]:
    """Return (median, median absolute deviation) of a command's time, in milliseconds."""
    times = []
    for _ in range(runs + 1):
        begin = time.perf_counter()
        subprocess.run(argv, check=True, stdout=subprocess.DEVNULL)
        times.append((time.perf_counter() - begin) * 1000)
    times = times[1:]  # the first warms the caches
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
    folder = tempfile.mkdtemp(prefix="converge-bench-")
    try:
        make(folder, count)
        converge = [
            sys.executable, "-I", "-m", "converge", "--once", "--quiet",
            "--profile", f"{folder}/profile.yaml",
            "--state-dir", f"{folder}/state", "--runtime-dir", f"{folder}/run",
        ]  # fmt: skip
        subprocess.run(converge, check=True)
        bare, _ = timed([sys.executable, "-I", "-c", "pass"], runs)
        loop, spread = timed(
            [sys.executable, "-I", f"{folder}/loop.py", f"{folder}/plain.json"], runs
        )
        ours, our_spread = timed(converge, runs)
    finally:
        shutil.rmtree(folder)
    print(
        f"{count:>7} {bare:>9.1f} {loop:>9.1f} ±{spread:<5.1f} {ours:>9.1f} ±{our_spread:<6.1f}"
        f" {ours / bare:>8.1f}x {ours / loop:>8.1f}x",
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
        f"{'files':>7} {'bare':>9} {'loop':>9} {'':6} {'converge':>9} {'':7} {'/bare':>9} {'/loop':>9}"
    )
    for count in map(int, options.files.split(",")):
        measure(count, options.runs if count < 10000 else max(3, options.runs // 3))


if __name__ == "__main__":
    main()
