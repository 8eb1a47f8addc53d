"""Staging and renaming below a directory descriptor: the primitives under the writer and the state.

What is staged is invisible until it is renamed, and what is renamed is already on the disk.
"""

from __future__ import annotations

import os
import re
import stat

_TEMPORARY = re.compile(r"\.converge-[0-9a-f]{32}\.tmp")


def temporary_name() -> str:
    """Return a name that nobody can predict (128 random bits)."""
    return f".converge-{os.urandom(16).hex()}.tmp"


def write_all(fd: int, data: bytes) -> None:
    """Write every byte, however few the kernel takes at a time."""
    view = memoryview(data)
    while view:
        view = view[os.write(fd, view) :]


def create(folder_fd: int, name: str) -> int:
    """Create a new file, 0600, for writing. Raises OSError if anything has that name."""
    flags = os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
    return os.open(name, flags, 0o600, dir_fd=folder_fd)


def sync_directory(folder_fd: int) -> None:
    """Make the names in a directory durable."""
    fd = os.open(".", os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC, dir_fd=folder_fd)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)


def discard(folder_fd: int, name: str) -> None:
    """Remove a staged file; it is no error if it has gone."""
    try:
        os.unlink(name, dir_fd=folder_fd)
    except FileNotFoundError:
        return


def replace(folder_fd: int, name: str, data: bytes, mode: int = 0o600) -> None:
    """Put a whole file of our own under `name`, old or new at every instant, durable."""
    staged = temporary_name()
    fd = create(folder_fd, staged)
    try:
        try:
            write_all(fd, data)
            os.fchmod(fd, mode)
            os.fsync(fd)
        finally:
            os.close(fd)
        os.rename(staged, name, src_dir_fd=folder_fd, dst_dir_fd=folder_fd)
    except BaseException:
        discard(folder_fd, staged)
        raise
    sync_directory(folder_fd)


def sweep(folder_fd: int) -> int:
    """Remove what a killed run left staged here; return how many. Call it only under the lock."""
    fd = os.open(".", os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC, dir_fd=folder_fd)
    try:
        names = [name for name in os.listdir(fd) if _TEMPORARY.fullmatch(name)]
        swept = 0
        for name in names:
            found = os.stat(name, dir_fd=fd, follow_symlinks=False)
            if found.st_uid == os.geteuid() and not stat.S_ISDIR(found.st_mode):
                os.unlink(name, dir_fd=fd)
                swept += 1
        return swept
    finally:
        os.close(fd)
