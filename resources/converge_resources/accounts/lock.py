"""The lock of the account files, as lckpwdf(3) takes it, and the lock files of shadow-utils.

shadow-utils take both: the record lock on /etc/.pwd.lock and then /etc/passwd.lock and its like,
which hold a process id. A kill leaves the latter behind, and the tools then fail until they go.
"""

from __future__ import annotations

import fcntl
import os
import time
from contextlib import contextmanager

from converge.errors import ApplyError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

    from converge.system import System

PATIENCE = 15.0  # seconds, as lckpwdf(3) and shadow-utils wait
STALE = 300.0  # seconds after which the lock file of a process that has gone is taken over
_FLAGS = os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC
_LOCK_FILES = ("/etc/passwd.lock", "/etc/group.lock", "/etc/shadow.lock", "/etc/gshadow.lock")


@contextmanager
def locked(system: System, patience: float = PATIENCE) -> Iterator[None]:
    """Hold the passwd lock. Raises ApplyError if another process keeps it for `patience` seconds."""
    folder_fd, name = system.paths.parent("/etc/.pwd.lock")
    fd = os.open(name, _FLAGS, 0o600, dir_fd=folder_fd)
    deadline = time.monotonic() + patience
    try:
        while not _taken(fd):
            _wait(deadline, "another program keeps the lock /etc/.pwd.lock")
        while held := clear_stale(system):
            _wait(deadline, f"another program keeps the lock {held}")
        yield
    finally:
        os.close(fd)


def clear_stale(system: System) -> str | None:
    """Remove lock files that are old and whose process has gone; return one that is in force."""
    for path in _LOCK_FILES:
        found = system.lstat(path)
        if found is None:
            continue
        if time.time() - found.st_mtime < STALE or _alive(system.text(path, follow=False)):
            return path
        system.remove(path, backup=False)
    return None


def _taken(fd: int) -> bool:
    try:
        fcntl.lockf(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except (BlockingIOError, PermissionError):
        return False
    return True


def _wait(deadline: float, what: str) -> None:
    if time.monotonic() >= deadline:
        raise ApplyError(what, "the next run tries again")
    time.sleep(0.1)


def _alive(text: str) -> bool:
    pid = text.strip("\0 \n")
    return pid.isascii() and pid.isdigit() and os.path.exists(f"/proc/{int(pid)}")
