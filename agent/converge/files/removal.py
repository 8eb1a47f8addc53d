"""Removing a directory and all below it, on descriptors, to any depth.

One directory is open at a time. The way down is remembered as (name, device, inode) and the way up
is `..`, checked against that: a directory that someone moves meanwhile stops the removal
(CVE-2021-3997 was a recursion here, CVE-2021-25741 a path string).
"""

from __future__ import annotations

import os
import stat

from converge.errors import ApplyError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Collection

    Keep = Callable[[int, str, str], None]

_OPEN = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC


def remove_tree(folder_fd: int, name: str, path: str, keep: Keep | None) -> None:
    """Remove the directory `name`; no file system but its own is entered. Raises OSError, ApplyError.

    `keep` is called with (directory descriptor, name, path) before a regular file is removed.
    """
    removal = _Removal(path, keep)
    try:
        removal.down(folder_fd, name)
        while removal.trail:
            child = removal.next_directory()
            if child is not None:
                removal.down(removal.fd, child)
            elif len(removal.trail) > 1:
                removal.up()
            else:
                removal.trail.pop()
        os.rmdir(name, dir_fd=folder_fd)
    finally:
        removal.close()


def refuse_mounts(path: str, real: str, mounts: Collection[str]) -> None:
    """Refuse to remove what is mounted on or holds a mount. Raises ApplyError.

    `real` is `path` with no link on the way, as the mount points are.
    """
    if not mounts:
        raise ApplyError(f"{path} is not removed: /proc does not say what is mounted in it")
    inside = [point for point in mounts if point == real or point.startswith(f"{real}/")]
    if inside:
        raise ApplyError(f"{path} is not removed: {inside[0]} is a mount")


class _Removal:
    def __init__(self, path: str, keep: Keep | None) -> None:
        self.path = path
        self.keep = keep
        self.fd = -1
        self.trail: list[tuple[str, tuple[int, int], list[str]]] = []

    def down(self, folder_fd: int, name: str) -> None:
        fd = os.open(name, _OPEN, dir_fd=folder_fd)
        self.close()
        self.fd = fd
        identity = _identity(fd)
        if self.trail and identity[0] != self.trail[0][1][0]:
            raise ApplyError(f"{self._at(name)} is on another file system, and is not removed")
        self.trail.append((name, identity, os.listdir(fd)))

    def up(self) -> None:
        name, _, _ = self.trail.pop()
        parent_fd = os.open("..", _OPEN, dir_fd=self.fd)
        self.close()
        self.fd = parent_fd
        if _identity(parent_fd) != self.trail[-1][1]:
            raise ApplyError(f"{self._at(name)} was moved while it was being removed")
        os.rmdir(name, dir_fd=parent_fd)

    def next_directory(self) -> str | None:
        """Remove what is no directory here until a directory is met; None: nothing is left."""
        names = self.trail[-1][2]
        while names:
            name = names.pop()
            try:
                found = os.stat(name, dir_fd=self.fd, follow_symlinks=False)
                if stat.S_ISDIR(found.st_mode):
                    return name
                if self.keep and stat.S_ISREG(found.st_mode):
                    self.keep(self.fd, name, self._at(name))
                os.unlink(name, dir_fd=self.fd)
            except FileNotFoundError:
                continue  # someone else removed it
        return None

    def close(self) -> None:
        if self.fd >= 0:
            os.close(self.fd)
            self.fd = -1

    def _at(self, name: str) -> str:
        return "/".join([self.path, *(step for step, _, _ in self.trail[1:]), name])


def _identity(fd: int) -> tuple[int, int]:
    found = os.fstat(fd)
    return found.st_dev, found.st_ino
