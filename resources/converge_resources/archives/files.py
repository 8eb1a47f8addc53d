"""What an archive has brought: written below its directory, noted, and compared with that later."""

from __future__ import annotations

import os
import stat
from contextlib import contextmanager

from converge import stopping
from converge.errors import ApplyError, StoppedError
from converge.files import digests
from converge_resources.archives.members import DIRECTORY, HARD_LINK, SYMLINK
from converge_resources.archives.stream import ArchiveError
from converge_resources.paths import trees

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from typing import Any

    from converge.system import ReadOnlySystem, System
    from converge_resources.archive import ArchiveSpec
    from converge_resources.archives.members import Member
    from converge_resources.archives.plan import Entry

    # path → [type], or [type, size, mtime in ns, mode, SHA-256], or [type, target of the link]
    Manifest = dict[str, list[Any]]

_CHUNK = 64 << 10
_MOST_IN_MEMORY = 1 << 20
_NEW_DIRECTORY = 0o755


class Extraction:
    """Writes what a plan says. `manifest` holds what is there so far.

    What holds already is not written again. Raises ApplyError, OSError.
    """

    def __init__(
        self, spec: ArchiveSpec, system: System, owner: tuple[int | None, int | None]
    ) -> None:
        self.manifest: Manifest = {}
        self._spec = spec
        self._system = system
        self._uid, self._gid = owner
        self._managed = frozenset(spec.managed)

    def run(self, entries: Mapping[str, Entry], members: Iterator[Member]) -> None:
        """Write all entries, taking the content of each from the archive in its order."""
        self._directory(self._spec.name)
        for path, entry in entries.items():
            if entry.type == DIRECTORY:
                self._directory(self._at(path))
                self.manifest[path] = [DIRECTORY]
        sources = {entry.source: entry for entry in entries.values() if entry.type != DIRECTORY}
        for number, member in enumerate(members):
            if stopping.requested():
                raise StoppedError("the run was asked to stop")
            wanted = sources.get(number)
            if wanted is not None and self._at(wanted.path) not in self._managed:
                self._write(wanted, member)

    def _at(self, path: str) -> str:
        return at(self._spec.name, path)

    def _directory(self, path: str) -> None:
        found = self._system.lstat(path)
        if found is not None and not stat.S_ISDIR(found.st_mode):
            self._clear(path, found)
            found = None
        if found is None:
            self._system.make_directory(path, uid=self._uid, gid=self._gid, mode=_NEW_DIRECTORY)
        else:
            self._system.sweep(path)  # what a killed run staged here
        if found is not None and path != self._spec.name:
            self._system.set_attributes(path, uid=self._uid, gid=self._gid)

    def _clear(self, path: str, found: os.stat_result) -> None:
        """Remove what is of another type, if that may be."""
        trees.check_force(path, trees.describe(found), force=self._spec.force)
        trees.remove_any(self._system, path, keep=self._spec.backup)

    def _write(self, entry: Entry, member: Member) -> None:
        path = self._at(entry.path)
        if entry.type == SYMLINK:
            self._link(path, entry.target)
            self.manifest[entry.path] = [SYMLINK, entry.target]
            return
        with self._content(entry, member) as (fd, data, digest):
            self._file(path, entry.mode, fd, data, digest)
        self.manifest[entry.path] = _noted(self._system, path, digest)

    def _link(self, path: str, target: str) -> None:
        found = self._system.lstat(path)
        if found is not None and not stat.S_ISLNK(found.st_mode):
            self._clear(path, found)
        if self._system.readlink(path) != target:
            self._system.make_symlink(path, target, uid=self._uid, gid=self._gid)
        elif self._uid is not None or self._gid is not None:
            self._system.set_link_owner(path, uid=self._uid, gid=self._gid)

    def _file(self, path: str, mode: int, fd: int | None, data: bytes | None, digest: str) -> None:
        found = self._system.lstat(path)
        if found is not None and not stat.S_ISREG(found.st_mode):
            self._clear(path, found)
        elif found is not None and self._system.digest(path) == digest:
            self._system.set_attributes(path, uid=self._uid, gid=self._gid, mode=mode)
            return
        self._system.write(
            path, data, source_fd=fd, uid=self._uid, gid=self._gid, mode=mode,
            backup=self._spec.backup,
        )  # fmt: skip

    @contextmanager
    def _content(
        self, entry: Entry, member: Member
    ) -> Iterator[tuple[int | None, bytes | None, str]]:
        """Lend (descriptor, None) or (None, bytes) of a content, and its digest."""
        if entry.type == HARD_LINK:
            fd = self._system.open_file(self._at(entry.target))
            if fd is None:
                raise ApplyError(f"{entry.path!r}: the file that it is a link to has gone")
        elif member.size <= _MOST_IN_MEMORY:
            data = b"".join(_chunks(member))
            yield None, data, digests.of(data)
            return
        else:
            fd = self._system.scratch(self._spec.name)
        try:
            if entry.type != HARD_LINK:
                _spool(member, fd)
            yield fd, None, digest(fd)
        finally:
            os.close(fd)


