"""The one writer: a file is old or new, never torn (DESIGN: a file is old or new).

backup → new temporary file in the same directory → write → owner, xattrs, mode → fsync →
`validate` → is the target still what was backed up? → rename → fsync of the directory. A target
that is a mount point cannot be renamed over (EBUSY) and is written in place, journalled.
"""

from __future__ import annotations

import errno
import os
import stat
from typing import TYPE_CHECKING

from converge import atomic
from converge.errors import ApplyError
from converge.record import Record

if TYPE_CHECKING:
    from collections.abc import Callable

    from converge.backup import Backups
    from converge.journal import Journal

_CHUNK = 1 << 20
_READ = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
_STABLE = ("st_dev", "st_ino", "st_size", "st_mtime_ns", "st_ctime_ns")


class Replacement(Record):
    """What a regular file shall become. None: stays as it is (0644 and the agent's own, if new)."""

    path: str
    content: bytes | None = None
    source_fd: int | None = None  # read to its end instead of `content`
    uid: int | None = None
    gid: int | None = None
    mode: int | None = None
    validate: Callable[[str], None] | None = None  # gets the staged file's path; raises
    backup: bool = True


class Writer:
    """Writes files below directory descriptors."""

    def __init__(self, backups: Backups | None, journal: Journal | None) -> None:
        self.backups = backups
        self.journal = journal

    def write(self, folder_fd: int, name: str, new: Replacement, real_folder: str) -> bool:
        """Put `new` under `name`; return True if it was done in place. Raises OSError, ApplyError.

        A target that changes meanwhile is taken up once more, then given up.
        """
        for attempt in (1, 2):
            old_fd, old = _open_old(folder_fd, name)
            try:
                if old_fd is not None and new.backup:
                    self._keep(new.path, old_fd)
                staged = self._stage(folder_fd, new, old_fd, old)
                try:
                    if new.validate:
                        new.validate(f"{real_folder}/{staged}")
                    if _unchanged(folder_fd, name, old):
                        return self._commit(folder_fd, staged, name, new)
                    if attempt == 2:
                        raise ApplyError(f"{new.path}: someone else keeps changing it")
                finally:
                    atomic.discard(folder_fd, staged)
            finally:
                if old_fd is not None:
                    os.close(old_fd)
        raise AssertionError("unreachable")

    def write_in_place(self, folder_fd: int, name: str, new: Replacement) -> None:
        """Write into a mount point: journalled, read back, put back if it cannot be finished."""
        if self.journal is None:
            raise ApplyError(
                f"{new.path} is a mount, which can only be written in place, and no state "
                "directory can be written for the journal",
                "set CONVERGE_STATE_DIR",
            )
        fd = os.open(
            name, os.O_RDWR | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC, dir_fd=folder_fd
        )
        try:
            old = read_all(fd)
            content = _content(new, old)
            if content != old:
                if new.backup:
                    self._keep(new.path, fd)
                if new.validate:
                    with self.journal.staged(content) as staged:
                        new.validate(staged)
                self._overwrite(fd, old, content, new.path, self.journal)
            change_attributes(fd, new.uid, new.gid, new.mode)
        finally:
            os.close(fd)

    def keep(self, folder_fd: int, name: str, path: str) -> None:
        """Back up a regular file that is about to be removed. Raises OSError, ApplyError."""
        fd = os.open(name, _READ, dir_fd=folder_fd)
        try:
            self._keep(path, fd)
        finally:
            os.close(fd)

    def _keep(self, path: str, fd: int) -> str:
        if self.backups is None:
            raise ApplyError(
                f"{path}: no backup can be made, as no state directory can be written",
                "set CONVERGE_STATE_DIR, or `backup: false` on the resource",
            )
        return self.backups.keep(path, fd)

    def _stage(
        self, folder_fd: int, new: Replacement, old_fd: int | None, old: os.stat_result | None
    ) -> str:
        staged = atomic.temporary_name()
        fd = atomic.create(folder_fd, staged)
        try:
            _fill(fd, new, old_fd)
            _dress(fd, new, old_fd, old)
            os.fsync(fd)
        except BaseException:
            atomic.discard(folder_fd, staged)
            raise
        finally:
            os.close(fd)
        return staged

    def _commit(self, folder_fd: int, staged: str, name: str, new: Replacement) -> bool:
        try:
            os.rename(staged, name, src_dir_fd=folder_fd, dst_dir_fd=folder_fd)
        except OSError as error:
            if error.errno != errno.EBUSY:
                raise
            self.write_in_place(folder_fd, name, new)
            return True
        atomic.sync_directory(folder_fd)
        return False

    def _overwrite(self, fd: int, old: bytes, new: bytes, path: str, journal: Journal) -> None:
        entry = journal.begin(path, old)
        try:
            overwrite(fd, new)
        except OSError as error:
            overwrite(fd, old)  # if this fails too, the journal's entry stays for the next run
            journal.end(entry)
            raise ApplyError(f"{path}: written in place, and put back: {error.strerror}") from error
        journal.end(entry)


