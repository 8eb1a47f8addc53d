"""Old contents, kept before they are replaced: no backup, no change.

    backups/objects/SHA256   the content, once however often it was met
    backups/index            one JSON line a backup: time, path, digest, mode, uid, gid

The store is capped by bytes and by age; the first backup of a path (the original) outlives both.
"""

from __future__ import annotations

import hashlib
import json
import os
import time
from typing import Any

from converge import atomic
from converge.errors import ApplyError

_CHUNK = 1 << 20


class Backups:
    """The store below one directory of the state (0700, of the agent's own user)."""

    def __init__(self, folder: str, most_bytes: int = 64 << 20, most_days: int = 90) -> None:
        self.folder = folder
        self.most_bytes = most_bytes
        self.most_days = most_days

    def keep(self, path: str, fd: int) -> str:
        """Keep the file open at `fd` as a backup of `path`; return its digest, hex SHA-256.

        Raises ApplyError if it cannot be kept.
        """
        found = os.fstat(fd)
        if found.st_size > self.most_bytes:
            raise ApplyError(
                f"{path}: {found.st_size} bytes are more than the backups may hold",
                "set `backup: false` on the resource, or raise `backup_bytes`",
            )
        try:
            digest = self._store(fd)
            entry = {
                "time": time.time(),
                "path": path,
                "digest": digest,
                "size": found.st_size,
                "mode": f"{found.st_mode & 0o7777:04o}",
                "uid": found.st_uid,
                "gid": found.st_gid,
            }
            self._append(entry)
        except OSError as error:
            raise ApplyError(
                f"{path}: no backup can be made in {self.folder}: {error.strerror}",
                "make room there, or set `backup: false` on the resource",
            ) from error
        return digest

    def read(self, digest: str) -> bytes:
        """Return a kept content. Raises ApplyError if it is not what it was."""
        with open(os.path.join(self.folder, "objects", digest), "rb") as file:
            data = file.read()
        if hashlib.sha256(data).hexdigest() != digest:
            raise ApplyError(f"the backup {digest} is damaged")
        return data

    def entries(self) -> list[dict[str, Any]]:
        """Return the index, oldest first; lines that cannot be read are passed over."""
        try:
            with open(os.path.join(self.folder, "index"), encoding="utf-8") as file:
                lines = file.read().splitlines()
        except FileNotFoundError:
            return []
        found = []
        for line in lines:
            try:
                entry = json.loads(line)
                if entry["digest"] and entry["path"] and entry["size"] >= 0 and entry["time"]:
                    found.append(entry)
            except (ValueError, KeyError, TypeError):
                continue  # a line torn by a power cut
        return found

    def prune(self) -> None:
        """Drop what is too old or too much, never the only copy of an original."""
        entries = self.entries()
        originals = {entry["path"]: i for i, entry in reversed(list(enumerate(entries)))}
        oldest = time.time() - self.most_days * 86400
        kept: list[dict[str, Any]] = []
        sizes: dict[str, int] = {}
        for i in sorted(range(len(entries)), key=lambda i: (i not in originals.values(), -i)):
            entry = entries[i]
            total = sum(sizes.values()) + entry["size"] * (entry["digest"] not in sizes)
            if originals[entry["path"]] == i or (
                entry["time"] >= oldest and total <= self.most_bytes
            ):
                kept.append(entry)
                sizes[entry["digest"]] = entry["size"]
        if len(kept) < len(entries):
            self._rewrite(sorted(kept, key=lambda entry: entry["time"]), set(sizes))

    def _rewrite(self, entries: list[dict[str, Any]], digests: set[str]) -> None:
        folder_fd = os.open(self.folder, os.O_RDONLY | os.O_DIRECTORY)
        try:
            text = "".join(json.dumps(entry) + "\n" for entry in entries)
            atomic.replace(folder_fd, "index", text.encode())
        finally:
            os.close(folder_fd)
        objects = os.path.join(self.folder, "objects")
        for name in set(os.listdir(objects)) - digests:
            os.unlink(os.path.join(objects, name))

    def _store(self, fd: int) -> str:
        objects = os.path.join(self.folder, "objects")
        os.makedirs(objects, mode=0o700, exist_ok=True)
        os.lseek(fd, 0, os.SEEK_SET)
        data = b"".join(iter(lambda: os.read(fd, _CHUNK), b""))
        digest = hashlib.sha256(data).hexdigest()
        if not os.path.exists(os.path.join(objects, digest)):
            objects_fd = os.open(objects, os.O_RDONLY | os.O_DIRECTORY)
            try:
                atomic.replace(objects_fd, digest, data)
            finally:
                os.close(objects_fd)
        return digest

    def _append(self, entry: dict[str, Any]) -> None:
        flags = os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW
        fd = os.open(os.path.join(self.folder, "index"), flags, 0o600)
        try:
            atomic.write_all(fd, (json.dumps(entry) + "\n").encode())
            os.fsync(fd)
        finally:
            os.close(fd)
