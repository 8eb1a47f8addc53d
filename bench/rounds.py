"""Time commands in turns, so that whatever else the machine does falls on all of them alike."""

from __future__ import annotations

import contextlib
import os
import shutil
import statistics
import time
from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

LONGEST = 10.0  # seconds that the rounds of one tool shall take
MOST, LEAST = 15, 3


class Sample(NamedTuple):
    """What one run took."""

    wall: float  # milliseconds
    cpu: float  # milliseconds, of the process and all its children


class ToolError(Exception):
    """A tool did not end well."""


def run(command: list[str], codes: tuple[int, ...] = (0,)) -> Sample:
    """Run a command; raise ToolError with its words if it does not exit with one of the codes."""
    log = os.open("/tmp/bench.log", os.O_RDWR | os.O_CREAT | os.O_TRUNC, 0o600)
    actions = [(os.POSIX_SPAWN_DUP2, log, 1), (os.POSIX_SPAWN_DUP2, log, 2)]
    begin = time.perf_counter()
    pid = os.posix_spawnp(command[0], command, os.environ, file_actions=actions)
    _, status, usage = os.wait4(pid, 0)
    wall = (time.perf_counter() - begin) * 1000
    words = os.pread(log, 100_000, 0).decode(errors="replace")
    os.close(log)
    if os.waitstatus_to_exitcode(status) not in codes:
        raise ToolError(f"{' '.join(command[:4])}…: {words[-600:]}")
    cpu = (usage.ru_utime + usage.ru_stime) * 1000
    return Sample(wall, cpu)


def summary(samples: list[Sample]) -> dict[str, float]:
    """Return the medians, and the median absolute deviation of the wall-clock time."""
    middle = statistics.median(sample.wall for sample in samples)
    return {
        "ms": middle,
        "spread": statistics.median(abs(sample.wall - middle) for sample in samples),
        "cpu": statistics.median(sample.cpu for sample in samples),
        "runs": len(samples),
    }


class Runner(NamedTuple):
    """A command, and what is done before each run of it."""

    command: list[str]
    before: Callable[[], Any] = lambda: None


def turns(runners: dict[str, Runner], most: int = MOST) -> dict[str, dict[str, float]]:
    """Run each once to warm the caches, then in turns: fewer of what is slow. Return the summaries."""
    rounds, found = {}, {}
    for name, one in runners.items():
        one.before()
        first = run(one.command)
        rounds[name] = max(LEAST, min(most, int(LONGEST * 1000 / first.wall)))
        found[name] = [first] if first.wall > LONGEST * 1000 else []
        if found[name]:
            rounds[name] = 0  # what takes that long is not run again
    for number in range(max(rounds.values())):
        for name, one in runners.items():
            if number < rounds[name]:
                one.before()
                found[name].append(run(one.command))
    return {name: summary(samples) for name, samples in found.items()}


@contextlib.contextmanager
def scratch(path: str) -> Iterator[str]:
    """A new folder that only its owner may change, removed at the end."""
    shutil.rmtree(path, ignore_errors=True)
    os.makedirs(path, 0o755)
    try:
        yield path
    finally:
        shutil.rmtree(path)
