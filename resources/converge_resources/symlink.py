"""The kind `symlink`: a symbolic link (symlink(7))."""

from __future__ import annotations

import os
import stat

from converge import probe
from converge.provider import Change, Provider, Spec, State, Unmanageable, each, reading
from converge_resources.paths import trees
from converge_resources.paths.owners import Owners

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence
    from typing import Annotated, Literal

    from converge.declared import Asked, Declared
    from converge.fields import AbsolutePath, Doc, Line, Owner
    from converge.system import ReadOnlySystem, System


class SymlinkSpec(Spec):
    """A symbolic link."""

    name: Annotated[AbsolutePath, Doc("Path of the link.")]
    state: Annotated[Literal["present", "absent"], Doc("Whether it exists.")] = "present"
    target: Annotated[
        Line | None, Doc("What the link says: an absolute path, or one relative to its directory.")
    ] = None
    owner: Annotated[Owner | None, Doc("User name or id of the link itself.")] = None
    group: Annotated[Owner | None, Doc("Group name or id of the link itself.")] = None
    force: Annotated[
        bool, Doc("Replace a file (after a backup) or a whole directory in the way.")
    ] = False

    def problems(self) -> Iterable[tuple[str, str]]:
        """A link needs a target unless it is to be absent."""
        if self.name == "/":
            yield "name", "`/` is a directory"
        if self.state == "present" and not self.target:
            yield "target", "a symlink needs a `target`"


class SymlinkState(State):
    """What is at the path. Of another `type` than `symlink` nothing but the type is told."""

    type: str
    target: str | None = None
    owner: str | None = None
    group: str | None = None
    deletes: int | None = None  # how many entries go if it is removed; never managed


class SymlinkProvider(Provider[SymlinkSpec, SymlinkState]):
    """Reads and makes symbolic links."""

    kind = "symlink"
    spec = SymlinkSpec

    def desired(self, spec: SymlinkSpec) -> SymlinkState | None:
        """Return the link that is declared."""
        if spec.state == "absent":
            return None
        return SymlinkState(type="symlink", target=spec.target, owner=spec.owner, group=spec.group)

    def inspect(
        self, specs: Sequence[SymlinkSpec], system: ReadOnlySystem
    ) -> Mapping[str, SymlinkState | Unmanageable]:
        """Read what is at each path."""
        owners = Owners(system)

        def read(spec: SymlinkSpec) -> SymlinkState | None:
            found = system.lstat(spec.name)
            if found is None:
                return None
            if not stat.S_ISLNK(found.st_mode):
                deletes = trees.count(system, spec.name, found) if spec.force else None
                return SymlinkState(type=trees.describe(found), deletes=deletes)
            return SymlinkState(
                type="symlink",
                target=system.readlink(spec.name),
                owner=owners.spelled("user", spec.owner, found.st_uid),
                group=owners.spelled("group", spec.group, found.st_gid),
            )

        return reading(specs, read)

    def apply(self, changes: Sequence[Change[SymlinkSpec, SymlinkState]], system: System) -> None:
        """Make, replace or remove each link."""
        owners = Owners(system)
        each(changes, lambda change: self._apply(change, system, owners))

    def _apply(
        self, change: Change[SymlinkSpec, SymlinkState], system: System, owners: Owners
    ) -> None:
        spec, before = change.spec, change.before
        wrong = before is not None and before.type != "symlink"
        if before is not None and wrong:
            trees.check_force(spec.name, before.type, force=spec.force)
        keep = before is not None and before.type == "file"
        if change.after is None:
            trees.remove_any(system, spec.name, keep=keep)
            return
        uid, gid = owners.ids(spec.owner, spec.group)
        if not change.wants("type") and not change.wants("target"):
            trees.set_attributes(system, spec.name, None, uid, gid)
            return
        trees.require_parent(system, spec.name)
        if wrong:
            trees.remove_any(system, spec.name, keep=keep)
        system.make_symlink(spec.name, spec.target or "", uid=uid, gid=gid)

    def obstacles(
        self, changes: Sequence[Change[SymlinkSpec, SymlinkState]], system: ReadOnlySystem
    ) -> Mapping[str, Unmanageable]:
        """Say which links this container does not let us touch."""
        owners = Owners(system)
        return trees.probing(changes, lambda change: self._obstacle(change, system, owners))

    def _obstacle(
        self, change: Change[SymlinkSpec, SymlinkState], system: ReadOnlySystem, owners: Owners
    ) -> Unmanageable | None:
        spec = change.spec
        made = change.wants("type") or change.wants("target")
        first = trees.obstacle_of_type if made or change.after is None else probe.read_only_mount
        why = first(system, spec.name)
        if why or change.after is None:
            return why
        uid, gid = owners.known(spec.owner, spec.group)
        return probe.attributes(system, spec.name, owner=uid, group=gid, mode=False, new=made)

    def depends(self, spec: SymlinkSpec) -> Iterable[str]:
        """A link goes after its directories, its owner and group, and its target."""
        yield from trees.needs_before(spec.name, spec.owner, spec.group)
        if spec.state == "present" and spec.target:
            target = os.path.normpath(os.path.join(os.path.dirname(spec.name), spec.target))
            yield from (f"directory:{target}", *trees.bringing(target))

    def rests_on(self, spec: SymlinkSpec) -> Iterable[str]:
        """A link shows by its own stat that it was changed."""
        return trees.rests_on(spec.name, spec.owner, spec.group)

    def claims(self, spec: SymlinkSpec) -> Iterable[str]:
        """A path has one owner, whatever its kind."""
        return (f"path:{spec.name}",)

    def deletions(self, change: Change[SymlinkSpec, SymlinkState]) -> int:
        """Count what is removed: the link, or all of a directory in its way."""
        return trees.deletions(change, "symlink")

    def declare(self, asked: Asked, system: ReadOnlySystem) -> Iterable[Declared]:
        """Tell of links by their paths."""
        from converge_resources.adoption import files

        return files.declare("symlink", asked, system)
