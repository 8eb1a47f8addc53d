"""The one writer: a file is old or new, never torn.

copy of the old → new temporary file in the same directory → write → owner, xattrs, mode → the copy
becomes a backup, on the disk → fsync → `validate` → is the target still what was backed up? → rename →
fsync of the directory. A target that is a mount point cannot be renamed over (EBUSY) and is written
in place (converge.files.in_place).
"""

from __future__ import annotations

import errno
import os

from converge.errors import ApplyError
from converge.files import atomic
from converge.files.attributes import dress, refuse_foreign_link
from converge.files.in_place import write_in_place
from converge.files.regular import copy, open_regular
from converge.record import Record

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from converge.files.backup import Backups, Kept
    from converge.files.journal import Journal

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


class Staged:
    """A new file that waits beside its target, not synced yet, to take its name."""

    def __init__(self, folder_fd: int, name: str, new: Replacement) -> None:
        self.folder_fd, self.name, self.new = folder_fd, name, new
        self.temporary = atomic.temporary_name()
        self.fd = -1
        self.old: os.stat_result | None = None
        self.kept: Kept | None = None  # the old content, not in the backups yet

    def close(self) -> None:
        """Close it, durable or not."""
        if self.fd >= 0:
            os.close(self.fd)
            self.fd = -1

    def discard(self) -> None:
        """Give it up."""
        self.close()
        atomic.discard(self.folder_fd, self.temporary)


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
            staged = self.stage(folder_fd, name, new)
            try:
                self.finish_backups([staged])
                os.fsync(staged.fd)
            except BaseException:
                staged.discard()
                raise
            done = self.put(staged, real_folder)
            if done is not None:
                if not done:
                    atomic.sync_directory(folder_fd)
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

    def stage(self, folder_fd: int, name: str, new: Replacement) -> Staged:
        """Write `new` beside its target; what it replaces is copied, if it is to be backed up."""
        staged = Staged(folder_fd, name, new)
        old_fd = _open_old(folder_fd, name)
        try:
            if old_fd is not None:
                staged.old = os.fstat(old_fd)
                if new.backup:
                    staged.kept = self._store(new.path).begin(new.path, old_fd)
            staged.fd = atomic.create(folder_fd, staged.temporary)
            _fill(staged.fd, folder_fd, new, old_fd)
        except BaseException:
            staged.discard()
            if staged.kept:
                self._store(new.path).discard(staged.kept)
            raise
        finally:
            if old_fd is not None:
                os.close(old_fd)
        return staged

    def finish_backups(self, staged: Iterable[Staged]) -> None:
        """Make durable what these replace: no backup, no change. Raises ApplyError."""
        kept = [one.kept for one in staged if one.kept is not None]
        if kept and self.backups:
            self.backups.finish(kept)

    def put(self, staged: Staged, real_folder: str) -> bool | None:
        """Give what is synced its name; its directory is to be synced then. Raises OSError, ApplyError.

        Returns True if it was written in place, None if the target changed meanwhile.
        """
        folder_fd, new = staged.folder_fd, staged.new
        try:
            if new.validate:
                new.validate(f"{real_folder}/{staged.temporary}")
            if not _unchanged(folder_fd, staged.name, staged.old):
                staged.discard()
                return None
            return self._rename(staged)
        except BaseException:
            staged.discard()
            raise
        finally:
            staged.close()

    def _rename(self, staged: Staged) -> bool | None:
        fd = staged.folder_fd
        try:
            os.rename(staged.temporary, staged.name, src_dir_fd=fd, dst_dir_fd=fd)
        except FileNotFoundError:
            return None  # swept by the agent of another container, on a volume that they share
        except OSError as error:
            if error.errno != errno.EBUSY:
                raise
            staged.discard()
            self.write_in_place(fd, staged.name, staged.new)
            return True
        return False

    def _keep(self, path: str, fd: int) -> None:
        self._store(path).keep(path, fd)

    def _store(self, path: str) -> Backups:
        if self.backups is None:
            raise ApplyError(
                f"{path}: no backup can be made, as no state directory can be written",
                "set CONVERGE_STATE_DIR, or `backup: false` on the resource",
            )
        return self.backups


def _open_old(folder_fd: int, name: str) -> int | None:
    try:
        return open_regular(folder_fd, name)
    except FileNotFoundError:
        return None


def _fill(fd: int, folder_fd: int, new: Replacement, old_fd: int | None) -> None:
    if new.content is not None:
        atomic.write_all(fd, new.content)
    elif new.source_fd is not None:
        copy(new.source_fd, fd)
    elif old_fd is not None:
        refuse_foreign_link(os.fstat(old_fd), folder_fd, new.path)  # it may be a secret's
        copy(old_fd, fd)
    dress(fd, old_fd, uid=new.uid, gid=new.gid, mode=new.mode)


def _unchanged(folder_fd: int, name: str, old: os.stat_result | None) -> bool:
    try:
        now = os.stat(name, dir_fd=folder_fd, follow_symlinks=False)
    except FileNotFoundError:
        return old is None
    return old is not None and all(getattr(now, f) == getattr(old, f) for f in _STABLE)
