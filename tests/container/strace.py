"""Which system calls a program made, and which of them changed something (strace(1))."""

from __future__ import annotations

import os
import re
from typing import NamedTuple

# Names that an architecture lacks are skipped (strace's `?`). write(2) is left out: a file is
# changed through a descriptor that was opened for it, and the opening is what counts.
BY_PATH = (
    *("rename", "renameat", "renameat2", "unlink", "unlinkat", "rmdir", "mkdir", "mkdirat"),
    *("link", "linkat", "symlink", "symlinkat", "mknod", "mknodat", "creat", "truncate"),
    *("chmod", "fchmodat", "fchmodat2", "chown", "lchown", "fchownat", "utime", "utimes"),
    *("utimensat", "futimesat", "setxattr", "lsetxattr", "removexattr", "lremovexattr"),
    *("mount", "umount2", "pivot_root"),
)
BY_DESCRIPTOR = ("fchmod", "fchown", "ftruncate", "fallocate", "fsetxattr", "fremovexattr")
OPENING = ("open", "openat", "openat2")
MACHINE = ("sethostname", "setdomainname", "settimeofday", "clock_settime", "swapon", "reboot")
MUTATING = frozenset((*BY_PATH, *BY_DESCRIPTOR, *OPENING, *MACHINE))

_WRITING = re.compile(r"\bO_(WRONLY|RDWR|CREAT|TRUNC|TMPFILE|APPEND)\b")
_LINE = re.compile(r"(?P<pid>\d+) +(?P<name>\w+)\((?P<arguments>.*)\) += (?P<result>-?\w+)")
_UNFINISHED = re.compile(r"(?P<pid>\d+) +(?P<start>\w+\(.*) <unfinished \.\.\.>$")
_RESUMED = re.compile(r"(?P<pid>\d+) +<\.\.\. \w+ resumed>(?P<end>.*)$")
_PATH = re.compile(r'(?:(?:AT_FDCWD|-?\d+)<(?P<folder>[^>]*)>, )?"(?P<path>(?:[^"\\]|\\.)*)"')
_DESCRIPTOR = re.compile(r"\d+<(?P<path>[^>]*)>")


class Call(NamedTuple):
    """One system call: name, arguments as strace shows them, result."""

    name: str
    arguments: str
    result: str

    @property
    def changes(self) -> bool:
        """Whether it changed something, or opened something to change it."""
        if self.result.startswith("-"):
            return False
        if self.name in OPENING:
            return bool(_WRITING.search(self.arguments))
        return self.name in MUTATING

    @property
    def paths(self) -> list[str]:
        """Every path that it names, absolute."""
        if self.name in BY_DESCRIPTOR:
            return [found["path"] for found in _DESCRIPTOR.finditer(self.arguments)][:1]
        names = _PATH.finditer(self.arguments)
        return [os.path.normpath(os.path.join(f["folder"] or "/", f["path"])) for f in names]


def command(log: str) -> list[str]:
    """Return the start of an argv that runs the rest under strace, children included."""
    calls = ",".join(f"?{name}" for name in sorted(MUTATING))
    return ["strace", "-f", "-qq", "-y", "-s", "4096", "-o", log, "-e", f"trace={calls}"]


def parse(text: str) -> list[Call]:
    """Return the calls of a log; those that another process interrupted are put together."""
    calls, started = [], {}
    for line in text.splitlines():
        if unfinished := _UNFINISHED.match(line):
            started[unfinished["pid"]] = unfinished["start"]
            continue
        if resumed := _RESUMED.match(line):
            start = started.pop(resumed["pid"])
            line = f"{resumed['pid']} {start}{resumed['end']}"
        if found := _LINE.match(line):
            calls.append(Call(found["name"], found["arguments"], found["result"]))
    return calls


def mutations(calls: list[Call], outside: tuple[str, ...] = ()) -> list[Call]:
    """Return the calls that changed something, but for those all below the directories `outside`.

    What is written to /dev/null and to the terminal changes nothing.
    """
    free = (*outside, "/dev/null", "/dev/tty", "/dev/pts")
    return [
        call
        for call in calls
        if call.changes and not (call.paths and all(_below(path, free) for path in call.paths))
    ]


def _below(path: str, folders: tuple[str, ...]) -> bool:
    return any(path == folder or path.startswith(folder + "/") for folder in folders)
