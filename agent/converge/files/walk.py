"""Resolving a path that has symbolic links on the way, step by step, on descriptors.

A symbolic link is followed only where root (or the agent's own user) owns it and every directory
from the root down to it, and nobody else could have put it there.
"""

from __future__ import annotations

import errno
import os
import stat

_PIN = os.O_PATH | os.O_NOFOLLOW | os.O_CLOEXEC
_MOST_LINKS = 40  # as the kernel's MAXSYMLINKS
_OTHERS_MAY_WRITE = 0o022


class UnsafePathError(OSError):
    """A step of the path could be moved by another user."""


class Walk:
    """One resolution: a stack of (descriptor, name, trusted), with the root at the bottom."""

    def __init__(self, root_fd: int) -> None:
        self._stack = [(os.dup(root_fd), "", _is_ours(os.fstat(root_fd)))]
        self._links = 0

    @property
    def path(self) -> str:
        """Where the walk has come to."""
        return "/".join(name for _, name, _ in self._stack) or "/"

    def close(self) -> None:
        """Close every descriptor that was not given away."""
        while self._stack:
            os.close(self._stack.pop()[0])

    def directory(self) -> int:
        """Give away the descriptor (O_PATH) of where the walk has come to. Raises OSError."""
        self._need_directory()
        return self._stack.pop()[0]

    def go(self, parts: list[str]) -> None:
        """Take steps, through trusted links. Raises OSError, UnsafePathError."""
        todo = parts[::-1]
        while todo:
            part = todo.pop()
            if part == "..":
                self._need_directory()
                self._up(len(self._stack) - 1)
            else:
                todo += self._enter(part)[::-1]

    def _enter(self, part: str) -> list[str]:
        """Step onto `part`; if it is a link stay here and return the steps that it stands for."""
        folder_fd, _, trusted = self._stack[-1]
        fd = os.open(part, _PIN, dir_fd=folder_fd)
        found = os.fstat(fd)
        if not stat.S_ISLNK(found.st_mode):
            self._stack.append((fd, part, trusted and _is_ours(found)))
            return []
        try:
            target = self._target(fd, found, part)
        finally:
            os.close(fd)
        if target.startswith("/"):
            self._up(1)
        return [step for step in target.split("/") if step not in ("", ".")]

    def _target(self, fd: int, link: os.stat_result, name: str) -> str:
        self._links += 1
        if self._links > _MOST_LINKS:
            raise OSError(errno.ELOOP, os.strerror(errno.ELOOP))
        folder_fd, _, trusted = self._stack[-1]
        # In a sticky directory anyone may have made it: as a hard link to a link of root's.
        linked = link.st_nlink > 1 and os.fstat(folder_fd).st_mode & _OTHERS_MAY_WRITE
        if not trusted or linked or link.st_uid not in (0, os.geteuid()):
            raise UnsafePathError(
                errno.ELOOP, f"the symbolic link {name!r} on the way could be moved by another user"
            )
        return os.readlink("", dir_fd=fd)

    def _up(self, depth: int) -> None:
        while len(self._stack) > max(depth, 1):
            os.close(self._stack.pop()[0])

    def _need_directory(self) -> None:
        if not stat.S_ISDIR(os.fstat(self._stack[-1][0]).st_mode):
            raise OSError(errno.ENOTDIR, os.strerror(errno.ENOTDIR))


def _is_ours(found: os.stat_result) -> bool:
    movable = found.st_mode & _OTHERS_MAY_WRITE and not found.st_mode & stat.S_ISVTX
    return found.st_uid in (0, os.geteuid()) and not movable
