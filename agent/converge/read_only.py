"""The reading half of the door to the operating system.

`inspect` gets a ReadOnlySystem, which has no method that changes anything, so a dry run cannot
write by construction. All paths are absolute, as seen inside the root prefix.
"""

from __future__ import annotations

import errno
import os
import stat

from converge import mounts
from converge.errors import CannotManageError
from converge.files.paths import Paths
from converge.files.regular import READ_LIMIT, READING, read_all

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from converge.programs import process
    from converge.state.notes import Notes

_GONE = (errno.ENOENT, errno.ENOTDIR)


class ReadOnlySystem:
    """What can be seen of the machine. Nothing here changes it."""

    def __init__(
        self,
        root: str = "/",
        paths: Paths | None = None,
        notes: Callable[[], Notes] | None = None,
        baked: Callable[[], Mapping[str, Sequence[object]]] | None = None,
    ) -> None:
        self.paths = paths or Paths(root)
        self._find_notes = notes
        self.baked = baked  # returns what the image's files looked like when it was made
        self._notes: Notes | None = None
        self.root = self.paths.root
        self._mounts: dict[str, mounts.Mount] | None = None

    @property
    def prefixed(self) -> bool:
        """True below a root prefix (`--root`), where no program is run."""
        return self.root != "/"

    @property
    def notes(self) -> Notes:
        """What kinds remember of their resources; found when it is first asked for."""
        if self._notes is None:
            from converge.state.notes import Notes

            self._notes = self._find_notes() if self._find_notes else Notes()
        return self._notes

    @property
    def uid(self) -> int:
        """The user that the agent acts as."""
        return os.geteuid()

    def real(self, path: str) -> str:
        """Return the path as a program outside the root prefix would name it."""
        return self.paths.real(path)

    def lstat(self, path: str) -> os.stat_result | None:
        """Return what is at `path`, a symbolic link itself; None: nothing. Raises OSError."""
        if path == "/":
            return os.fstat(self.paths.directory("/"))
        try:
            folder_fd, name = self.paths.parent(path)
            return os.stat(name, dir_fd=folder_fd, follow_symlinks=False)
        except OSError as error:
            _raise_unless_gone(error, path)
            return None

    def read(
        self, path: str, *, follow: bool = False, limit: int = READ_LIMIT, size: int | None = None
    ) -> bytes | None:
        """Return a regular file's bytes; None: there is nothing. Raises OSError.

        `follow` accepts a symbolic link as the last component too (trusted as on the way). `size` is
        what lstat just told, if it was asked.
        """
        fd = self.open_file(path, follow=follow)
        if fd is None:
            return None
        try:
            return read_all(fd, limit, os.fstat(fd).st_size if size is None else size)
        except OSError as error:
            error.filename = path
            raise
        finally:
            os.close(fd)

    def fingerprint(self, path: str) -> tuple[int, ...] | None:
        """Return size, time in whole seconds, mode, owner and group of a regular file, else None."""
        found = self.lstat(path)
        if found is None or not stat.S_ISREG(found.st_mode):
            return None
        return found.st_size, int(found.st_mtime), found.st_mode, found.st_uid, found.st_gid

    def digest(self, path: str) -> str | None:
        """Return a file's SHA-256 in hex, unread if it is as the image has it; None: nothing there."""
        import hashlib

        known = self.baked().get(path) if self.baked else None
        if known and tuple(known[:-1]) == self.fingerprint(path):
            return str(known[-1])
        fd = self.open_file(path)
        if fd is None:
            return None
        with os.fdopen(fd, "rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()

    def text(self, path: str, *, follow: bool = True) -> str:
        """Return a small configuration file as text, empty if it is not there."""
        return (self.read(path, follow=follow) or b"").decode(errors="surrogateescape")

    def readlink(self, path: str) -> str | None:
        """Return a symbolic link's target; None: there is no symbolic link."""
        found = self.lstat(path)
        if path == "/" or found is None or not stat.S_ISLNK(found.st_mode):
            return None
        folder_fd, name = self.paths.parent(path)
        return os.readlink(name, dir_fd=folder_fd)

    def list(self, path: str) -> list[str]:
        """Return the names in a directory, sorted; empty if there is none. Raises OSError."""
        try:
            fd = os.open(
                ".", os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC, dir_fd=self.paths.directory(path)
            )
        except OSError as error:
            _raise_unless_gone(error, path)
            return []
        try:
            return sorted(os.listdir(fd))
        finally:
            os.close(fd)

    def mounts(self) -> dict[str, mounts.Mount]:
        """Return every mount below the root prefix, by mount point; read once per phase."""
        if self._mounts is None:
            try:
                with open(
                    "/proc/self/mountinfo", encoding="utf-8", errors="surrogateescape"
                ) as file:
                    found = mounts.parse(file.read())
            except OSError:
                found = {}
            if self.prefixed:
                inside = {
                    k[len(self.root) :]: m
                    for k, m in found.items()
                    if k.startswith(self.root + "/")
                }
                root = mounts.covering(found, self.root)
                found = {**({"/": root} if root else {}), **inside}
            self._mounts = found
        return self._mounts

    def is_mount_point(self, path: str) -> bool:
        """Tell whether something is mounted on exactly this path: it cannot be renamed over."""
        return path in self.mounts()

    def capable(self, capability: int) -> bool:
        """Tell whether the agent has a capability, by its number (capabilities(7), CapEff)."""
        with open("/proc/self/status", encoding="utf-8", errors="replace") as file:
            for line in file:
                if line.startswith("CapEff:"):
                    return bool(int(line.split()[1], 16) >> capability & 1)
        return self.uid == 0

    def which(self, program: str) -> str | None:
        """Return a program's absolute path by our own search path; None: not here, or prefixed."""
        from converge.programs import process

        return None if self.prefixed else process.which(program)

    def query(
        self,
        argv: Sequence[str],
        *,
        timeout: float = 60,
        stdin: bytes = b"",
        environment: Mapping[str, str] | None = None,
        context: process.Context | None = None,
    ) -> process.Completed:
        """Run a program that only reads. `argv[0]` is an absolute path. Raises OSError, ApplyError.

        `environment` is added to ours; `context` says where, and as whom, it runs.
        """
        return self._run(
            argv, timeout=timeout, stdin=stdin, environment=environment, context=context
        )

    def forget(self) -> None:
        """Drop what is remembered of directories and mounts: the machine may have changed."""
        self.paths.forget()
        self._mounts = None

    def _run(
        self,
        argv: Sequence[str],
        *,
        timeout: float,
        stdin: bytes,
        environment: Mapping[str, str] | None,
        context: process.Context | None = None,
    ) -> process.Completed:
        from converge.programs import process

        if self.prefixed:
            raise CannotManageError(f"{argv[0]}: no program is run below --root {self.root}")
        if context is not None:  # by descriptor, as anyone could move a path before it is entered
            folder = f"/proc/self/fd/{self.paths.directory(context.folder)}"
            context = context.replace(folder=folder)
        return process.run(
            argv, timeout=timeout, stdin=stdin, environment=environment, context=context
        )

    def open_file(self, path: str, *, follow: bool = False) -> int | None:
        """Open a regular file for reading; None: there is nothing. Raises OSError.

        `follow` is as for `read`. The descriptor is the caller's to close.
        """
        try:
            if follow and self.readlink(path) is not None:
                path = self.paths.resolve(path)
            folder_fd, name = self.paths.parent(path)
            fd = os.open(name, READING, dir_fd=folder_fd)
        except OSError as error:
            _raise_unless_gone(error, path)
            return None
        if not stat.S_ISREG(os.fstat(fd).st_mode):
            os.close(fd)
            raise OSError(errno.EINVAL, "not a regular file", path)
        return fd


def _raise_unless_gone(error: OSError, path: str) -> None:
    """Raise an error, with the whole path, unless it says that nothing is there."""
    if error.errno not in _GONE:
        error.filename = path
        raise error