def at(folder: str, path: str) -> str:
    """Return the absolute path of what lies below a directory."""
    return f"{folder.rstrip('/')}/{path}"


def differing(
    spec: ArchiveSpec,
    system: ReadOnlySystem,
    manifest: Manifest,
    owner: tuple[int | None, int | None],
) -> tuple[str, ...]:
    """Return the paths that are not as they were noted, or not of the declared owner.

    A file is read only if its time of change differs; the manifest then learns the new one.
    Raises OSError.
    """
    managed = set(spec.managed)
    wrong = []
    for path, noted in manifest.items():
        absolute = at(spec.name, path)
        if absolute in managed:
            continue
        found = system.lstat(absolute)
        if found is None or not _owned(found, owner) or not _same(system, absolute, found, noted):
            wrong.append(path)
    return tuple(wrong)


def remove(spec: ArchiveSpec, system: System, paths: Mapping[str, Any]) -> None:
    """Remove what an archive brought, and the directories that are then empty; never another's."""
    managed = set(spec.managed)
    for path in sorted(paths, key=lambda path: path.count("/"), reverse=True):
        absolute = at(spec.name, path)
        found = system.lstat(absolute)
        if found is None or absolute in managed:
            continue
        if not stat.S_ISDIR(found.st_mode):
            system.remove(absolute, backup=spec.backup)
        elif not system.list(absolute):
            system.remove_tree(absolute, backup=spec.backup)


def _owned(found: os.stat_result, owner: tuple[int | None, int | None]) -> bool:
    return owner[0] in (None, found.st_uid) and owner[1] in (None, found.st_gid)


def _same(system: ReadOnlySystem, path: str, found: os.stat_result, noted: list[Any]) -> bool:
    """Tell whether a path is as it was noted."""
    if trees.describe(found) != noted[0]:
        return False
    if noted[0] == SYMLINK:
        return bool(system.readlink(path) == noted[1])
    if noted[0] == DIRECTORY:
        return True
    if (found.st_size, stat.S_IMODE(found.st_mode)) != (noted[1], noted[3]):
        return False
    if found.st_mtime_ns != noted[2]:
        if system.digest(path) != noted[4]:
            return False
        noted[2] = found.st_mtime_ns
    return True


def _noted(system: ReadOnlySystem, path: str, digest: str) -> list[Any]:
    found = system.lstat(path)
    if found is None:
        raise ApplyError(f"{path} has gone")
    return ["file", found.st_size, found.st_mtime_ns, stat.S_IMODE(found.st_mode), digest]


def _chunks(member: Member) -> Iterator[bytes]:
    """Yield the content of a member, exactly as much as was announced. Raises ArchiveError."""
    if member.read is None:
        raise ArchiveError(f"{member.path!r} has no content")
    total = 0
    with member.read() as content:
        while chunk := content.read(_CHUNK):
            total += len(chunk)
            if total > member.size:
                break
            yield chunk
    if total != member.size:
        raise ArchiveError(f"{member.path!r} has another size than announced")


def _spool(member: Member, fd: int) -> None:
    from converge.files import atomic

    for chunk in _chunks(member):
        atomic.write_all(fd, chunk)


def digest(fd: int) -> str:
    """Return the SHA-256, in hex, of an open file."""
    import hashlib

    os.lseek(fd, 0, os.SEEK_SET)
    with os.fdopen(fd, "rb", closefd=False) as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
