"""The one door to the operating system.

Every read and write of files, every program and every mount goes through here, below a root prefix:
reading in converge.read_only, changing here. All paths are absolute, as seen inside the root prefix.
What changes files is imported when one is to be changed, as most runs change nothing.
"""

from __future__ import annotations

import os
import stat

from converge.files import atomic, regular
from converge.files.paths import At
from converge.read_only import ReadOnlySystem

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from converge.files.backup import Backups
    from converge.files.journal import Journal
    from converge.files.paths import Paths
    from converge.files.together import Together
    from converge.files.writer import Writer
    from converge.programs import process
    from converge.programs.launch import Program
    from converge.state.notes import Notes

__all__ = ["ReadOnlySystem", "System"]


class System(ReadOnlySystem):
    """The machine, to be changed."""

    def __init__(
        self,
        root: str = "/",
        *,
        backups: Backups | None = None,
        journal: Journal | None = None,
        paths: Paths | None = None,
        notes: Callable[[], Notes] | None = None,
    ) -> None:
        super().__init__(root, paths, notes)
        self.backups = backups
        self.journal = journal
        self._own_writer: Writer | None = None
        self._swept: set[str] = set()
        self.written_in_place: set[str] = set()

    def read_only(self) -> ReadOnlySystem:
        """Return the same machine without any means to change it."""
        return ReadOnlySystem(paths=self.paths, notes=lambda: self.notes, baked=self.baked)

    @property
    def writer(self) -> Writer:
        """The one writer."""
        from converge.files.writer import Writer

        if self._own_writer is None:
            self._own_writer = Writer(self.backups, self.journal)
        return self._own_writer

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
        together: Together | None = None,
    ) -> None:
        """Create or replace a regular file, whole, by the one writer.

        What is None stays as it is; a new file is 0644 and the agent's own. `source_fd` is read
        to its end in place of `content`. `validate` gets the staged file's real path and raises to
        stop. `together`: handed on, if it is `content`. Raises OSError, ApplyError: all is as it was.
        """
        from converge.files.writer import Replacement

        new = Replacement(
            path=path, content=content, source_fd=source_fd, uid=uid, gid=gid, mode=mode,
            validate=validate, backup=backup,
        )  # fmt: skip
        with At(self.paths, path) as (folder_fd, name):
            if self.is_mount_point(path):
                self.writer.write_in_place(folder_fd, name, new)
                self.written_in_place.add(path)
                return
            folder = os.path.dirname(path)
            self._sweep(folder, folder_fd)
            if together is not None and source_fd is None:
                together.add(folder_fd, name, new, self.real(folder).rstrip("/"))
            elif self.writer.write(folder_fd, name, new, self.real(folder).rstrip("/")):
                self.written_in_place.add(path)

    def scratch(self, folder: str) -> int:
        """Return a descriptor of a new file without a name, on that file system or else in memory."""
        from converge.files import staging

        try:
            return staging.scratch(self.paths.directory(folder))
        except OSError:
            return os.memfd_create("converge", os.MFD_CLOEXEC)

    def write_kernel(self, path: str, content: bytes) -> None:
        """Write to a file of the kernel's (/proc, /sys): one open, one write(2). Raises OSError."""
        with At(self.paths, path) as (folder_fd, name):
            regular.write_kernel(folder_fd, name, content)

    def set_attributes(
        self, path: str, *, uid: int | None = None, gid: int | None = None, mode: int | None = None
    ) -> None:
        """Set owner and mode of a file or directory, only what differs. Raises OSError, ApplyError.

        A new owner or group without a `mode` drops the set-user-ID and set-group-ID bits, as chown(2)
        does. A file that has other names in a directory of another user's is refused.
        """
        from converge.files import attributes

        if path == "/":
            attributes.change_attributes(self.paths.directory("/"), uid, gid, mode)
            return
        with At(self.paths, path) as (folder_fd, name):
            attributes.change_named(folder_fd, name, path, uid, gid, mode)

    def make_directory(
        self, path: str, *, uid: int | None = None, gid: int | None = None, mode: int = 0o755
    ) -> None:
        """Create one directory, whole (its parent must be there). Raises OSError, ApplyError."""
        from converge.files import staging

        with At(self.paths, path) as (folder_fd, name):
            self._sweep(os.path.dirname(path), folder_fd)
            staging.make_directory(folder_fd, name, uid, gid, mode)

    def make_symlink(
        self, path: str, target: str, *, uid: int | None = None, gid: int | None = None
    ) -> None:
        """Create a symbolic link, or replace a file or link by it, in one step.

        Raises OSError, ApplyError.
        """
        from converge.files import staging

        with At(self.paths, path) as (folder_fd, name):
            self._sweep(os.path.dirname(path), folder_fd)
            staging.make_symlink(folder_fd, name, target, uid, gid)
        self.paths.forget()

    def set_link_owner(self, path: str, *, uid: int | None, gid: int | None) -> None:
        """Set the owner of a symbolic link itself; None: leave it. Raises OSError."""
        from converge.files import staging

        with At(self.paths, path) as (folder_fd, name):
            staging.set_link_owner(folder_fd, name, uid, gid)

    def remove(self, path: str, *, backup: bool = True) -> None:
        """Remove a file, symbolic link or empty directory, a regular file after a backup.

        Raises OSError, ApplyError.
        """
        found = self.lstat(path)
        if found is None:
            return
        with At(self.paths, path) as (folder_fd, name):
            if backup and stat.S_ISREG(found.st_mode):
                self.writer.keep(folder_fd, name, path)
            (os.rmdir if stat.S_ISDIR(found.st_mode) else os.unlink)(name, dir_fd=folder_fd)
            atomic.sync_directory(folder_fd)
        if not stat.S_ISREG(found.st_mode):
            self.paths.forget()  # directories may be remembered by a path through it

    def remove_tree(self, path: str, *, backup: bool = True) -> None:
        """Remove a directory and all below it; never crosses a mount. Raises OSError, ApplyError."""
        from converge.files import removal

        try:
            with At(self.paths, path) as (folder_fd, name):
                self._mounts = None
                real = f"{self.paths.resolve(os.path.dirname(path)).rstrip('/')}/{name}"
                removal.refuse_mounts(path, real, self.mounts())
                removal.remove_tree(folder_fd, name, path, self.writer.keep if backup else None)
                atomic.sync_directory(folder_fd)
        finally:
            self.paths.forget()

    def start(self, program: Program, ready: Callable[[], bool], timeout: float) -> None:
        """Start a program that outlives the run, as launch.start. Raises OSError, ApplyError."""
        from converge.programs import launch

        launch.start(self, program, ready, timeout)

    def signal(self, pid: int, started: int, number: int) -> bool:
        """Send a signal to the process that began at `started`, as pidfd.send. Raises OSError."""
        from converge.programs import pidfd

        return pidfd.send(self, pid, started, number)

    def run(
        self,
        argv: Sequence[str],
        *,
        timeout: float = 60,
        stdin: bytes = b"",
        environment: Mapping[str, str] | None = None,
        context: process.Context | None = None,
    ) -> process.Completed:
        """Run a program that changes the machine. As `query`."""
        try:
            return self._run(
                argv, timeout=timeout, stdin=stdin, environment=environment, context=context
            )
        finally:
            self.forget()  # it may have moved directories, or mounted something

    def keep_notes(self) -> None:
        """Keep what kinds noted in this run. Raises OSError."""
        if self._notes is not None:
            self._notes.save()

    def recover(self) -> list[str]:
        """Put back what an interrupted run left half-written in place; return the paths.

        What cannot be put back yet is in `journal.pending`, and is tried again by the next run.
        """
        if self.backups:
            self.backups.sweep()
        return self.journal.recover(self._restore) if self.journal else []

    def _restore(self, path: str, old: bytes) -> None:
        with At(self.paths, path) as (folder_fd, name):
            regular.put_back(folder_fd, name, old)

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
