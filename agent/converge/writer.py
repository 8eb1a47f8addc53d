"""The one writer: a file is old or new, never torn.

backup → new temporary file in the same directory → write → owner, xattrs, mode → fsync →
`validate` → is the target still what was backed up? → rename → fsync of the directory. A target
that is a mount point cannot be renamed over (EBUSY) and is written in place (converge.in_place).
"""

from __future__ import annotations

import errno
import os

from converge import atomic
from converge.attributes import dress, refuse_foreign_link
from converge.errors import ApplyError
from converge.in_place import write_in_place
from converge.record import Record
from converge.regular import copy, open_regular

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from converge.backup import Backups
    from converge.journal import Journal

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
        for _ in range(2):
            done = self._attempt(folder_fd, name, new, real_folder)
            if done is not None:
                return done
        raise ApplyError(f"{new.path}: someone else keeps changing it")

    def write_in_place(self, folder_fd: int, name: str, new: Replacement) -> None:
        """Write into a mount point: journalled, read back, put back if it cannot be finished."""
        write_in_place(folder_fd, name, new, self.journal, self._keep)

    def keep(self, folder_fd: int, name: str, path: str) -> None:
        """Back up a regular file that is about to be removed. Raises OSError, ApplyError."""
        fd = open_regular(folder_fd, name)
        try:
            self._keep(path, fd)
        finally:
            os.close(fd)

    def _keep(self, path: str, fd: int) -> None:
        if self.backups is None:
            raise ApplyError(
                f"{path}: no backup can be made, as no state directory can be written",
                "set CONVERGE_STATE_DIR, or `backup: false` on the resource",
            )
        self.backups.keep(path, fd)

    def _attempt(
        self, folder_fd: int, name: str, new: Replacement, real_folder: str
    ) -> bool | None:
        """Do as `write`; return None if the target changed meanwhile."""
        old_fd = _open_old(folder_fd, name)
        staged = atomic.temporary_name()
        try:
            old = None if old_fd is None else os.fstat(old_fd)
            if old_fd is not None and new.backup:
                self._keep(new.path, old_fd)
            _stage(folder_fd, staged, new, old_fd)
            if new.validate:
                new.validate(f"{real_folder}/{staged}")
            if not _unchanged(folder_fd, name, old):
                atomic.discard(folder_fd, staged)
                return None
            return self._commit(folder_fd, staged, name, new)
        except BaseException:
            atomic.discard(folder_fd, staged)
            raise
        finally:
            if old_fd is not None:
                os.close(old_fd)

    def _commit(self, folder_fd: int, staged: str, name: str, new: Replacement) -> bool | None:
        try:
            os.rename(staged, name, src_dir_fd=folder_fd, dst_dir_fd=folder_fd)
        except FileNotFoundError:
            return None  # swept by the agent of another container, on a volume that they share
        except OSError as error:
            if error.errno != errno.EBUSY:
                raise
            atomic.discard(folder_fd, staged)
            self.write_in_place(folder_fd, name, new)
            return True
        atomic.sync_directory(folder_fd)
        return False


def _open_old(folder_fd: int, name: str) -> int | None:
    try:
        return open_regular(folder_fd, name)
    except FileNotFoundError:
        return None


def _stage(folder_fd: int, staged: str, new: Replacement, old_fd: int | None) -> None:
    fd = atomic.create(folder_fd, staged)
    try:
        if new.content is not None:
            atomic.write_all(fd, new.content)
        elif new.source_fd is not None:
            copy(new.source_fd, fd)
        elif old_fd is not None:
            refuse_foreign_link(os.fstat(old_fd), folder_fd, new.path)  # it may be a secret's
            copy(old_fd, fd)
        dress(fd, old_fd, uid=new.uid, gid=new.gid, mode=new.mode)
        os.fsync(fd)
    finally:
        os.close(fd)


def _unchanged(folder_fd: int, name: str, old: os.stat_result | None) -> bool:
    try:
        now = os.stat(name, dir_fd=folder_fd, follow_symlinks=False)
    except FileNotFoundError:
        return old is None
    return old is not None and all(getattr(now, f) == getattr(old, f) for f in _STABLE)
