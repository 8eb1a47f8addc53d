"""Opening paths that nobody can move under us.

Every path is resolved to a directory descriptor below the root prefix, component by component or
by openat2(2) with RESOLVE_NO_SYMLINKS; what is then done is done relative to that descriptor. A
symbolic link on the way is followed only where nobody but root or the agent's own user could have
put it there (path_resolution(7), CVE-2017-1002101, CVE-2018-6954).
"""

from __future__ import annotations

import errno
import os
import stat

from converge import openat2

_PATH_FLAGS = os.O_PATH | os.O_NOFOLLOW | os.O_CLOEXEC
_MOST_LINKS = 40  # as the kernel's MAXSYMLINKS
_MOST_CACHED = 256


class UnsafePathError(OSError):
    """A step of the path could be moved by another user."""


class Paths:
    """Directory descriptors below one root. Paths are absolute, as seen inside that root."""

    def __init__(self, root: str = "/") -> None:
        self.root = os.path.realpath(root)
        self._root_fd = os.open(self.root, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
        self._cache: dict[str, int] = {}

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

        The descriptor stays ours: do not close it. Raises OSError, UnsafePathError.
        """
        folder, _, name = path.rpartition("/")
        if not path.startswith("/") or name in ("", ".", ".."):
            raise OSError(errno.EINVAL, "not a path to something in a directory", path)
        return self.directory(folder or "/"), name

    def directory(self, path: str) -> int:
        """Return a descriptor (O_PATH) of a directory; it stays ours. Raises OSError."""
        fd = self._cache.get(path)
        if fd is None:
            fd = self._open(path)
            if len(self._cache) >= _MOST_CACHED:
                self.forget()
            self._cache[path] = fd
        return fd

    def _open(self, path: str) -> int:
        parts = [part for part in path.split("/") if part not in ("", ".")]
        if ".." not in parts:
            fd = openat2.open_beneath(self._root_fd, "/".join(parts) or ".")
            if fd is not None:
                return fd
        try:
            return self._walk(parts)
        except UnsafePathError:
            raise
        except OSError as error:
            raise OSError(error.errno, error.strerror, path) from None

    def _walk(self, parts: list[str]) -> int:
        """Open a directory step by step, following trusted links inside the root."""
        stack = [os.dup(self._root_fd)]
        todo = parts[::-1]
        links = 0
        try:
            while todo:
                part = todo.pop()
                if part == "..":
                    if len(stack) > 1:
                        os.close(stack.pop())
                    continue
                fd = os.open(part, _PATH_FLAGS, dir_fd=stack[-1])
                mode = os.fstat(fd).st_mode
                if not stat.S_ISLNK(mode):
                    stack.append(fd)
                    if not stat.S_ISDIR(mode):
                        raise OSError(errno.ENOTDIR, os.strerror(errno.ENOTDIR))
                    continue
                try:
                    target = _trusted_target(stack[-1], fd, part)
                finally:
                    os.close(fd)
                links += 1
                if links > _MOST_LINKS:
                    raise OSError(errno.ELOOP, os.strerror(errno.ELOOP))
                if target.startswith("/"):
                    while len(stack) > 1:
                        os.close(stack.pop())
                todo += [step for step in target.split("/") if step not in ("", ".")][::-1]
            return stack.pop()
        finally:
            for fd in stack:
                os.close(fd)


def _trusted_target(folder_fd: int, link_fd: int, name: str) -> str:
    folder, link = os.fstat(folder_fd), os.fstat(link_fd)
    ours = (0, os.geteuid())
    movable = folder.st_mode & 0o022 and not folder.st_mode & stat.S_ISVTX
    if link.st_uid not in ours or folder.st_uid not in ours or movable:
        raise UnsafePathError(
            errno.ELOOP, f"the symbolic link {name!r} on the way could be moved by another user"
        )
    return os.readlink("", dir_fd=link_fd)
