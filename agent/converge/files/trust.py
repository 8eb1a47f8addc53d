"""Reading only what nobody but root or the agent's own user could change or swap.

A profile, a key, a plug-in or a setting is an order to the agent, which often is root. So every
step from / to the file is opened (O_PATH, no link followed by the kernel) and looked at on its own
descriptor: directories, symbolic links (a ConfigMap's `..data`) and the file.

The rules for each step:

- it belongs to root or to the agent's own user;
- it is not writable by its group or by others, with three exceptions. A sticky directory (/tmp) is
  fine, as the next step belongs to root or us. So is what lies on a read-only mount: a ConfigMap's
  directory is 0777, and nobody can write there. And an agent that is not root accepts what its own
  group may write: on OpenShift every process of a container has the same arbitrary user and group
  0, and files are made `g=u` for it. For root that would mean anyone in its group, so it is refused.
"""

from __future__ import annotations

import errno
import os
import stat

from converge.errors import ConvergeError, MissingError, UsageError

_STEP = os.O_PATH | os.O_NOFOLLOW | os.O_CLOEXEC
_READ = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
_CHUNK = 1 << 20  # bytes that are read at once
_MOST_LINKS = 40  # as the kernel's MAXSYMLINKS
_OVERFLOW = 65534  # what an id that the user namespace does not map looks like
_WHOLE = "4294967295"  # the length of the map where every id is mapped


class UntrustedError(ConvergeError):
    """Somebody else could change this file or put another in its place: exit 1, nothing touched."""


def read(path: str, limit: int = 1 << 20) -> tuple[str, bytes]:
    """Return (the path without symbolic links, the content) of a file of at most `limit` bytes.

    Raises UntrustedError, which names the step that is at fault; MissingError if there is no such
    file, UsageError if it is no regular file, too large or not readable.
    """
    walk = _Walk(path)
    try:
        folder_fd, name = walk.to_last(path)
        fd = os.open(name, _READ, dir_fd=folder_fd)
        try:
            found = os.fstat(fd)
            _check(found, fd, walk.path)
            if not stat.S_ISREG(found.st_mode):
                raise UsageError(f"{path} is not a regular file")
            _check_names(found, folder_fd, walk.path)
            return walk.path, _content(fd, path, limit)
        finally:
            os.close(fd)
    except OSError as error:
        raise _unreadable(path, error) from error
    finally:
        walk.close()


def program(path: str) -> str:
    """Return the path without symbolic links of a file that is to be run.

    Raises as `read` does, but for its size and for not being readable.
    """
    walk = _Walk(path)
    try:
        folder_fd, _ = walk.to_last(path)
        found = os.fstat(walk.fds[-1])
        _check(found, walk.fds[-1], walk.path)
        _check_names(found, folder_fd, walk.path)
        return walk.path
    except OSError as error:
        raise _unreadable(path, error) from error
    finally:
        walk.close()


def directory(path: str) -> str:
    """Return the path without symbolic links of a directory in which only we and root can write.

    Raises UntrustedError as `read` does, UsageError if there is no such directory.
    """
    walk = _Walk(path)
    try:
        found = walk.to_end(path)
        if not stat.S_ISDIR(found.st_mode):
            raise UsageError(f"{path} is not a directory")
        _check(found, walk.fds[-1], walk.path)
        return walk.path
    except OSError as error:
        raise _unreadable(path, error) from error
    finally:
        walk.close()


