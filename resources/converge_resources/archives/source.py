"""From an archive to what is noted of it: fetched or opened, planned, extracted, remembered."""

from __future__ import annotations

import os
import stat
from contextlib import contextmanager

from converge.errors import ApplyError
from converge_resources.archives import files as archive_files
from converge_resources.archives.members import DIRECTORY, members
from converge_resources.archives.plan import plan
from converge_resources.paths import remote, trees

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from typing import Any

    from converge.provider import Change
    from converge.system import ReadOnlySystem, System
    from converge_resources.archive import ArchiveSpec, ArchiveState
    from converge_resources.archives.plan import Entry
    from converge_resources.paths.owners import Owners


def apply(change: Change[ArchiveSpec, ArchiveState], system: System, owners: Owners) -> None:
    """Extract one archive, or remove what it brought. Raises ApplyError, OSError."""
    spec = change.spec
    note = system.notes.get("archive", spec.name)
    if change.after is None:
        archive_files.remove(spec, system, {**note["entries"], **dict.fromkeys(note["left"])})
        system.notes.put("archive", spec.name, {})
        return
    trees.require_parent(system, spec.name)
    owner = owners.ids(spec.owner, spec.group)
    with _opened(spec, system) as (fd, origin):
        limits = {"most_bytes": spec.max_size, "most_files": spec.max_files}
        with members(fd, **limits) as found:
            entries = plan(found, strip=spec.strip, **limits)
        _check_protected(spec, entries)
        extraction = archive_files.Extraction(spec, system, owner)
        done = False
        try:
            with members(fd, **limits) as found:
                extraction.run(entries, found)
            done = True
        finally:
            fresh = _note(spec, note, extraction.manifest, origin)
            system.notes.put("archive", spec.name, fresh if done else {**fresh, "digest": ""})
    system.notes.run["archive", spec.name] = (spec.url, origin["digest"])


def wrong(
    spec: ArchiveSpec, system: ReadOnlySystem, note: Mapping[str, Any], owners: Owners
) -> tuple[str, ...]:
    """Return the paths that are no longer as they were noted. Raises OSError."""
    if spec.state == "absent":
        return ()
    manifest = {path: list(noted) for path, noted in note["entries"].items()}
    found = archive_files.differing(spec, system, manifest, owners.known(spec.owner, spec.group))
    system.notes.put("archive", spec.name, {**note, "entries": manifest})
    return found


def is_current(source: str, system: ReadOnlySystem, note: Mapping[str, Any]) -> bool:
    """Tell whether the file that was extracted is still the same, or has gone. Raises OSError."""
    fd = system.open_file(source, follow=True)
    if fd is None:
        return True  # what it brought is here: it may have been cleaned up
    try:
        return bool(_stamp(fd) == note["stamp"] or archive_files.digest(fd) == note["digest"])
    finally:
        os.close(fd)


def _note(
    spec: ArchiveSpec, old: Mapping[str, Any], manifest: archive_files.Manifest, origin: Any
) -> dict[str, Any]:
    """Return what to remember; `left`: what earlier versions brought and this one did not."""
    earlier = {*old.get("entries", {}), *old.get("left", ())}
    return {
        "entries": manifest,
        "left": sorted(earlier - manifest.keys()),
        "strip": spec.strip,
        "origin": spec.url or spec.source,
        **origin,
    }


@contextmanager
def _opened(spec: ArchiveSpec, system: System) -> Iterator[tuple[int, dict[str, Any]]]:
    """Lend a descriptor of the archive, with its digest and what tells whether it has changed."""
    if spec.source is not None:
        with _file(spec.source, spec.sha256, system) as lent:
            yield lent
        return
    fd = system.scratch(_nearest(spec.name, system))
    try:
        answer = remote.fetch_into(spec, system, fd)
        yield (
            fd,
            {
                "digest": answer.digest,
                "url": spec.url,
                "etag": answer.etag,
                "last_modified": answer.last_modified,
            },
        )
    finally:
        os.close(fd)


@contextmanager
def _file(path: str, declared: str | None, system: System) -> Iterator[tuple[int, dict[str, Any]]]:
    fd = system.open_file(path, follow=True)
    if fd is None:
        raise ApplyError(f"there is no {path}", "declare what brings it, and `require` that")
    try:
        digest = archive_files.digest(fd)
        if declared not in (None, digest):
            raise ApplyError(
                f"{path} has the digest sha256:{digest}, not sha256:{declared}",
                "correct `digest`, or bring the file that is meant",
            )
        yield fd, {"digest": digest, "stamp": _stamp(fd)}
    finally:
        os.close(fd)


def _stamp(fd: int) -> list[int]:
    found = os.fstat(fd)
    return [found.st_size, found.st_mtime_ns]


def _nearest(path: str, system: ReadOnlySystem) -> str:
    found = system.lstat(path)
    return path if found is not None and stat.S_ISDIR(found.st_mode) else os.path.dirname(path)


def _check_protected(spec: ArchiveSpec, entries: Mapping[str, Entry]) -> None:
    """Refuse an archive that would replace the agent, or what the container cannot do without."""
    from converge.language import protect

    own = protect.own_paths(None)
    for path, entry in entries.items():
        kind = {"directory": "directory", "symlink": "symlink"}.get(entry.type, "file")
        mode = {} if entry.type == DIRECTORY else {"mode": f"{entry.mode:04o}"}
        trouble = protect.problem(kind, None, archive_files.at(spec.name, path), mode, own)
        if trouble:
            raise ApplyError(f"the archive is not extracted: {trouble}")
