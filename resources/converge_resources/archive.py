"""The kind `archive`: a directory with what a tar or zip file holds."""

from __future__ import annotations

from converge import probe
from converge.provider import Change, Provider, State, Unmanageable, each, reading
from converge_resources.archives import source as archive_source
from converge_resources.paths import remote, trees
from converge_resources.paths.owners import Owners
from converge_resources.paths.remote import RemoteSpec

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Mapping, Sequence
    from typing import Annotated, Any, Literal

    from converge.fields import AbsolutePath, Doc, Owner
    from converge.system import ReadOnlySystem, System


class ArchiveSpec(RemoteSpec):
    """A directory with what a tar (plain, gz, bz2, xz) or zip file holds, safely extracted."""

    name: Annotated[AbsolutePath, Doc("Path of the directory that it is extracted into.")]
    state: Annotated[
        Literal["present", "absent"], Doc("Absent: what was extracted is removed.")
    ] = "present"
    source: Annotated[
        AbsolutePath | None, Doc("The archive as a file of this machine, instead of a `url`.")
    ] = None
    strip: Annotated[int, Doc("How many leading steps of each path are left out.")] = 0
    owner: Annotated[Owner | None, Doc("User name or id of all that is extracted.")] = None
    group: Annotated[Owner | None, Doc("Group name or id of all that is extracted.")] = None
    creates: Annotated[
        AbsolutePath | None,
        Doc("Where nothing is noted of an extraction: if this is there, it has been done."),
    ] = None
    max_files: Annotated[int, Doc("The most members that it may hold.")] = 10000
    max_size: Annotated[int, Doc("The most bytes that may come out of it.")] = 4 << 30
    backup: Annotated[bool, Doc("Keep the old content of what is replaced or removed.")] = True
    force: Annotated[bool, Doc("Replace what is of another type than in the archive.")] = False
    managed: Annotated[
        Sequence[str], Doc("Filled in by the compiler: paths below that other resources manage.")
    ] = ()

    def problems(self) -> Iterable[tuple[str, str]]:
        """Say what does not go together."""
        yield from super().problems()
        if self.managed:
            yield "managed", "`managed` is filled in by the compiler"
        if self.url is not None and self.source is not None:
            yield "source", "`url` and `source` exclude each other"
        if self.state == "present" and self.url is None and self.source is None:
            yield "url", "an archive comes from a `url` or a `source`"
        if self.strip < 0 or self.max_files < 1 or self.max_size < 1:
            yield "strip", "`strip` is at least 0, `max_files` and `max_size` at least 1"


class ArchiveState(State):
    """What was extracted, as it was noted. `wrong`: relative paths that are no longer so."""

    digest: str | None = None
    version: str | None = None  # `current`, `outdated`, or `incomplete` after a failure
    strip: int | None = None
    wrong: tuple[str, ...] | None = None
    deletes: int | None = None  # how many entries go if it is removed; never managed


class ArchiveProvider(Provider[ArchiveSpec, ArchiveState]):
    """Extracts archives, and keeps what they brought as it was."""

    kind = "archive"
    spec = ArchiveSpec
    needed = False

    def desired(self, spec: ArchiveSpec) -> ArchiveState | None:
        """Return that all of it is there: by its digest, else as current."""
        if spec.state == "absent":
            return None
        version = "current" if spec.digest is None else None
        return ArchiveState(digest=spec.digest, version=version, strip=spec.strip, wrong=())

    def adopt(self, spec: ArchiveSpec, claimed: Collection[str]) -> ArchiveSpec:
        """Learn which of the paths that the catalog manages lie below. Pure."""
        return spec.__replace__(managed=trees.below(spec.name, claimed))

    def inspect(
        self, specs: Sequence[ArchiveSpec], system: ReadOnlySystem
    ) -> Mapping[str, ArchiveState | Unmanageable]:
        """Compare what is there with what was noted when it was extracted."""
        owners = Owners(system)
        return reading(specs, lambda spec: _read(spec, system, owners))

    def apply(self, changes: Sequence[Change[ArchiveSpec, ArchiveState]], system: System) -> None:
        """Extract each archive, or remove what it brought."""
        owners = Owners(system)
        each(changes, lambda change: archive_source.apply(change, system, owners))

    def obstacles(
        self, changes: Sequence[Change[ArchiveSpec, ArchiveState]], system: ReadOnlySystem
    ) -> Mapping[str, Unmanageable]:
        """Say into which directories this container does not let us extract."""
        owners = Owners(system)

        def obstacle(change: Change[ArchiveSpec, ArchiveState]) -> Unmanageable | None:
            inside = f"{change.spec.name.rstrip('/')}/x"
            uid, gid = owners.known(change.spec.owner, change.spec.group)
            return probe.writable(system, inside) or probe.attributes(
                system, inside, owner=uid, group=gid, mode=True, new=True
            )

        return trees.probing(changes, obstacle)

    def depends(self, spec: ArchiveSpec) -> Iterable[str]:
        """An archive goes after its directories, owner and group, and what it is made of."""
        yield from trees.needs_before(spec.name, spec.owner, spec.group)
        yield f"directory:{spec.name}"
        yield from (f"file:{path}" for path in spec.files())
        if spec.source is not None:
            yield from trees.bringing(spec.source)
        yield "package:ca-certificates"

    def claims(self, spec: ArchiveSpec) -> Iterable[str]:
        """Everything below the directory that has no other owner; of `/` only what it brings."""
        return ("archive:/",) if spec.name == "/" else (f"path:{spec.name}/",)

    def deletions(self, change: Change[ArchiveSpec, ArchiveState]) -> int:
        """Count what was extracted, if it is to be removed."""
        if change.after is not None or change.before is None:
            return 0
        return change.before.deletes or 1


def _read(
    spec: ArchiveSpec, system: ReadOnlySystem, owners: Owners
) -> ArchiveState | Unmanageable | None:
    note = system.notes.get("archive", spec.name)
    if "entries" not in note:
        made = spec.state == "present" and spec.creates and system.lstat(spec.creates) is not None
        return _done(spec) if made else None
    current = _version(spec, system, note) if spec.digest is None else ""
    if isinstance(current, Unmanageable):
        return current
    digest = f"sha256:{note['digest']}" if note["digest"] else "incomplete"
    return ArchiveState(
        digest=digest,
        version=current,
        strip=note["strip"],
        wrong=archive_source.wrong(spec, system, note, owners),
        deletes=len(note["entries"]) + len(note["left"]),
    )


def _done(spec: ArchiveSpec) -> ArchiveState:
    return ArchiveState(digest=spec.digest, version="current", strip=spec.strip, wrong=())


def _version(
    spec: ArchiveSpec, system: ReadOnlySystem, note: Mapping[str, Any]
) -> str | Unmanageable:
    """Return whether what was extracted is what the archive holds now."""
    if not note["digest"]:
        return "incomplete"
    if note["origin"] != (spec.url or spec.source):
        return "outdated"
    current: bool | Unmanageable = True
    if spec.state == "present" and spec.url is not None:
        current = remote.is_current("archive", spec, system, note["digest"])
    elif spec.source is not None:
        current = archive_source.is_current(spec.source, system, note)
    if isinstance(current, Unmanageable):
        return current
    return "current" if current else "outdated"
