"""Running a driver under strace, and killing it before a chosen system call (strace(1), inject)."""

from __future__ import annotations

import re
import subprocess
import sys
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

FOLDER = Path(__file__).parent
# The real interpreter, as the calls of a shim would be counted too.
PYTHON = (sys.executable, "-I", "-B")
MARK = "chdir"  # the driver's first call of its own
MUTATING = (
    *(
        "openat",
        "write",
        "pwrite64",
        "ftruncate",
        "fsync",
        "fdatasync",
        "fchown",
        "chown",
        "lchown",
    ),
    *("fchownat", "fchmod", "chmod", "fchmodat", "fsetxattr", "setxattr", "fremovexattr"),
    *("rename", "renameat", "renameat2", "unlink", "unlinkat", "rmdir", "link", "linkat"),
    *("mkdir", "mkdirat", "symlink", "symlinkat"),
)
_LINE = re.compile(r"(?:\d+ +)?(\w+)\((.*)")
KILLED = (-9, 128 + 9)  # strace ends as what it traces ended


class Point(NamedTuple):
    """Before which call to die: the N-th of that name in the process."""

    call: str
    nth: int
    arguments: str = ""


def command(*arguments: str, driver: str = "driver_write.py") -> list[str]:
    """Return the argv of a driver."""
    return [*PYTHON, str(FOLDER / driver), *arguments]


def mounted(argv: Sequence[str], source: Path, target: Path) -> list[str]:
    """Return an argv that runs another with one file mounted on another, in a namespace of its own."""
    script = 'mount --bind "$1" "$2" && shift 2 && exec "$@"'
    head = ["unshare", "-m", "--propagation", "private", "sh", "-c", script, "sh"]
    return [*head, str(source), str(target), *argv]


def tracer(log: Path, *options: str) -> list[str]:
    """Return the start of an argv that traces the mutating calls of the rest."""
    calls = ",".join(f"?{name}" for name in (MARK, *MUTATING))
    argv = ["strace", "-f", "-qq", "--seccomp-bpf", "-s", "80", "-o", str(log)]
    return [*argv, "-e", f"trace={calls}", "-e", "signal=none", *options]


def killer(point: Point) -> list[str]:
    """Return the start of an argv that kills the rest before one call."""
    what = f"{point.call}:signal=KILL:when={point.nth}"
    argv = ["strace", "-f", "-qq", "-o", "/dev/null"]
    return [*argv, "-e", f"trace={point.call}", "-e", f"inject={what}"]


def failing(point: Point, error: str, *options: str) -> list[str]:
    """Return the start of an argv that makes one call of the rest fail."""
    what = f"{point.call}:error={error}:when={point.nth}"
    argv = ["strace", "-f", "-qq", "-o", "/dev/null", *options]
    return [*argv, "-e", f"trace={point.call}", "-e", f"inject={what}"]


def points(log: str) -> list[Point]:
    """Return every kill point of a traced run, in order: the calls that change something."""
    counts: Counter[str] = Counter()
    found = []
    begun = False
    for line in log.splitlines():
        match = _LINE.match(line)
        if match is None:
            continue
        name, arguments = match.groups()
        counts[name] += 1
        begun = begun or name == MARK
        if begun and name != MARK and (name != "openat" or "O_CREAT" in arguments):
            found.append(Point(name, counts[name], arguments))
    return found


def run(argv: Sequence[str]) -> subprocess.CompletedProcess[str]:
    """Run to the end."""
    return subprocess.run(argv, capture_output=True, text=True, timeout=60)
