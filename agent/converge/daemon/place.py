"""The agent's own place: a private directory, and the lock in it that makes the agent the only one.

Whoever clears /run takes both away. They are put back, as nobody could ask the agent any more.
"""

from __future__ import annotations

import errno
import fcntl
import os
import stat

LOCK = "agent.lock"


class AlreadyError(Exception):
    """Another agent is resident here."""


class Place:
    """`folder` is empty where nothing can be written."""

    def __init__(self, folder: str) -> None:
        """Raises AlreadyError, OSError."""
        self.folder = folder
        self._lock = -1
        if folder:
            self._take()

    def is_lost(self) -> bool:
        """Tell whether the lock lies there no more."""
        if self._lock < 0:
            return bool(self.folder)
        try:
            found = os.lstat(os.path.join(self.folder, LOCK))
        except OSError:
            return True
        return not os.path.samestat(os.fstat(self._lock), found)

    def put_back(self) -> None:
        """Make the directory again, if need be, and lock it. Raises AlreadyError, OSError."""
        try:
            os.mkdir(self.folder, 0o700)
        except FileExistsError:
            found = os.lstat(self.folder)
            if (found.st_uid, found.st_mode) != (os.geteuid(), stat.S_IFDIR | 0o700):
                text = "it is not ours alone"
                raise PermissionError(errno.EPERM, text, self.folder) from None
        self._take()

    def _take(self) -> None:
        if self._lock >= 0:
            os.close(self._lock)  # or it would keep us out, where it is the same file after all
            self._lock = -1
        path = os.path.join(self.folder, LOCK)
        fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(fd)
            raise AlreadyError(path) from None
        self._lock = fd
