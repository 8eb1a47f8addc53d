"""Old contents, kept before they are replaced: no backup, no change.

    backups/objects/SHA256   the content, once however often it was met
    backups/index            one JSON line a backup: time, path, digest, mode, uid, gid

The store is capped by bytes and by age; the first backup of a path (the original) outlives both.
"""

from __future__ import annotations

import os
import time

from converge import jsontext
from converge.errors import ApplyError
from converge.files import atomic
from converge.record import Record

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import Any

_CHUNK = 1 << 20
_FOLDER = os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC


class Kept(Record):
    """A copy that is no backup yet: `staged` is its temporary name, empty if it was there already."""

    path: str
    digest: str
    staged: str
    entry: dict[str, Any]


class Backups:
    """The store below one directory of the state (0700, of the agent's own user)."""

    def __init__(self, folder: str, most_bytes: int = 64 << 20, most_days: int = 90) -> None:
        self.folder = folder
        self._objects = os.path.join(folder, "objects")
        self.most_bytes = most_bytes
        self.most_days = most_days

    def keep(self, path: str, fd: int) -> str:
        """Keep the file open at `fd` as a backup of `path`; return its digest, hex SHA-256.

        Raises ApplyError if it cannot be kept.
        """
        kept = self.begin(path, fd)
        self.finish([kept])
        return kept.digest

    def begin(self, path: str, fd: int) -> Kept:
        """Copy the file open at `fd`; it is a backup of `path` after `finish`. Raises ApplyError."""
        found = os.fstat(fd)
        try:
            if found.st_size > self.most_bytes:
                raise _TooLargeError
            for folder in (self.folder, self._objects):
                os.makedirs(folder, mode=0o700, exist_ok=True)
            staged, digest, size = self._stage(fd)
        except _TooLargeError:
            raise ApplyError(
                f"{path}: {found.st_size} bytes are more than the backups may hold",
                "set `backup: false` on it, raise `backup_bytes`, or have the state on a larger disk",
            ) from None
        except OSError as error:
            raise self._error(path, error) from error
        entry = {
            "time": time.time(), "path": path, "digest": digest, "size": size,
            "mode": f"{found.st_mode & 0o7777:04o}", "uid": found.st_uid, "gid": found.st_gid,
        }  # fmt: skip
        return Kept(path=path, digest=digest, staged=staged, entry=entry)

    def finish(self, kept: Sequence[Kept]) -> None:
        """Make copies durable, together, and then the index that names them. Raises ApplyError."""
        try:
            objects_fd = os.open(self._objects, _FOLDER)
            try:
                self._put(objects_fd, [one for one in kept if one.staged])
            finally:
                os.close(objects_fd)
            self._append([one.entry for one in kept])
        except OSError as error:
            raise self._error(kept[0].path, error) from error

    def discard(self, kept: Kept) -> None:
        """Give up a copy."""
        if not kept.staged:
            return
        objects_fd = os.open(self._objects, _FOLDER)
        try:
            atomic.discard(objects_fd, kept.staged)
        finally:
            os.close(objects_fd)

    def _error(self, path: str, error: OSError) -> ApplyError:
        return ApplyError(
            f"{path}: no backup can be made in {self.folder}: {error.strerror}",
            "make room there, or set `backup: false` on the resource",
        )

    def read(self, digest: str) -> bytes:
        """Return a kept content. Raises ApplyError if it is not what it was."""
        try:
            with open(os.path.join(self._objects, digest), "rb") as file:
                data = file.read()
        except OSError as error:
            raise ApplyError(f"the backup {digest} cannot be read: {error.strerror}") from error
        import hashlib

        if hashlib.sha256(data).hexdigest() != digest:
            raise ApplyError(f"the backup {digest} is damaged")
        return data

    def entries(self) -> list[dict[str, Any]]:
        """Return the index, oldest first; lines that cannot be read are passed over."""
        try:
            with open(os.path.join(self.folder, "index"), "rb") as file:
                lines = file.read().splitlines()
        except FileNotFoundError:
            return []
        found = []
        for line in lines:
            try:
                entry = jsontext.loads(line)
                names = isinstance(entry["path"], str) and isinstance(entry["digest"], str)
                if names and entry["size"] >= 0 and entry["time"] > 0:
                    found.append(entry)
            except (ValueError, KeyError, TypeError):
                continue  # a line torn by a power cut
        return found

    def prune(self) -> None:
        """Drop what is too old or too much, never the only copy of an original. Raises OSError."""
        entries = self.entries()
        first = set({entry["path"]: i for i, entry in reversed([*enumerate(entries)])}.values())
        oldest = time.time() - self.most_days * 86400
        kept: list[int] = []
        digests: set[str] = set()
        total = 0
        for i in sorted(range(len(entries)), key=lambda i: (i not in first, -i)):
            entry = entries[i]
            size = 0 if entry["digest"] in digests else entry["size"]
            if i in first or (entry["time"] >= oldest and total + size <= self.most_bytes):
                kept.append(i)
                digests.add(entry["digest"])
                total += size
        if len(kept) < len(entries):
            self._rewrite([entries[i] for i in sorted(kept)], digests)

    def sweep(self) -> None:
        """Remove what a killed run left staged in the store. Call it only under the lock."""
        for folder in (self.folder, self._objects):
            try:
                folder_fd = os.open(folder, _FOLDER)
            except FileNotFoundError:
                continue
            try:
                atomic.sweep(folder_fd)
            finally:
                os.close(folder_fd)

    def _rewrite(self, entries: list[dict[str, Any]], digests: set[str]) -> None:
        folder_fd = os.open(self.folder, _FOLDER)
        try:
            text = "".join(jsontext.dumps(entry) + "\n" for entry in entries)
            atomic.replace(folder_fd, "index", text.encode())
        finally:
            os.close(folder_fd)
        for name in set(os.listdir(self._objects)) - digests:
            os.unlink(os.path.join(self._objects, name))

    def _stage(self, fd: int) -> tuple[str, str, int]:
        """Copy a file into the store; return (its temporary name there, digest, size).

        The name is empty if the content is there already. The memory used is bounded.
        """
        objects_fd = os.open(self._objects, _FOLDER)
        staged = atomic.temporary_name()
        try:
            copy_fd = atomic.create(objects_fd, staged)
            try:
                digest, size = self._copy(fd, copy_fd)
            finally:
                os.close(copy_fd)
            if _size(objects_fd, digest) != size:
                return staged, digest, size
            atomic.discard(objects_fd, staged)
            return "", digest, size
        except BaseException:
            atomic.discard(objects_fd, staged)
            raise
        finally:
            os.close(objects_fd)

    def _put(self, objects_fd: int, kept: Sequence[Kept]) -> None:
        fds: list[int] = []
        try:
            fds.extend(atomic.reopen(objects_fd, one.staged) for one in kept)
            for error in filter(None, atomic.sync_all(fds)):
                raise error
            for one in kept:
                os.rename(one.staged, one.digest, src_dir_fd=objects_fd, dst_dir_fd=objects_fd)
            atomic.sync_directory(objects_fd)
        except BaseException:
            for one in kept:
                atomic.discard(objects_fd, one.staged)
            raise
        finally:
            for fd in fds:
                os.close(fd)

    def _copy(self, fd: int, copy_fd: int) -> tuple[str, int]:
        os.lseek(fd, 0, os.SEEK_SET)
        import hashlib

        sha, size = hashlib.sha256(), 0
        while chunk := os.read(fd, _CHUNK):
            size += len(chunk)
            if size > self.most_bytes:  # it grows while we read
                raise _TooLargeError
            sha.update(chunk)
            atomic.write_all(copy_fd, chunk)
        return sha.hexdigest(), size

    def _append(self, entries: Sequence[dict[str, Any]]) -> None:
        flags = os.O_RDWR | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW
        fd = os.open(os.path.join(self.folder, "index"), flags, 0o600)
        try:
            end = os.fstat(fd).st_size
            torn = end and os.pread(fd, 1, end - 1) != b"\n"  # by a full disk or a kill
            lines = "".join(jsontext.dumps(entry) + "\n" for entry in entries)
            atomic.write_all(fd, b"\n" * bool(torn) + lines.encode())
            os.fsync(fd)
        finally:
            os.close(fd)


class _TooLargeError(Exception):
    """A file is larger than the store may be."""


def _size(folder_fd: int, name: str) -> int | None:
    try:
        return os.stat(name, dir_fd=folder_fd, follow_symlinks=False).st_size
    except FileNotFoundError:
        return None
