"""Changing a directory: made, adjusted, purged or removed, and what may stand against it."""

from __future__ import annotations

import stat

from converge import probe
from converge.errors import ApplyError
from converge.files import modes
from converge_resources.paths import directory_tree, trees

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

    from converge.provider import Change, Unmanageable
    from converge.system import ReadOnlySystem, System
    from converge_resources.directory import DirectorySpec, DirectoryState
    from converge_resources.paths.owners import Owners

_NEW = 0o755  # the mode of a new directory, and what a symbolic mode is applied to
_MOST_NAMED = 3  # paths that one error names


def apply(
    change: Change[DirectorySpec, DirectoryState], system: System, owners: Owners
) -> None:  # fmt: skip
    """Make, adjust, purge or remove one directory. Raises OSError, ApplyError."""
    spec, before = change.spec, change.before
    wrong = before is not None and before.type != "directory"
    if before is not None and wrong:
        trees.check_force(spec.name, before.type, force=spec.force)
    if change.after is None:
        _remove(spec, system)
        return
    uid, gid = owners.ids(spec.owner, spec.group)
    if before is None or wrong:
        _make_parents(spec, system)
        if wrong:
            trees.remove_any(system, spec.name, keep=spec.backup)
        mode = _NEW if spec.mode is None else modes.apply(spec.mode, _NEW, directory=True)
        system.make_directory(spec.name, uid=uid, gid=gid, mode=mode)
        return
    if any(change.wants(field) for field in ("mode", "owner", "group")):
        trees.set_attributes(system, spec.name, spec.mode, uid, gid)
    _adjust_below(spec, before, system, uid, gid)
    if change.wants("unmanaged"):
        _purge(spec, before, system)


def _adjust_below(
    spec: DirectorySpec, before: DirectoryState, system: System, uid: int | None, gid: int | None
) -> None:
    for path in _below(spec, before.wrong):
        found = system.lstat(path)
        if found is not None:
            mode = directory_tree.mode_of(spec, found)
            trees.set_attributes(system, path, mode, uid, gid)


def _remove(spec: DirectorySpec, system: System) -> None:
    if not spec.force and system.list(spec.name):
        raise ApplyError(
            f"{spec.name} is not empty", "set `force: true` to remove it with all below it"
        )
    trees.remove_any(system, spec.name, keep=spec.backup)


def _make_parents(spec: DirectorySpec, system: System) -> None:
    if spec.parents:
        for folder in [*trees.ancestors(spec.name)][::-1]:
            if system.lstat(folder) is None:
                system.make_directory(folder)
    trees.require_parent(system, spec.name, ", or set `parents: true`")


def _purge(spec: DirectorySpec, before: DirectoryState, system: System) -> None:
    spared = []
    for path in _below(spec, before.unmanaged):
        found = system.lstat(path)
        if found is not None and stat.S_ISDIR(found.st_mode) and not spec.force:
            spared.append(path)
        elif found is not None:
            trees.remove_any(system, path, keep=spec.backup)
    if spared:
        more = f" and {len(spared) - _MOST_NAMED} more" if len(spared) > _MOST_NAMED else ""
        raise ApplyError(
            f"directories are not purged: {', '.join(spared[:_MOST_NAMED])}{more}",
            "set `force: true` to purge them with all below them, or name them in `ignore`",
        )


def _below(spec: DirectorySpec, relative: tuple[str, ...] | None) -> Iterator[str]:
    for path in relative or ():
        yield f"{spec.name.rstrip('/')}/{path}"


def obstacle(
    change: Change[DirectorySpec, DirectoryState], system: ReadOnlySystem, owners: Owners
) -> Unmanageable | None:
    """Say why this container does not let one directory be changed; None: it does."""
    spec, before = change.spec, change.before
    if change.after is None:
        return trees.obstacle_of_type(system, spec.name)
    uid, gid = owners.known(spec.owner, spec.group)
    if before is None or before.type != "directory":
        return trees.obstacle_of_type(system, spec.name) or probe.attributes(
            system, spec.name, owner=uid, group=gid, mode=True, new=True
        )
    return _obstacle_to_attributes(change, system, uid, gid) or _obstacle_below(
        spec, before, system, uid, gid
    )


def _obstacle_to_attributes(
    change: Change[DirectorySpec, DirectoryState],
    system: ReadOnlySystem,
    uid: int | None,
    gid: int | None,
) -> Unmanageable | None:
    if not any(change.wants(field) for field in ("mode", "owner", "group")):
        return None
    path = change.spec.name
    return probe.read_only_mount(system, path) or probe.attributes(
        system, path, owner=uid, group=gid, mode=change.wants("mode")
    )


def _obstacle_below(
    spec: DirectorySpec,
    before: DirectoryState,
    system: ReadOnlySystem,
    uid: int | None,
    gid: int | None,
) -> Unmanageable | None:
    """Return the first obstacle to what is to be set or purged below."""
    for path in _below(spec, before.wrong):
        found = system.lstat(path)
        mode = found is not None and directory_tree.differs_in_mode(spec, found)
        why = probe.read_only_mount(system, path) or probe.attributes(
            system, path, owner=uid, group=gid, mode=mode
        )
        if why:
            return why
    return next(
        filter(None, (probe.writable(system, p) for p in _below(spec, before.unmanaged))), None
    )
