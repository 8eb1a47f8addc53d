"""The kind `directory`: a directory, and as far as it is declared what lies below it."""

from __future__ import annotations

import stat

from converge.provider import Change, Provider, Spec, State, Unmanageable, each, reading
from converge_resources.paths import directory_tree, trees
from converge_resources.paths.owners import Owners
from converge_resources.paths.walk import MOST, TooManyError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Mapping, Sequence
    from typing import Annotated, Literal

    from converge.declared import Asked, Declared
    from converge.fields import AbsolutePath, Doc, Line, Mode, Owner
    from converge.system import ReadOnlySystem, System


class DirectorySpec(Spec):
    """A directory."""

    name: Annotated[AbsolutePath, Doc("Path of the directory.")]
    state: Annotated[Literal["present", "absent"], Doc("Whether it exists.")] = "present"
    mode: Annotated[Mode | None, Doc('Octal ("0755") or symbolic ("u=rwx,go=rx"); quoted.')] = None
    owner: Annotated[Owner | None, Doc("User name or id.")] = None
    group: Annotated[Owner | None, Doc("Group name or id.")] = None
    parents: Annotated[
        bool, Doc("Create missing directories above it (0755, the agent's own).")
    ] = False
    recurse: Annotated[
        bool, Doc("Apply owner, group, `file_mode` and `directory_mode` to everything below too.")
    ] = False
    file_mode: Annotated[Mode | None, Doc("With `recurse`: mode of what is no directory.")] = None
    directory_mode: Annotated[
        Mode | None, Doc("With `recurse`: mode of the directories below; unset: `mode`.")
    ] = None
    purge: Annotated[
        bool, Doc("Remove what lies below and is no resource's; sub-directories need `force`.")
    ] = False
    ignore: Annotated[
        Sequence[Line],
        Doc("Globs on relative path or base name of what `recurse` and `purge` leave alone."),
    ] = ()
    max_files: Annotated[int, Doc("Most entries below that are read.")] = MOST
    force: Annotated[
        bool,
        Doc("Remove it although not empty, purge sub-directories, replace what is in the way."),
    ] = False
    backup: Annotated[bool, Doc("Keep the content of every file that is removed.")] = True
    managed: Annotated[
        Sequence[str], Doc("Filled in by the compiler: paths below that other resources manage.")
    ] = ()

    def problems(self) -> Iterable[tuple[str, str]]:
        """Say what does not go together."""
        below = self.recurse or self.purge
        if self.managed:
            yield "managed", "`managed` is filled in by the compiler"
        if self.max_files < 1:
            yield "max_files", "at least 1"
        if self.name == "/" and (below or self.state == "absent"):
            yield "name", "only the owner, group and mode of `/` itself can be managed"
        if self.state == "absent" and (below or self.parents):
            yield "state", "`recurse`, `purge` and `parents` make no sense of what is to be absent"
        if self.ignore and not below:
            yield "ignore", "`ignore` goes with `recurse` or `purge`"
        yield from self._recursion_problems()

    def _recursion_problems(self) -> Iterable[tuple[str, str]]:
        for name in ("file_mode", "directory_mode"):
            if getattr(self, name) is not None and not self.recurse:
                yield name, f"`{name}` goes with `recurse: true`"
        wanted = (self.owner, self.group, self.mode, self.file_mode, self.directory_mode)
        if self.recurse and wanted == (None,) * len(wanted):
            yield "recurse", "`recurse` needs an owner, a group or a mode to apply"


class DirectoryState(State):
    """What is at the path. Of another `type` than `directory` nothing but the type is told."""

    type: str
    mode: str | None = None
    owner: str | None = None
    group: str | None = None
    wrong: tuple[str, ...] | None = None  # relative paths whose owner, group or mode differ
    unmanaged: tuple[str, ...] | None = None  # relative paths to be purged, directories whole
    deletes: int | None = None  # how many entries go if this is applied; never managed


