"""One run at a time: flock(2) on a file in a private directory.

The kernel frees the lock when its holder ends, however it ends, so there are no stale locks and no
process ids to believe (they start again at 1 in every container). The file is never removed: a
second run could lock the old one. It lies in a 0700 directory, as anyone who can open a file can
lock it. flock works between containers that share the directory on one host, not over every NFS.
"""

from __future__ import annotations

import errno
import fcntl
import os
import time

from converge.errors import LockedError, UsageError
from converge.state import private

_OPEN = os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
_PAUSE = 0.05  # seconds between two tries
_HELD = (errno.EWOULDBLOCK, errno.EACCES)


def runtime_directory(explicit: str | None, root: str = "/") -> str | None:
    """Return the directory of the lock and the control socket, made if need be.

    `explicit` (CONVERGE_RUNTIME_DIR) is used as it is, or UsageError is raised. Else it is the
    first that can be written of ROOT/run/converge (or converge-UID in it) and, when the root is the
    machine's own, /run/converge-UID, /tmp/converge-UID and /dev/shm/converge-UID. None: there is
    none, and the lock belongs in the state directory.
    """
    candidates = private.places(root, "run", "converge")
    return private.choose(explicit, candidates, "CONVERGE_RUNTIME_DIR", create=True)


def hold(folder: str, wait: float = 0.0) -> _Hold:
    """Hold the lock of a private directory, waiting for it up to `wait` seconds.

    The directory is made if need be. Raises LockedError if another run keeps the lock, UsageError
    if the directory is not ours alone or cannot be locked. A program that is started meanwhile does
    not inherit the lock. To be used in a `with`.
    """
    return _Hold(folder, wait)


class _Hold:
    def __init__(self, folder: str, wait: float) -> None:
        self._folder = folder
        self._wait = wait
        self._fd = -1

    def __enter__(self) -> None:
        private.make(self._folder, "the lock")
        try:
            self._fd = os.open(os.path.join(self._folder, "lock"), _OPEN, 0o600)
        except OSError as error:
            raise UsageError(f"{self._folder}/lock cannot be opened: {error.strerror}") from error
        try:
            _take(self._fd, self._folder, time.monotonic() + self._wait)
        except BaseException:
            os.close(self._fd)
            raise
        _sign(self._fd)

    def __exit__(self, *_: object) -> None:
        try:
            fcntl.flock(self._fd, fcntl.LOCK_UN)  # a child between fork and exec has a copy still
        finally:
            os.close(self._fd)


def _take(fd: int, folder: str, deadline: float) -> None:
    while True:
        try:
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            if error.errno not in _HELD:
                raise UsageError(f"{folder}/lock cannot be locked: {error.strerror}") from error
        else:
            return
        left = deadline - time.monotonic()
        if left <= 0:
            raise LockedError(f"another run holds {folder}/lock{_holder(fd)}", "--wait SECONDS")
        time.sleep(min(_PAUSE, left))


def _sign(fd: int) -> None:
    """Leave a note for people: who, since when by the clock that all containers of a host share."""
    note = b"%d %d\n" % (os.getpid(), time.clock_gettime(time.CLOCK_BOOTTIME))
    try:
        os.ftruncate(fd, 0)
        os.pwrite(fd, note, 0)
    except OSError:
        return  # the lock holds without it, on a full disk too


def _holder(fd: int) -> str:
    try:
        pid, since = map(int, os.pread(fd, 64, 0).split())
    except (OSError, ValueError):
        return ""
    seconds = int(time.clock_gettime(time.CLOCK_BOOTTIME)) - since
    return f": process {pid}, for {seconds} s" if seconds >= 0 else f": process {pid}"
