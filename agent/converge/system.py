"""The one door to the operating system.

Every read and write of files, every program and every mount goes through here, below a root
prefix: reading in converge.read_only, changing here. All paths are absolute, as seen inside the
root prefix.
"""

from __future__ import annotations

import errno
import os
import stat
from typing import TYPE_CHECKING

from converge import atomic
from converge.errors import ApplyError
from converge.read_only import ReadOnlySystem
from converge.writer import Replacement, Writer, change_attributes, overwrite

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from converge import process
    from converge.backup import Backups
    from converge.journal import Journal
    from converge.paths import Paths

__all__ = ["ReadOnlySystem", "System"]

_PIN = os.O_PATH | os.O_NOFOLLOW | os.O_CLOEXEC


class System(ReadOnlySystem):
    """The machine, to be changed."""

    def __init__(
        self,
        root: str = "/",
        *,
        backups: Backups | None = None,
        journal: Journal | None = None,
        paths: Paths | None = None,
    ) -> None:
        super().__init__(root, paths)
        self.journal = journal
        self._writer = Writer(backups, journal)
        self._swept: set[str] = set()
        self.written_in_place: set[str] = set()

    def read_only(self) -> ReadOnlySystem:
        """Return the same machine without any means to change it."""
        return ReadOnlySystem(paths=self.paths)

    def write(
        self,
        path: str,
        content: bytes | None = None,
        *,
        source_fd: int | None = None,
        uid: int | None = None,
        gid: int | None = None,
        mode: int | None = None,
        validate: Callable[[str], None] | None = None,
        backup: bool = True,
    ) -> None:
        """Create or replace a regular file, whole, by the one writer.

        What is None stays as it is; a new file is 0644 and the agent's own. `source_fd` is read
        to its end in place of `content`. `validate` gets the staged file's real path and raises to
        stop. Raises OSError, ApplyError; the target is then as it was.
        """
        folder_fd, name = self.paths.parent(path)
        new = Replacement(
            path=path, content=content, source_fd=source_fd, uid=uid, gid=gid, mode=mode,
            validate=validate, backup=backup,
        )  # fmt: skip
        if self.is_mount_point(path):
            self._writer.write_in_place(folder_fd, name, new)
            self.written_in_place.add(path)
            return
        folder = os.path.dirname(path)
        self._sweep(folder, folder_fd)
        if self._writer.write(folder_fd, name, new, self.real(folder).rstrip("/")):
            self.written_in_place.add(path)

    def write_kernel(self, path: str, content: bytes) -> None:
        """Write to a file of the kernel's (/proc, /sys): one open, one write(2). Raises OSError."""
        folder_fd, name = self.paths.parent(path)
        fd = os.open(name, os.O_WRONLY | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=folder_fd)
        try:
            if os.write(fd, content) != len(content):
                raise OSError(errno.EIO, "the kernel took only a part", path)
        finally:
            os.close(fd)

    def set_attributes(
        self, path: str, *, uid: int | None = None, gid: int | None = None, mode: int | None = None
    ) -> None:
        """Set owner and mode of a file or directory, only what differs. Raises OSError, ApplyError.

        A file that has other names (hard links) in a directory of another user's is refused: the
        other name may be /etc/shadow.
        """
        folder_fd, name = (
            self.paths.parent(path) if path != "/" else (self.paths.directory("/"), ".")
        )
        fd = os.open(name, _PIN, dir_fd=folder_fd)
        try:
            found, folder = os.fstat(fd), os.fstat(folder_fd)
            if stat.S_ISLNK(found.st_mode):
                raise OSError(errno.ELOOP, "a symbolic link has no mode of its own", path)
            shared = found.st_nlink > 1 and not stat.S_ISDIR(found.st_mode)
            if shared and folder.st_uid not in (0, self.uid):
                raise ApplyError(f"{path} has other names, in a directory of another user's")
            change_attributes(fd, uid, gid, mode)
        finally:
            os.close(fd)

    def make_directory(
        self, path: str, *, uid: int | None = None, gid: int | None = None, mode: int = 0o755
    ) -> None:
        """Create one directory (its parent must be there). Raises OSError."""
        folder_fd, name = self.paths.parent(path)
        os.mkdir(name, 0o700, dir_fd=folder_fd)
        fd = os.open(name, _PIN | os.O_DIRECTORY, dir_fd=folder_fd)
        try:
            change_attributes(fd, uid, gid, mode)
        finally:
            os.close(fd)
        atomic.sync_directory(folder_fd)

    def make_symlink(
        self, path: str, target: str, *, uid: int | None = None, gid: int | None = None
    ) -> None:
        """Create a symbolic link, or replace a file or link by it, in one step. Raises OSError."""
        folder_fd, name = self.paths.parent(path)
        self._sweep(os.path.dirname(path), folder_fd)
        staged = atomic.temporary_name()
        os.symlink(target, staged, dir_fd=folder_fd)
        try:
            found = os.stat(staged, dir_fd=folder_fd, follow_symlinks=False)
            uid = found.st_uid if uid is None else uid
            gid = found.st_gid if gid is None else gid
            if (uid, gid) != (found.st_uid, found.st_gid):
                os.chown(staged, uid, gid, dir_fd=folder_fd, follow_symlinks=False)
            os.rename(staged, name, src_dir_fd=folder_fd, dst_dir_fd=folder_fd)
        except BaseException:
            atomic.discard(folder_fd, staged)
            raise
        atomic.sync_directory(folder_fd)

    def set_link_owner(self, path: str, *, uid: int | None, gid: int | None) -> None:
        """Set the owner of a symbolic link itself; None: leave it. Raises OSError."""
        folder_fd, name = self.paths.parent(path)
        os.chown(
            name, -1 if uid is None else uid, -1 if gid is None else gid,
            dir_fd=folder_fd, follow_symlinks=False,
        )  # fmt: skip

    def remove(self, path: str, *, backup: bool = True) -> None:
        """Remove a file or symbolic link, a regular file after a backup. Raises OSError, ApplyError."""
        folder_fd, name = self.paths.parent(path)
        found = self.lstat(path)
        if found is None:
            return
        if backup and stat.S_ISREG(found.st_mode):
            self._writer.keep(folder_fd, name, path)
        os.unlink(name, dir_fd=folder_fd)
        atomic.sync_directory(folder_fd)

    def remove_tree(self, path: str, *, backup: bool = True) -> None:
        """Remove a directory and all below it; never crosses a mount. Raises OSError, ApplyError."""
        inside = path.rstrip("/") + "/"
        mounted = [point for point in self.mounts() if point == path or point.startswith(inside)]
        if mounted:
            raise ApplyError(f"{path} is not removed: {mounted[0]} is a mount")
        for name in self.list(path):
            child = f"{inside}{name}"
            found = self.lstat(child)
            if found is not None and stat.S_ISDIR(found.st_mode):
                self.remove_tree(child, backup=backup)
            else:
                self.remove(child, backup=backup)
        folder_fd, name = self.paths.parent(path)
        os.rmdir(name, dir_fd=folder_fd)
        self.paths.forget()

    def run(
        self,
        argv: Sequence[str],
        *,
        timeout: float = 60,
        stdin: bytes = b"",
        environment: Mapping[str, str] | None = None,
    ) -> process.Completed:
        """Run a program that changes the machine. As `query`; `environment` is added to ours."""
        return self._run(argv, timeout=timeout, stdin=stdin, environment=environment)

    def recover(self) -> list[str]:
        """Put back what an interrupted run left half-written in place; return the paths."""
        return self.journal.recover(self._restore) if self.journal else []

    def _restore(self, path: str, old: bytes) -> None:
        folder_fd, name = self.paths.parent(path)
        fd = os.open(name, os.O_RDWR | os.O_NOFOLLOW | os.O_NONBLOCK, dir_fd=folder_fd)
        try:
            overwrite(fd, old)
        finally:
            os.close(fd)

    def sweep(self, folder: str) -> int:
        """Remove what a killed run staged in a directory; return how many. Under the lock only."""
        try:
            return atomic.sweep(self.paths.directory(folder))
        except OSError:
            return 0

    def _sweep(self, folder: str, folder_fd: int) -> None:
        if folder not in self._swept:
            self._swept.add(folder)
            atomic.sweep(folder_fd)