class _Walk:
    """The way from / to a path: a descriptor and a name for each step that is left of it."""

    def __init__(self, path: str) -> None:
        self.fds = [os.open("/", _STEP | os.O_DIRECTORY)]
        self.names: list[str] = []
        self._links = 0
        self._todo = _parts(os.path.join(os.getcwd(), path) if path[:1] != "/" else path)

    @property
    def path(self) -> str:
        return "/" + "/".join(self.names)

    def close(self) -> None:
        while self.fds:
            os.close(self.fds.pop())

    def to_end(self, path: str) -> os.stat_result:
        """Walk every step, all but the last checked; return what is at the end."""
        while self._todo:
            name = self._todo.pop()
            if name == "..":
                self._up()
            else:
                self._down(name)
        return os.fstat(self.fds[-1])

    def to_last(self, path: str) -> tuple[int, str]:
        """Walk to a file; return the descriptor of its directory, and its name there."""
        found = self.to_end(path)
        if not stat.S_ISREG(found.st_mode):  # seen on O_PATH: a device or FIFO is never opened
            raise UsageError(f"{path} is not a regular file")
        return self.fds[-2], self.names[-1]

    def _down(self, name: str) -> None:
        folder_fd = self.fds[-1]
        folder = os.fstat(folder_fd)
        if not stat.S_ISDIR(folder.st_mode):
            raise NotADirectoryError(errno.ENOTDIR, os.strerror(errno.ENOTDIR))
        _check(folder, folder_fd, self.path, sticky=True)
        fd = os.open(name, _STEP, dir_fd=folder_fd)
        self.fds.append(fd)
        self.names.append(name)
        found = os.fstat(fd)
        _check_owner(found, self.path)
        if stat.S_ISLNK(found.st_mode):
            self._follow(os.readlink("", dir_fd=fd))

    def _follow(self, target: str) -> None:
        self._links += 1
        if self._links > _MOST_LINKS:
            raise OSError(errno.ELOOP, os.strerror(errno.ELOOP))
        self._up()
        if target.startswith("/"):
            while self.names:
                self._up()
        self._todo += _parts(target)

    def _up(self) -> None:
        if self.names:
            self.names.pop()
            os.close(self.fds.pop())


def _parts(path: str) -> list[str]:
    return [part for part in path.split("/") if part not in ("", ".")][::-1]


def _check(found: os.stat_result, fd: int, path: str, *, sticky: bool = False) -> None:
    _check_owner(found, path)
    writers = _writers(found)
    if writers and not (sticky and _sticky(found)) and not _on_read_only_mount(fd):
        bits = "go-w" if len(writers) > 1 else f"{writers[0][0]}-w"
        raise UntrustedError(
            f"{path} can be changed by {' and '.join(writers)} (mode {found.st_mode & 0o7777:04o}, "
            f"group {found.st_gid})",
            f"chmod {bits} {path}",
        )


def _check_names(found: os.stat_result, folder_fd: int, path: str) -> None:
    if found.st_nlink > 1 and _sticky(os.fstat(folder_fd)):
        raise UntrustedError(
            f"{path} has {found.st_nlink} names, and anyone may have put it there",
            "move it out of the directory that all may write",
        )


def _check_owner(found: os.stat_result, path: str) -> None:
    if found.st_uid in (0, os.geteuid()):
        return
    hint = ""
    if found.st_uid == _OVERFLOW and _some_ids_unmapped():
        hint = ", which in this user namespace may stand for any id that it does not map"
    raise UntrustedError(
        f"{path} belongs to uid {found.st_uid}, which is neither root nor the agent's own user "
        f"(uid {os.geteuid()}){hint}",
        f"chown {os.geteuid()} {path}",
    )


def _writers(found: os.stat_result) -> list[str]:
    writers = []
    own_group = os.geteuid() != 0 and found.st_gid == os.getegid()
    if found.st_mode & stat.S_IWGRP and not own_group:
        writers.append("group")
    if found.st_mode & stat.S_IWOTH:
        writers.append("others")
    return writers


def _sticky(found: os.stat_result) -> bool:
    return bool(found.st_mode & stat.S_ISVTX) and bool(_writers(found))


def _on_read_only_mount(fd: int) -> bool:
    return bool(os.fstatvfs(fd).f_flag & os.ST_RDONLY)


def _some_ids_unmapped() -> bool:
    try:
        with open("/proc/self/uid_map", encoding="ascii") as file:
            return _WHOLE not in file.read()
    except OSError:
        return False


def _content(fd: int, path: str, limit: int) -> bytes:
    chunks, left = [], limit + 1
    while left and (chunk := os.read(fd, min(left, _CHUNK))):
        chunks.append(chunk)
        left -= len(chunk)
    if not left:
        raise UsageError(f"{path} is larger than {limit} bytes")
    return b"".join(chunks)


def _unreadable(path: str, error: OSError) -> ConvergeError:
    if error.errno in (errno.ENOENT, errno.ENOTDIR):
        return MissingError(f"there is no {path}")
    return UsageError(f"{path} cannot be read: {error.strerror}")
