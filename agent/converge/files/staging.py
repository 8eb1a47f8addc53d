"""Directories and symbolic links, made under a temporary name, dressed, then renamed: old or new.

Where another user may write to the directory, what we made may have been swapped for something of
theirs before we set its owner; so it is pinned, and looked at, first.
"""

from __future__ import annotations

import errno
import os
import stat
from contextlib import contextmanager

from converge.errors import ApplyError
from converge.files import atomic
from converge.files.attributes import PIN, change_attributes

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

_OPEN_FOLDER = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC


def make_directory(
    folder_fd: int, name: str, uid: int | None, gid: int | None, mode: int | None
) -> None:
    """Create an empty directory. Raises FileExistsError, OSError, ApplyError."""
    _need_free(folder_fd, name)
    staged = atomic.temporary_name()
    os.mkdir(staged, 0o700, dir_fd=folder_fd)
    with _taking_name(folder_fd, staged, name, _OPEN_FOLDER) as fd:
        _need_ours(os.fstat(fd).st_uid == os.geteuid() and not os.listdir(fd))
        change_attributes(fd, uid, gid, mode)


def scratch(folder_fd: int) -> int:
    """Return a descriptor of a new file without a name, in a directory's file system. Raises OSError."""
    try:
        return os.open(".", os.O_TMPFILE | os.O_RDWR | os.O_CLOEXEC, 0o600, dir_fd=folder_fd)
    except OSError as error:  # the last two are what kernels say that do not know the flag
        if error.errno not in (errno.EOPNOTSUPP, errno.EISDIR, errno.ENOENT):
            raise
    name = atomic.temporary_name()
    fd = atomic.create(folder_fd, name)
    atomic.discard(folder_fd, name)
    return fd


def make_symlink(folder_fd: int, name: str, target: str, uid: int | None, gid: int | None) -> None:
    """Create a symbolic link, or replace a file or link by it. Raises OSError, ApplyError."""
    staged = atomic.temporary_name()
    os.symlink(target, staged, dir_fd=folder_fd)
    with _taking_name(folder_fd, staged, name, PIN) as fd:
        _need_ours(_is_own_link(fd) and os.readlink("", dir_fd=fd) == target)
        change_attributes(fd, uid, gid, None)


def set_link_owner(folder_fd: int, name: str, uid: int | None, gid: int | None) -> None:
    """Set the owner of a symbolic link itself; nothing else is touched. Raises OSError."""
    fd = os.open(name, PIN, dir_fd=folder_fd)
    try:
        if not stat.S_ISLNK(os.fstat(fd).st_mode):
            raise OSError(errno.EINVAL, "not a symbolic link", name)
        change_attributes(fd, uid, gid, None)
    finally:
        os.close(fd)


@contextmanager
def _taking_name(folder_fd: int, staged: str, name: str, flags: int) -> Iterator[int]:
    """Open what was made under a temporary name; at the end it takes its name, durably.

    Where anything fails it is discarded, and the target is as it was.
    """
    try:
        fd = os.open(staged, flags, dir_fd=folder_fd)
        try:
            yield fd
        finally:
            os.close(fd)
        os.rename(staged, name, src_dir_fd=folder_fd, dst_dir_fd=folder_fd)
    except BaseException:
        atomic.discard(folder_fd, staged)
        raise
    atomic.sync_directory(folder_fd)


def _is_own_link(fd: int) -> bool:
    found = os.fstat(fd)
    return stat.S_ISLNK(found.st_mode) and found.st_uid == os.geteuid() and found.st_nlink == 1


def _need_free(folder_fd: int, name: str) -> None:
    try:
        os.stat(name, dir_fd=folder_fd, follow_symlinks=False)
    except FileNotFoundError:
        return
    raise FileExistsError(errno.EEXIST, os.strerror(errno.EEXIST), name)


def _need_ours(ours: bool) -> None:
    if not ours:
        raise ApplyError("another user put something in place of what was made")
