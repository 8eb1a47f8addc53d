#!/usr/bin/env python3
"""Every figure of docs/performance.md, on one machine in one go, beside the peers.

    bench/run.py [--files 1,100,1000,10000] [--runs 15] [--json FILE] [--plot docs/performance.svg]
    bench/run.py --show FILE                 print again what an earlier run has kept

Builds an image of the agent and the peers (bench/peers/), so that this machine stays as it is. In a
container of it every tool is timed in turns with all others (bench/rounds.py), on a volume of
the disk: the wall-clock and the CPU time of the process with its children, medians with the median
absolute deviation. Then, from outside: what the entrypoint adds to `podman run`, the resident agent
(bench/resident.py), and sizes (bench/size.py). Needs podman or docker, and the network once.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import shutil
import statistics
import subprocess
import sys
import time
import uuid
from typing import Any

import size
import tables

HERE = os.path.dirname(os.path.abspath(__file__))
BAKE = "FROM {image}\nRUN converge bake\n"


def call(*argv: str, text: str | None = None) -> str:
    """Run a program, its stderr on ours, and return its stdout; raise where it fails."""
    done = subprocess.run(argv, input=text, stdout=subprocess.PIPE, text=True, check=True)
    return done.stdout.strip()


def build(engine: str, *arguments: str, text: str | None = None) -> str:
    """Build an image and return its id."""
    form = ("--format", "docker") if os.path.basename(engine) == "podman" else ()
    return call(engine, "build", "--quiet", *form, *arguments, text=text).splitlines()[-1]


def inside(engine: str, image: str, counts: str, runs: int) -> dict[str, Any]:
    """Return what bench/measure.py finds in a container."""
    name = f"converge-bench-{uuid.uuid4().hex[:8]}"
    volumes = (f"--volume={HERE}:/repository/bench:ro", f"--volume={name}:/bench")
    measure = ("python3", "-B", "/repository/bench/measure.py", counts, str(runs))
    try:
        run = (engine, "run", "--rm", "--name", name, "--init", "--network=none", *volumes)
        found: dict[str, Any] = json.loads(call(*run, image, *measure))
    finally:
        with contextlib.suppress(subprocess.CalledProcessError):
            call(engine, "volume", "rm", "--force", name)
    return found


def starts(engine: str, images: dict[str, tuple[str, ...]], runs: int) -> dict[str, Any]:
    """Return the milliseconds of `run --rm … true`, in turns, by name of the image and its options."""
    times: dict[str, list[float]] = {name: [] for name in images}
    for number in range(runs + 1):
        for name, arguments in images.items():
            begin = time.perf_counter()
            subprocess.run(
                [engine, "run", "--rm", "--network=none", *arguments], check=True,
                stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
            )  # fmt: skip
            if number:  # the first warms the caches
                times[name].append((time.perf_counter() - begin) * 1000)
    return {name: summary(values) for name, values in times.items()}


def summary(values: list[float]) -> dict[str, float]:
    """Return the median, and the median absolute deviation."""
    middle = statistics.median(values)
    return {"ms": middle, "spread": statistics.median(abs(value - middle) for value in values)}


def entrypoint(engine: str, image: str, runs: int) -> dict[str, Any]:
    """Return the times of starts without the agent, with it, and with what `converge bake` leaves."""
    baked = build(engine, "-", text=BAKE.format(image=image))
    tini = ("--entrypoint=/usr/bin/tini", image, "--", "true")
    images = {"tini alone": tini, "converge": (image, "true"), "converge, baked": (baked, "true")}
    return starts(engine, images, runs)


def measured(engine: str, options: argparse.Namespace) -> dict[str, Any]:
    """Return all figures."""
    repository = os.path.dirname(HERE)
    image = build(engine, "-f", f"{repository}/Dockerfile.base", repository)
    whole = build(engine, "--build-arg", f"AGENT={image}", os.path.join(HERE, "peers"))
    found = inside(engine, whole, options.files, options.runs)
    found["date"] = time.strftime("%Y-%m-%d")
    found["parts"] = size.added(engine, image, "debian:bookworm-slim")
    found["start"] = entrypoint(engine, image, options.runs)
    script = os.path.join(HERE, "resident.py")
    resident = (sys.executable, script, "--image", image, "--seconds=60", "--tries=20")
    found["resident"] = call(*resident).splitlines()[1:]  # without the image
    return found


def main() -> None:
    """Measure, keep and print."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    add = parser.add_argument
    add("--files", default="1,100,1000,10000")
    add("--runs", type=int, default=15)
    add("--json", metavar="FILE", help="keep the figures here")
    add("--plot", metavar="FILE", help="draw cost against N (needs requirements-bench.txt)")
    add("--show", metavar="FILE", help="measure nothing: the figures are here")
    options = parser.parse_args()
    if options.show:
        with open(options.show, encoding="utf-8") as file:
            found = json.load(file)
    else:
        engine = (
            shutil.which("podman") or shutil.which("docker") or sys.exit("needs podman or docker")
        )
        found = measured(str(engine), options)
    if options.json:
        with open(options.json, "w", encoding="utf-8") as file:
            json.dump(found, file, indent=1)
    print(tables.markdown(found))
    if options.plot:
        import plot

        plot.draw(found["files"], options.plot)


if __name__ == "__main__":
    main()