class DirectoryProvider(Provider[DirectorySpec, DirectoryState]):
    """Reads, makes and removes directories."""

    kind = "directory"
    spec = DirectorySpec

    def desired(self, spec: DirectorySpec) -> DirectoryState | None:
        """Return the directory that is declared."""
        if spec.state == "absent":
            return None
        return DirectoryState(
            type="directory",
            mode=spec.mode,
            owner=spec.owner,
            group=spec.group,
            wrong=() if spec.recurse else None,
            unmanaged=() if spec.purge else None,
        )

    def adopt(self, spec: DirectorySpec, claimed: Collection[str]) -> DirectorySpec:
        """Learn which of the paths that the catalog manages lie below. Pure."""
        if not spec.recurse and not spec.purge:
            return spec
        return spec.replace(managed=trees.below(spec.name, claimed))

    def inspect(
        self, specs: Sequence[DirectorySpec], system: ReadOnlySystem
    ) -> Mapping[str, DirectoryState | Unmanageable]:
        """Read each directory, and what is below where that is declared."""
        owners = Owners(system)
        return reading(specs, lambda spec: _read(spec, system, owners))

    def apply(
        self, changes: Sequence[Change[DirectorySpec, DirectoryState]], system: System
    ) -> None:
        """Make, adjust, purge or remove each directory."""
        from converge_resources.paths import directory_write

        owners = Owners(system)
        each(changes, lambda change: directory_write.apply(change, system, owners))

    def obstacles(
        self, changes: Sequence[Change[DirectorySpec, DirectoryState]], system: ReadOnlySystem
    ) -> Mapping[str, Unmanageable]:
        """Say which directories this container does not let us change, for what the change needs."""
        from converge_resources.paths import directory_write

        owners = Owners(system)
        return trees.probing(
            changes, lambda change: directory_write.obstacle(change, system, owners)
        )

    def depends(self, spec: DirectorySpec) -> Iterable[str]:
        """A directory goes after those above it, its owner and its group."""
        return trees.needs_before(spec.name, spec.owner, spec.group)

    def rests_on(self, spec: DirectorySpec) -> Iterable[str] | None:
        """A directory shows its mode and owner; nothing shows what is below it."""
        if spec.recurse or spec.purge:
            return None
        return trees.rests_on(spec.name, spec.owner, spec.group)

    def claims(self, spec: DirectorySpec) -> Iterable[str]:
        """A path has one owner; with a slash at its end, everything below that has no other."""
        yield f"path:{spec.name}"
        if (spec.recurse or spec.purge) and spec.name != "/":
            yield f"path:{spec.name}/"

    def deletions(self, change: Change[DirectorySpec, DirectoryState]) -> int:
        """Count what is purged or removed, everything below included."""
        if change.wants("unmanaged") and change.before and change.before.type == "directory":
            return change.before.deletes or 0
        return trees.deletions(change, "directory")

    def declare(self, asked: Asked, system: ReadOnlySystem) -> Iterable[Declared]:
        """Tell of directories by their paths."""
        from converge_resources.adoption import files

        return files.declare("directory", asked, system)


def _read(
    spec: DirectorySpec, system: ReadOnlySystem, owners: Owners
) -> DirectoryState | Unmanageable | None:
    found = system.lstat(spec.name)
    if found is None:
        return None
    if not stat.S_ISDIR(found.st_mode):
        return DirectoryState(type=trees.describe(found), deletes=1)
    try:
        below = directory_tree.read(spec, system, owners)
    except TooManyError:
        return Unmanageable(
            reason=f"more than {spec.max_files} entries lie below {spec.name}",
            remedy="raise `max_files`, or leave some out by `ignore`",
        )
    return DirectoryState(
        type="directory",
        mode=trees.spelled_mode(spec.mode, found.st_mode, directory=True),
        owner=owners.spelled("user", spec.owner, found.st_uid),
        group=owners.spelled("group", spec.group, found.st_gid),
        **below,
    )
