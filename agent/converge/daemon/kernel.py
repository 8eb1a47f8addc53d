"""What the kernel offers to wait for, and Python has no function for, from libc.

inotify(7), timerfd_create(2), signalfd(2), prctl(2). Called by what ctypes itself is made of: the rest
of ctypes takes 600 KiB, held for ever. See ADR 0005 on why no library.
"""

from __future__ import annotations

import _ctypes
import _signal  # type: ignore[import-not-found]  # signal.py costs a megabyte, held for ever
import os
import sys

IN_ATTRIB, IN_CLOSE_WRITE, IN_MOVED, IN_CREATE, IN_DELETE = 0x4, 0x8, 0xC0, 0x100, 0x200
IN_DELETE_SELF, IN_MOVE_SELF, IN_UNMOUNT, IN_Q_OVERFLOW, IN_IGNORED = (
    0x400, 0x800, 0x2000, 0x4000, 0x8000,
)  # fmt: skip
_IN_FLAGS = os.O_NONBLOCK | os.O_CLOEXEC  # IN_NONBLOCK, IN_CLOEXEC, and those of the other two
_WATCHED = (
    IN_ATTRIB | IN_CLOSE_WRITE | IN_MOVED | IN_CREATE | IN_DELETE | IN_DELETE_SELF | IN_MOVE_SELF
)
_MOST_EVENTS = 1 << 15  # twice what the kernel keeps (fs.inotify.max_queued_events)
_BOOTTIME, _ABSOLUTE = 7, 1
_SIGSET_BYTES = 128
_LONG_BYTES = 8 if sys.maxsize > 1 << 32 else 4
_PDEATHSIG, _DUMPABLE, _SUBREAPER = 1, 4, 36
_INFO_BYTES = 128  # of struct signalfd_siginfo

SIGHUP, SIGINT, SIGKILL, SIGUSR1, SIGTERM, SIGCHLD, SIGPWR = 1, 2, 9, 10, 15, 17, 30
if "mips" in os.uname().machine:
    SIGUSR1, SIGCHLD, SIGPWR = 16, 18, 19


class _Int(_ctypes._SimpleCData):  # type: ignore[type-arg]
    _type_ = "i"


class _Function(_ctypes.CFuncPtr):
    _flags_ = _ctypes.FUNCFLAG_CDECL | _ctypes.FUNCFLAG_USE_ERRNO
    _restype_ = _Int


_libc = _ctypes.dlopen(None, 0)  # type: ignore[arg-type]  # the program itself


def _call(name: str, *arguments: int | bytes | None) -> int:
    """Call a function of libc; raises OSError where there is none of this name."""
    result: int = _Function(_ctypes.dlsym(_libc, name))(*arguments)
    return result


def _long(value: int) -> bytes:
    return value.to_bytes(_LONG_BYTES, sys.byteorder)


def _checked(result: int, what: str) -> int:
    if result < 0:
        code = _ctypes.get_errno()
        raise OSError(code, os.strerror(code), what)
    return result


def inotify() -> int:
    """Return an inotify descriptor. Raises OSError (EMFILE: the user's 128 instances are taken)."""
    return _checked(_call("inotify_init1", _IN_FLAGS), "inotify")


def watch(fd: int, path: str) -> int:
    """Watch a directory's entries, or a file itself; return the watch. Raises OSError."""
    return _checked(_call("inotify_add_watch", fd, os.fsencode(path), _WATCHED), path)


def unwatch(fd: int, number: int) -> None:
    """Remove a watch; one that has gone is no error."""
    _call("inotify_rm_watch", fd, number)


def events(fd: int) -> list[tuple[int, int, str]]:
    """Return what has happened: (watch, mask, name of the entry or empty).

    Not all of it from somebody who writes faster than we read.
    """
    found: list[tuple[int, int, str]] = []
    while len(found) < _MOST_EVENTS:
        try:
            data = os.read(fd, 65536)
        except BlockingIOError:
            break
        at = 0
        while at < len(data):
            number = int.from_bytes(data[at : at + 4], sys.byteorder, signed=True)
            mask = int.from_bytes(data[at + 4 : at + 8], sys.byteorder)
            size = int.from_bytes(data[at + 12 : at + 16], sys.byteorder)
            name = data[at + 16 : at + 16 + size].rstrip(b"\0")
            found.append((number, mask, os.fsdecode(name)))
            at += 16 + size
    return found


def timer() -> int:
    """Return a descriptor that becomes readable at the time that `arm` sets. Raises OSError."""
    return _checked(_call("timerfd_create", _BOOTTIME, _IN_FLAGS), "timerfd")


def arm(fd: int, when: float) -> None:
    """Set a timer to a time of CLOCK_BOOTTIME (at least a nanosecond: 0 would disarm it)."""
    when = max(when, 1e-9)
    spec = b"".join(map(_long, (0, 0, int(when), int(when % 1 * 1e9))))  # struct itimerspec
    _checked(_call("timerfd_settime", fd, _ABSOLUTE, spec, None), "timerfd")


def signals(numbers: tuple[int, ...]) -> int:
    """Block these signals and return a descriptor that they come by. Raises OSError."""
    _signal.pthread_sigmask(_signal.SIG_BLOCK, numbers)
    mask = _long(sum(1 << (number - 1) for number in numbers)).ljust(_SIGSET_BYTES, b"\0")
    return _checked(_call("signalfd", -1, mask, _IN_FLAGS), "signalfd")


def signal_numbers(fd: int) -> list[int]:
    """Return the signals that have come."""
    try:
        data = os.read(fd, 64 * _INFO_BYTES)
    except BlockingIOError:
        return []
    starts = range(0, len(data), _INFO_BYTES)
    return [int.from_bytes(data[at : at + 4], sys.byteorder) for at in starts]


def default_action(number: int) -> None:
    """Undo what the process before us may have set: an ignored SIGCHLD would hide a worker's end."""
    _signal.signal(number, _signal.SIG_DFL)


def adopt_orphans() -> None:
    """Become the parent of what our children leave behind, so that it is reaped."""
    _call("prctl", _SUBREAPER, 1, 0, 0, 0)


def die_with_parent(number: int) -> None:
    """Get this signal when the process that started us ends."""
    _call("prctl", _PDEATHSIG, number, 0, 0, 0)


def hide_memory() -> None:
    """Let no process of our own user read our memory or environment, and leave no core."""
    _call("prctl", _DUMPABLE, 0, 0, 0, 0)


def forget_freed_memory() -> None:
    """Give freed memory back (malloc_trim(3)), where the C library has a way to."""
    try:
        _call("malloc_trim", 0)
    except OSError:
        return
