"""Files of our own in a private directory, each old or new, none able to stop the agent.

What cannot be read (truncated, flipped, of a newer agent, no regular file), or could be written by
somebody else, is set aside as NAME.corrupt-RANDOM and counts as not there: everything kept here can
be made again.
"""

from __future__ import annotations

import errno
import os
import stat
import zlib

from converge import jsontext
from converge.files import atomic

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

VERSION = 1
MOST_CORRUPT = 5
_STALE = 3600.0  # seconds; no write takes as long
_CHUNK = 1 << 20
_LIMIT = 256 << 20  # bytes; nothing of ours is larger
_WORD = b"converge-state"
_OTHERS_WRITE = 0o022
_READ = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC


class Store:
    """A private directory, to be read and (unless `read_only`) written. Names may have one slash."""

    def __init__(self, path: str, *, read_only: bool = False) -> None:
        self.path = path
        self._read_only = read_only

    @property
    def is_read_only(self) -> bool:
        """Whether nothing may be changed here (a dry run)."""
        return self._read_only

    def names(self, folder: str) -> list[str]:
        """Return the names of the files in a folder of it, sorted; empty if there is none."""
        try:
            return sorted(os.listdir(os.path.join(self.path, folder)))
        except OSError:
            return []

    def read(self, name: str) -> bytes | None:
        """Return the content under `name`; None: there is none that can be read."""
        try:
            fd = os.open(os.path.join(self.path, name), _READ)
        except OSError as error:
            if error.errno == errno.ELOOP:
                self.set_aside(name)
            return None
        try:
            found = os.fstat(fd)
            if stat.S_ISREG(found.st_mode) and found.st_size <= _LIMIT and _is_ours(found):
                return b"".join(iter(lambda: os.read(fd, _CHUNK), b""))
        except OSError:
            return None
        finally:
            os.close(fd)
        self.set_aside(name)
        return None

    def write(self, name: str, data: bytes, *, durable: bool = True) -> None:
        """Put `data` under `name`, old or new at every instant. Raises OSError.

        What is not `durable` may be lost, or damaged, if the power fails: it can be made again.
        """
        folder, _, base = name.rpartition("/")
        with self._open(folder, make=True) as folder_fd:
            atomic.replace(folder_fd, base, data, durable=durable)

    def remove(self, name: str) -> None:
        """Remove what is under `name`, durably; it is no error if there is nothing."""
        folder, _, base = name.rpartition("/")
        try:
            with self._open(folder) as folder_fd:
                os.unlink(base, dir_fd=folder_fd)
                atomic.sync_directory(folder_fd)
        except FileNotFoundError:
            return

    def read_json(self, name: str) -> Any | None:
        """Return what `write_json` kept; None: nothing, or it was damaged and is set aside."""
        content = self.read(name)
        if content is None:
            return None
        header, _, body = content.partition(b"\n")
        if header != _header(body):
            self.set_aside(name)
            return None
        return self.parse(name, body)

    def write_json(self, name: str, data: Any, *, durable: bool = True) -> None:
        """Keep plain data under a line with the version and the checksum. Raises OSError."""
        body = jsontext.dumps(data).encode()
        self.write(name, _header(body) + b"\n" + body, durable=durable)

    def set_aside(self, name: str) -> None:
        """Move a damaged file out of the way as NAME.corrupt-RANDOM; keep the last five in all."""
        if self._read_only:
            return
        path = os.path.join(self.path, name)
        try:
            os.rename(path, f"{path}.corrupt-{os.urandom(4).hex()}")
            folder = os.path.dirname(path)
            names = [name for name in os.listdir(folder) if ".corrupt-" in name]
            drop_oldest(folder, names, MOST_CORRUPT)
        except OSError:
            return  # a state that cannot be written is read as if the file were not there

    def mend(self, *folders: str) -> None:
        """Set aside what lies where one of these belongs, and is no directory."""
        for name in folders:
            try:
                found = os.lstat(os.path.join(self.path, name))
            except OSError:
                continue
            if not stat.S_ISDIR(found.st_mode):
                self.set_aside(name)

    def sweep(self, *folders: str) -> None:
        """Remove what killed writes left staged here over an hour ago: not all are under one lock."""
        for folder in folders:
            try:
                with self._open(folder) as folder_fd:
                    atomic.sweep(folder_fd, age=_STALE)
            except OSError:
                continue

    def _open(self, folder: str, *, make: bool = False) -> _Open:
        if self._read_only:
            raise OSError(errno.EROFS, "the state is only read in a dry run", self.path)
        path = os.path.join(self.path, folder)
        if make and folder:
            self.mend(folder)
            os.makedirs(path, mode=0o700, exist_ok=True)
        return _Open(os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC))

    def parse(self, name: str, content: bytes) -> Any | None:
        """Return the JSON that was read from `name`; None: it is none, and is set aside."""
        try:
            return jsontext.loads(content)
        except (ValueError, RecursionError):
            self.set_aside(name)
            return None


def _is_ours(found: os.stat_result) -> bool:
    """Tell whether only root and the agent's own user can have written a file, or can now."""
    return found.st_uid in (0, os.geteuid()) and not found.st_mode & _OTHERS_WRITE


class _Open:
    """A descriptor that is closed at the end of a `with`."""

    def __init__(self, fd: int) -> None:
        self._fd = fd

    def __enter__(self) -> int:
        return self._fd

    def __exit__(self, *_: object) -> None:
        os.close(self._fd)


def _header(body: bytes) -> bytes:
    return b"%b %d %08x" % (_WORD, VERSION, zlib.crc32(body))


def newest_first(folder: str, names: list[str]) -> list[str]:
    """Return names of files in a directory by when each was put there. Raises OSError."""
    ages = {name: os.lstat(os.path.join(folder, name)).st_ctime_ns for name in names}
    return sorted(names, key=lambda name: (ages[name], name), reverse=True)


def drop_oldest(folder: str, names: list[str], most: int) -> None:
    """Remove all but the newest of these files. Raises OSError."""
    for name in newest_first(folder, names)[most:]:
        os.unlink(os.path.join(folder, name))
