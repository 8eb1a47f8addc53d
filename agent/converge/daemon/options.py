"""What the supervisor is told: a few lines `name=value`, an empty line, and the worker's settings.

The worker's settings are JSON that the supervisor hands on unread; they may hold secrets, so they
travel by memory file, never in argv or the environment.
"""

from __future__ import annotations

import os

_TEXTS = ("runtime", "state", "events", "log_format", "log_to", "listen", "program")
_NUMBERS = ("interval", "splay", "deadline", "poll", "ready", "beside", "run_now", "watch")
_MOST = 1e10  # seconds


class Options:
    """`splay` is the share of the interval (0 to 1) that this container's slot lies at; -1: none."""

    runtime = ""  # directory of the control socket and the lock; empty: there is none
    state = ""
    events = "on"
    log_format = "logfmt"
    log_to = "stderr"
    listen = ""  # metrics endpoint: HOST:PORT or unix:PATH
    program = ""  # the Python to start workers with
    interval = 1800.0
    splay = -1.0
    deadline = 3600.0
    poll = 10.0  # seconds between two looks at what cannot be watched
    ready = -1.0  # descriptor that gets the exit code of the first run
    beside = 0.0  # process with which the agent ends; 0: none
    run_now = 1.0
    watch = 0.0  # 1: the profile's source can be watched
    blob = b""  # all of it, for the workers

    def __init__(self, blob: bytes) -> None:
        """Raises ValueError for what `dump` did not make."""
        self.blob = blob
        head, gap, _ = blob.partition(b"\n\n")
        if not gap:
            raise ValueError("incomplete options")
        for line in head.decode().split("\n"):
            name, _, value = line.partition("=")
            if name in _TEXTS:
                setattr(self, name, value)
            elif name in _NUMBERS:
                setattr(self, name, float(value))
        times = (self.interval, self.deadline, self.poll)
        if not (all(0 < seconds < _MOST for seconds in times) and self.splay < 1 and self.program):
            raise ValueError("options that make no sense")


def dump(options: dict[str, object], settings: bytes) -> bytes:
    """Return the blob. Raises ValueError for a value with a line break."""
    lines = [f"{name}={value}" for name, value in options.items()]
    if any("\n" in line for line in lines):
        raise ValueError("a setting has a line break")
    return "\n".join(lines).encode() + b"\n\n" + settings


def memory_file(data: bytes) -> int:
    """Return a descriptor from which `data` is read, on no disk; a child inherits it if dup'd."""
    fd = os.memfd_create("converge", os.MFD_CLOEXEC)
    view = memoryview(data)
    while view:
        view = view[os.write(fd, view) :]
    os.lseek(fd, 0, os.SEEK_SET)
    return fd