def overwrite(fd: int, data: bytes) -> None:
    """Write a whole file in place and read it back. Raises OSError if it is not what was written."""
    os.lseek(fd, 0, os.SEEK_SET)
    atomic.write_all(fd, data)
    os.ftruncate(fd, len(data))
    os.fsync(fd)
    if read_all(fd) != data:
        raise OSError(errno.EIO, "what was read back differs")


def read_all(fd: int) -> bytes:
    """Return a whole file from its beginning."""
    os.lseek(fd, 0, os.SEEK_SET)
    return b"".join(iter(lambda: os.read(fd, _CHUNK), b""))


def change_attributes(fd: int, uid: int | None, gid: int | None, mode: int | None) -> None:
    """Set owner and mode on a descriptor (O_PATH too), only what differs; None: leave it.

    A needless chmod copies a file of a lower overlay layer up whole. The owner comes first, as
    chown(2) clears the set-user-ID bit.
    """
    found = os.fstat(fd)
    wanted = found.st_mode & 0o7777 if mode is None else mode
    uid = found.st_uid if uid is None else uid
    gid = found.st_gid if gid is None else gid
    name = f"/proc/self/fd/{fd}"  # an O_PATH descriptor takes neither fchown nor fchmod
    if (uid, gid) != (found.st_uid, found.st_gid):
        os.chown(name, uid, gid)
        found = os.fstat(fd)
    if stat.S_IMODE(found.st_mode) != wanted:
        os.chmod(name, wanted)


def _open_old(folder_fd: int, name: str) -> tuple[int | None, os.stat_result | None]:
    try:
        fd = os.open(name, _READ, dir_fd=folder_fd)
    except FileNotFoundError:
        return None, None
    found = os.fstat(fd)
    if not stat.S_ISREG(found.st_mode):
        os.close(fd)
        raise OSError(errno.EINVAL, "not a regular file", name)
    return fd, found


def _unchanged(folder_fd: int, name: str, old: os.stat_result | None) -> bool:
    try:
        now = os.stat(name, dir_fd=folder_fd, follow_symlinks=False)
    except FileNotFoundError:
        return old is None
    return old is not None and all(getattr(now, f) == getattr(old, f) for f in _STABLE)


def _content(new: Replacement, old: bytes) -> bytes:
    if new.content is not None:
        return new.content
    return old if new.source_fd is None else read_all(new.source_fd)


def _fill(fd: int, new: Replacement, old_fd: int | None) -> None:
    source = new.source_fd if new.content is None else None
    if source is None and new.content is None:
        source = old_fd
    if source is None:
        atomic.write_all(fd, new.content or b"")
        return
    os.lseek(source, 0, os.SEEK_SET)
    while chunk := os.read(source, _CHUNK):
        atomic.write_all(fd, chunk)


def _dress(fd: int, new: Replacement, old_fd: int | None, old: os.stat_result | None) -> None:
    """Give the staged file its owner, then its extended attributes, then its mode."""
    found = os.fstat(fd)
    base = old or found
    uid = base.st_uid if new.uid is None else new.uid
    gid = base.st_gid if new.gid is None else new.gid
    if (uid, gid) != (found.st_uid, found.st_gid):
        os.fchown(fd, uid, gid)
    if old_fd is not None:
        _copy_xattrs(old_fd, fd, new.path)
    mode = new.mode
    if mode is None:
        mode = old.st_mode & 0o7777 if old else 0o644
    if stat.S_IMODE(os.fstat(fd).st_mode) != mode:
        os.fchmod(fd, mode)


def _copy_xattrs(old_fd: int, fd: int, path: str) -> None:
    try:
        names = os.listxattr(old_fd)
    except OSError as error:
        if error.errno == errno.ENOTSUP:
            return
        raise
    for name in names:
        value = os.getxattr(old_fd, name)
        try:
            if name not in os.listxattr(fd) or os.getxattr(fd, name) != value:
                os.setxattr(fd, name, value)
        except OSError as error:
            raise ApplyError(
                f"{path}: its extended attribute {name} cannot be kept: {error.strerror}"
            ) from error
