"""The kind `mount`: what is mounted where (mount(8)), and its line in /etc/fstab."""

from __future__ import annotations

import os

from converge.provider import Change, Provider, Spec, State, Unmanageable, each, reading
from converge_resources.mounts import fstab
from converge_resources.mounts import options as mount_options
from converge_resources.paths import trees

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence
    from typing import Annotated, Literal

    from converge.declared import Asked, Declared
    from converge.fields import AbsolutePath, Doc, Line, Matching
    from converge.mounts import Mount
    from converge.system import ReadOnlySystem, System

_BY_NAME = ("LABEL=", "UUID=", "PARTLABEL=", "PARTUUID=", "ID=")


class MountSpec(Spec):
    """A mount, or the absence of one."""

    name: Annotated[AbsolutePath, Doc("Where it is mounted: a directory, or a file for a bind.")]
    state: Annotated[
        Literal["mounted", "unmounted", "present", "absent"],
        Doc("present: its line in /etc/fstab alone; absent: neither mounted nor in /etc/fstab."),
    ] = "mounted"
    source: Annotated[
        Line | None, Doc("What is mounted: a device, `server:/path`, a path for a bind.")
    ] = None
    type: Annotated[
        Annotated[str, Matching(r"[A-Za-z0-9][A-Za-z0-9._-]*", "a type of file system")] | None,
        Doc("Type of the file system; `bind` or `rbind` for a second place of `source`."),
    ] = None
    options: Annotated[
        Sequence[Annotated[str, Matching(r"[^\s,\0]+", "one option")]],
        Doc("Options of mount(8), such as [ro, size=64m]."),
    ] = ()
    fstab: Annotated[bool, Doc("Keep its line in /etc/fstab too (`mounted`).")] = False

    def problems(self) -> Iterable[tuple[str, str]]:
        """Say what is needed, and what a container cannot do without."""
        if self.state in ("mounted", "present"):
            if self.type is None:
                yield "type", "a mount needs a `type`, such as tmpfs or bind"
            elif mount_options.binds(self.type, self.options):
                if self.source is None:
                    yield "source", "a bind needs a `source`"
                elif not self.source.startswith("/"):
                    yield "source", f"{self.source!r} is not an absolute path"
        if self.fstab and self.state != "mounted":
            yield "fstab", "`present` and `absent` manage the line by themselves"

    def what(self) -> str:
        """Return the source: by default the type's name, as for tmpfs."""
        return self.source or self.type or "none"


class MountState(State):
    """What is mounted, and the line in /etc/fstab; what is not managed is None."""

    source: str | None = None
    type: str | None = None
    options: tuple[str, ...] | None = None
    fstab: str | None = None


class MountProvider(Provider[MountSpec, MountState]):
    """Reads and makes mounts."""

    kind = "mount"
    spec = MountSpec
    needed = False
    verbs = ("mounted", "unmounted")

    def desired(self, spec: MountSpec) -> MountState | None:
        """Return the mount that is declared."""
        if spec.state in ("unmounted", "absent"):
            return None
        line = fstab.line_of(spec.what(), spec.name, spec.type or "", spec.options)
        if spec.state == "present":
            return MountState(fstab=line)
        return MountState(
            source=spec.what(), type=spec.type, options=tuple(spec.options),
            fstab=line if spec.fstab else None,
        )  # fmt: skip

    def inspect(
        self, specs: Sequence[MountSpec], system: ReadOnlySystem
    ) -> Mapping[str, MountState | Unmanageable]:
        """Read the mounts and /etc/fstab once."""
        table = system.text(fstab.PATH)

        def read(spec: MountSpec) -> MountState | None:
            found = None if spec.state == "present" else _find(spec, system)
            line = fstab.find(table, spec.name)
            if line is not None and fstab.count(table, spec.name) > 1:
                line = f"{line} (twice)"
            if found is None and (line is None or spec.state in ("mounted", "unmounted")):
                return None
            return _described(spec, found, line, system)

        return reading(specs, read)

    def obstacles(
        self, changes: Sequence[Change[MountSpec, MountState]], system: ReadOnlySystem
    ) -> Mapping[str, Unmanageable]:
        """Say what may not be mounted, unmounted or written here."""
        from converge_resources.mounts.apply import obstacle

        return trees.probing(changes, lambda change: obstacle(change, system))

    def apply(self, changes: Sequence[Change[MountSpec, MountState]], system: System) -> None:
        """Mount and unmount, and keep the lines."""
        from converge_resources.mounts.apply import apply

        each(changes, lambda change: apply(change, system))

    def depends(self, spec: MountSpec) -> Iterable[str]:
        """A mount goes after its mount point, what is mounted above it, and the source of a bind."""
        for path in (spec.name, *trees.ancestors(spec.name)):
            yield from (f"directory:{path}", f"symlink:{path}")
            if path != spec.name:
                yield f"mount:{path}"
        yield f"file:{spec.name}"
        if spec.source is not None and mount_options.binds(spec.type or "", spec.options):
            for path in (spec.source, *trees.ancestors(spec.source)):
                yield from (f"directory:{path}", f"file:{path}", f"mount:{path}")

    def claims(self, spec: MountSpec) -> Iterable[str]:
        """A mount point has one owner, and so has its line."""
        yield f"mount:{spec.name}"
        if spec.fstab or spec.state == "present":
            yield f"part:{fstab.PATH}\0mount {spec.name}"

    def deletions(self, change: Change[MountSpec, MountState]) -> int:
        """What is unmounted is not deleted."""
        return 0

    def declare(self, asked: Asked, system: ReadOnlySystem) -> Iterable[Declared]:
        """Tell of what is mounted, or should be."""
        from converge_resources.adoption import mounts

        return mounts.declare(asked, system)


def real_path(path: str, system: ReadOnlySystem) -> str:
    """Return a mount point as the kernel shows it, with no link on the way. Raises OSError."""
    if system.lstat(path) is None:
        return path
    folder, _, name = path.rpartition("/")
    return f"{system.paths.resolve(folder or '/').rstrip('/')}/{name}"


def _find(spec: MountSpec, system: ReadOnlySystem) -> Mount | None:
    return system.mounts().get(real_path(spec.name, system))


def _described(
    spec: MountSpec, found: Mount | None, line: str | None, system: ReadOnlySystem
) -> MountState:
    """Return a mount in the declared spelling where that holds, else as it is shown."""
    if found is None:
        return MountState(fstab=line)
    kind, source = found.type, found.source
    if spec.type is not None and mount_options.binds(spec.type, spec.options):
        if _is_bind_of(spec, system):
            kind, source = spec.type, spec.what()
        else:
            source = f"{found.source} {found.root}"
    elif spec.source is None or spec.source.startswith(_BY_NAME):
        source = spec.what() if kind == spec.type else source
    live = found.options
    options = tuple(spec.options)
    holds = mount_options.holding(options, live, found.type)
    return MountState(source=source, type=kind, options=options if holds else live, fstab=line)


def _is_bind_of(spec: MountSpec, system: ReadOnlySystem) -> bool:
    """Tell whether the mount point and the source are one directory or file."""
    places = [system.lstat(spec.name), system.lstat(os.path.normpath(spec.what()))]
    ids = {(found.st_dev, found.st_ino) for found in places if found is not None}
    return None not in places and len(ids) == 1
