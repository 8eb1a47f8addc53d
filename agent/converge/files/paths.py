"""Opening paths that nobody can move under us.

Every path is resolved to a directory descriptor below the root prefix, step by step, each opened
from the descriptor of the one before (O_NOFOLLOW), which is remembered for the paths to come; what
is then done is done relative to that descriptor. A symbolic link on the way is followed only where
nobody but root or the agent's own user could have put it there (path_resolution(7),
CVE-2017-1002101, CVE-2018-6954).
"""

from __future__ import annotations

import errno
import os

from converge.errors import ApplyError
from converge.files.walk import UnsafePathError, Walk

TYPE_CHECKING = False
if TYPE_CHECKING:
    from types import TracebackType

__all__ = ["At", "Paths", "UnsafePathError"]

_MOST_CACHED = 256
_STEP = os.O_PATH | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC


class Paths:
    """Directory descriptors below one root. Paths are absolute, as seen inside that root."""

    def __init__(self, root: str = "/") -> None:
        self.root = os.path.realpath(root)
        self._root_fd = os.open(self.root, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
        self._cache: dict[str, int] = {}
        allowed = os.sysconf("SC_OPEN_MAX")  # a small `ulimit -n` must leave room for the work
        self._most_cached = min(_MOST_CACHED, allowed // 4) if allowed > 0 else _MOST_CACHED

    def __del__(self) -> None:
        for fd in (*getattr(self, "_cache", {}).values(), getattr(self, "_root_fd", -1)):
            if fd >= 0:
                os.close(fd)

    def real(self, path: str) -> str:
        """Return the path as the kernel sees it from outside the root prefix."""
        return path if self.root == "/" else self.root + path

    def forget(self) -> None:
        """Close the remembered directories: they may have been replaced since."""
        for fd in self._cache.values():
            os.close(fd)
        self._cache.clear()

    def parent(self, path: str) -> tuple[int, str]:
        """Return a descriptor of the directory that holds `path`, and its last component.

        The descriptor stays ours and is good until the next call here: do not close it, and use
        `At` where other code runs meanwhile. Raises OSError, UnsafePathError.
        """
        folder, _, name = path.rpartition("/")
        if not path.startswith("/") or name in ("", ".", ".."):
            raise OSError(errno.EINVAL, "not a path to something in a directory", path)
        if "\0" in path or not path.isascii():
            _check(path)
        return self.directory(folder or "/"), name

    def directory(self, path: str) -> int:
        """Return a descriptor (O_PATH) of a directory, as `parent` does. Raises OSError."""
        fd = self._cache.get(path)
        if fd is None:
            _check(path)
            parts = _parts(path)
            fd = self._straight(path, parts)
            if fd is None:
                fd = self._remember(path, self._walk(path, parts))
        return fd

    def resolve(self, path: str) -> str:
        """Return the path with every trusted link on it followed, the last one too.

        Raises OSError, UnsafePathError.
        """
        _check(path)
        walk = Walk(self._root_fd)
        try:
            walk.go(_parts(path))
            return walk.path
        except OSError as error:
            error.filename = path
            raise
        finally:
            walk.close()

    def _remember(self, path: str, fd: int) -> int:
        if len(self._cache) >= self._most_cached:
            self.forget()
        self._cache[path] = fd
        return fd

    def _straight(self, path: str, parts: list[str]) -> int | None:
        """Step from one remembered directory to the next; None: there is a link, or no directory."""
        fd, here = self._root_fd, ""
        for part in parts:
            if part == "..":
                return None
            here = f"{here}/{part}"
            known = self._cache.get(here)
            try:
                fd = (
                    self._remember(here, os.open(part, _STEP, dir_fd=fd))
                    if known is None
                    else known
                )
            except NotADirectoryError:
                return None
            except OSError as error:
                error.filename = path
                raise
        return fd

    def _walk(self, path: str, parts: list[str]) -> int:
        walk = Walk(self._root_fd)
        try:
            walk.go(parts)
            return walk.directory()
        except OSError as error:
            error.filename = path
            raise
        finally:
            walk.close()


class At:
    """Where something is changed: the directory's descriptor, held, and the name in it.

    `with At(paths, path) as (folder_fd, name)`. An OSError that passes through gets the whole path
    as its filename.
    """

    def __init__(self, paths: Paths, path: str) -> None:
        self._paths = paths
        self._path = path
        self._fd = -1

    def __enter__(self) -> tuple[int, str]:
        folder_fd, name = self._paths.parent(self._path)  # an error names the directory
        try:
            self._fd = os.dup(folder_fd)
        except OSError as error:
            error.filename = self._path
            raise
        return self._fd, name

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        os.close(self._fd)
        if isinstance(error, OSError):
            error.filename = self._path
            del error.filename2  # of rename(2): the name of what was staged says nothing
            if error.errno == errno.EPERM and os.geteuid() == 0:
                raise ApplyError(
                    f"{self._path}: {error.strerror}",
                    "the immutable flag may be set (see lsattr, chattr -i), "
                    "or a capability is missing",
                ) from error


def _parts(path: str) -> list[str]:
    return [part for part in path.split("/") if part not in ("", ".")]


def _check(path: str) -> None:
    if "\0" in path:  # the C library would end the path here
        raise OSError(errno.EINVAL, "a NUL byte in a path", path)
    if not path.isascii():
        try:
            os.fsencode(path)
        except UnicodeEncodeError:
            raise OSError(errno.EILSEQ, os.strerror(errno.EILSEQ), ascii(path)) from None
