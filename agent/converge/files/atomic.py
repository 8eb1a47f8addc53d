"""Staging and renaming below a directory descriptor: the primitives under the writer and the state.

What is staged is invisible until it is renamed, and what is renamed is already on the disk.
"""

from __future__ import annotations

import errno
import os
import stat
import time

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

_FEW, _SYNCERS = 16, 8
_HEAD, _TAIL, _DIGITS = ".converge-", ".tmp", 32


def temporary_name() -> str:
    """Return a name that nobody can predict (128 random bits)."""
    return f"{_HEAD}{os.urandom(_DIGITS // 2).hex()}{_TAIL}"


def is_temporary(name: str) -> bool:
    """Tell whether a name is one that `temporary_name` gives."""
    middle = name.removeprefix(_HEAD).removesuffix(_TAIL)
    whole = len(middle) == _DIGITS and name == f"{_HEAD}{middle}{_TAIL}"
    return whole and not middle.strip("0123456789abcdef")


def write_all(fd: int, data: bytes) -> None:
    """Write every byte, however few the kernel takes at a time."""
    view = memoryview(data)
    while view:
        view = view[os.write(fd, view) :]


def create(folder_fd: int, name: str) -> int:
    """Create a new file, 0600, for writing. Raises OSError if anything has that name."""
    flags = os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
    return os.open(name, flags, 0o600, dir_fd=folder_fd)


def reopen(folder_fd: int, name: str) -> int:
    """Open a file of our own for syncing. Raises OSError."""
    return os.open(name, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=folder_fd)


def sync_all(fds: Sequence[int]) -> list[OSError | None]:
    """Make files durable, many at a time by threads, as the disk joins what it is asked meanwhile.

    (1,000 small files on ext4: 0.4 s in place of 1.2.) Returns what went wrong with each.
    """
    errors: list[OSError | None] = [None] * len(fds)

    def sync(numbers: range) -> None:
        for i in numbers:
            try:
                os.fsync(fds[i])
            except OSError as error:
                errors[i] = error

    if len(fds) < _FEW:
        sync(range(len(fds)))
        return errors
    import threading

    shares = [range(first, len(fds), _SYNCERS) for first in range(_SYNCERS)]
    threads = [threading.Thread(target=sync, args=(share,)) for share in shares[1:]]
    started = []
    for thread, share in zip(threads, shares[1:], strict=True):
        try:
            thread.start()
            started.append(thread)
        except RuntimeError:  # no more processes are allowed here
            sync(share)
    sync(shares[0])
    for thread in started:
        thread.join()
    return errors


def sync_directory(folder_fd: int) -> None:
    """Make the names in a directory durable, where the file system has a way to (fsync(2) EINVAL)."""
    fd = os.open(".", os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC, dir_fd=folder_fd)
    try:
        os.fsync(fd)
    except OSError as error:
        if error.errno != errno.EINVAL:
            raise
    finally:
        os.close(fd)


def discard(folder_fd: int, name: str) -> bool:
    """Remove what was staged, whoever owns it by now; return whether it was there and has gone.

    Never raises: what cannot be removed is swept by a later run.
    """
    try:
        if stat.S_ISDIR(os.stat(name, dir_fd=folder_fd, follow_symlinks=False).st_mode):
            os.rmdir(name, dir_fd=folder_fd)
        else:
            os.unlink(name, dir_fd=folder_fd)
    except OSError:
        return False
    return True


def replace(
    folder_fd: int, name: str, data: bytes, mode: int = 0o600, *, durable: bool = True
) -> None:
    """Put a whole file of our own under `name`, old or new at every instant, and on the disk."""
    staged = temporary_name()
    try:
        fd = create(folder_fd, staged)
        try:
            write_all(fd, data)
            os.fchmod(fd, mode)
            if durable:
                os.fsync(fd)
        finally:
            os.close(fd)
        os.rename(staged, name, src_dir_fd=folder_fd, dst_dir_fd=folder_fd)
    except BaseException:
        discard(folder_fd, staged)
        raise
    if durable:
        sync_directory(folder_fd)


def sweep(folder_fd: int, *, age: float = 0.0) -> int:
    """Remove what a killed run left staged here; return how many. Call it only under the lock.

    Where others write without it, `age` is how many seconds ago what is removed was last written.
    """
    fd = os.open(".", os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC, dir_fd=folder_fd)
    try:
        names = [name for name in os.listdir(fd) if is_temporary(name)]
        return sum(discard(fd, name) for name in names if not age or _is_old(fd, name, age))
    finally:
        os.close(fd)


def _is_old(folder_fd: int, name: str, age: float) -> bool:
    try:
        written = os.stat(name, dir_fd=folder_fd, follow_symlinks=False).st_mtime
    except OSError:
        return False
    return abs(time.time() - written) > age
