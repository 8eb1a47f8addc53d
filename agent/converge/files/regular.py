"""Regular files, opened and read with limits: never a FIFO, a device or a link."""

from __future__ import annotations

import errno
import os
import stat

from converge.files import atomic

READ_LIMIT = 64 << 20  # bytes; nothing larger is taken into memory
READING = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
WRITING = os.O_RDWR | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
_KERNEL = os.O_WRONLY | os.O_TRUNC | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
_CHUNK = 1 << 20


def open_regular(folder_fd: int, name: str, flags: int = READING) -> int:
    """Open a regular file; opening a device may do things, so it is looked at first. Raises OSError."""
    _need_regular(os.stat(name, dir_fd=folder_fd, follow_symlinks=False), name)
    fd = os.open(name, flags, dir_fd=folder_fd)
    try:
        _need_regular(os.fstat(fd), name)
    except OSError:
        os.close(fd)
        raise
    return fd


def read_all(fd: int, limit: int = READ_LIMIT, size: int = 0) -> bytes:
    """Return a whole file from its beginning. Raises OSError (EFBIG) where it has more bytes.

    `size` is what fstat(2) tells of it; 0 of a file that the kernel makes up, or where it is not known.
    """
    chunks, total = [], 0
    asked = size + 1 if 0 < size < _CHUNK else _CHUNK
    while max(size, total) <= limit and (chunk := os.pread(fd, asked, total)):
        chunks.append(chunk)
        total += len(chunk)
        if total == size < asked:
            break  # less than was asked for: the end
        asked = _CHUNK
    if max(size, total) > limit:
        raise OSError(errno.EFBIG, f"larger than {limit} bytes")
    return b"".join(chunks)


def copy(source_fd: int, fd: int) -> None:
    """Write all of one file, from its beginning, to another."""
    os.lseek(source_fd, 0, os.SEEK_SET)
    while chunk := os.read(source_fd, _CHUNK):
        atomic.write_all(fd, chunk)


def overwrite(fd: int, data: bytes) -> None:
    """Write a whole file in place and read it back. Raises OSError if it is not what was written."""
    os.lseek(fd, 0, os.SEEK_SET)
    atomic.write_all(fd, data)
    os.ftruncate(fd, len(data))
    os.fsync(fd)
    if read_all(fd, len(data)) != data:
        raise OSError(errno.EIO, "what was read back differs")


def put_back(folder_fd: int, name: str, old: bytes) -> None:
    """Write the content that a file had, in place. Raises OSError."""
    fd = open_regular(folder_fd, name, WRITING)
    try:
        overwrite(fd, old)
    finally:
        os.close(fd)


def write_kernel(folder_fd: int, name: str, content: bytes) -> None:
    """Write to a file of the kernel's: one open, one write(2). Raises OSError."""
    fd = os.open(name, _KERNEL, dir_fd=folder_fd)
    try:
        if os.write(fd, content) != len(content):
            raise OSError(errno.EIO, "the kernel took only a part")
    finally:
        os.close(fd)


def _need_regular(found: os.stat_result, name: str) -> None:
    if stat.S_ISLNK(found.st_mode):
        raise OSError(errno.ELOOP, "a symbolic link is in the way", name)
    if not stat.S_ISREG(found.st_mode):
        raise OSError(errno.EINVAL, "not a regular file", name)
