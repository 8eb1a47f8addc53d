"""What the kinds that live at a path (file, directory, symlink) have in common."""

from __future__ import annotations

import os
import stat

from converge import probe
from converge.errors import ApplyError
from converge.files import modes
from converge.provider import Unmanageable

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence
    from typing import Any

    from converge.provider import Change, S, T
    from converge.system import ReadOnlySystem, System

_TYPES = {
    stat.S_IFREG: "file", stat.S_IFDIR: "directory", stat.S_IFLNK: "symlink",
    stat.S_IFIFO: "fifo", stat.S_IFSOCK: "socket",
}  # fmt: skip


def describe(found: os.stat_result) -> str:
    """Return the type of what was found: file, directory, symlink, fifo, socket or device."""
    return _TYPES.get(stat.S_IFMT(found.st_mode), "device")


def below(path: str, claimed: Iterable[str]) -> tuple[str, ...]:
    """Return those of the paths that lie below a directory, sorted."""
    inside = path.rstrip("/") + "/"
    return tuple(sorted(one for one in claimed if one.startswith(inside) and one != inside))


def ancestors(path: str) -> Iterator[str]:
    """Yield the directories above a path, nearest first, without the root."""
    while (path := os.path.dirname(path)) != "/":
        yield path


def bringing(path: str) -> Iterator[str]:
    """Yield the ids of what may bring a file to `path`."""
    yield from (f"{kind}:{path}" for kind in ("file", "symlink", "download"))


def needs_before(path: str, owner: str | None, group: str | None) -> Iterator[str]:
    """Yield the ids of what goes before something at `path`: its directories, owner and group.

    Its directories are also what an archive brings, and what is mounted there.
    """
    for folder in ancestors(path) if path != "/" else ():
        yield from (f"{kind}:{folder}" for kind in ("directory", "symlink", "archive", "mount"))
    if owner and not owner.isdigit():
        yield f"user:{owner}"
    if group and not group.isdigit():
        yield f"group:{group}"


def rests_on(path: str, owner: str | None, group: str | None) -> Iterator[str]:
    """Yield the paths that tell of something at `path` and its owner, should it look different."""
    yield path
    if owner and not owner.isdigit():
        yield "/etc/passwd"
    if group and not group.isdigit():
        yield "/etc/group"


def spelled_mode(declared: str | None, live: int, *, directory: bool = False) -> str:
    """Return the live mode as it is declared if that holds, else as four octal digits."""
    bits = stat.S_IMODE(live)
    if declared is not None and modes.apply(declared, bits, directory=directory) == bits:
        return declared
    return f"{bits:04o}"


def set_attributes(
    system: System, path: str, mode: str | None, uid: int | None, gid: int | None
) -> None:
    """Set what differs of an existing path: `mode` as declared, ids; of a link its owner alone.

    Raises OSError, ApplyError.
    """
    found = system.lstat(path)
    if found is None:
        raise ApplyError(f"{path} has gone")
    if not stat.S_ISLNK(found.st_mode):
        system.set_attributes(path, uid=uid, gid=gid, mode=wanted_mode(mode, found, uid, gid))
    elif uid not in (None, found.st_uid) or gid not in (None, found.st_gid):
        system.set_link_owner(path, uid=uid, gid=gid)


def wanted_mode(
    declared: str | None, found: os.stat_result, uid: int | None, gid: int | None
) -> int | None:
    """Return the mode to be set on what was found when it goes to this owner; None: leave it.

    A set-user-ID or set-group-ID bit is not carried over to another owner unless it is declared
    (chown(2) clears it): what one user could make run as himself must not run as the next.
    """
    directory, bits = stat.S_ISDIR(found.st_mode), stat.S_IMODE(found.st_mode)
    if not directory and (uid not in (None, found.st_uid) or gid not in (None, found.st_gid)):
        bits &= ~(stat.S_ISUID | stat.S_ISGID)
    if declared is not None:
        return modes.apply(declared, bits, directory=directory)
    return None if bits == stat.S_IMODE(found.st_mode) else bits


def require_parent(system: ReadOnlySystem, path: str, remedy: str = "") -> None:
    """Raise ApplyError that names the first directory above `path` that is missing."""
    for folder in [*ancestors(path)][::-1]:
        found = system.lstat(folder)
        if found is None:
            raise ApplyError(
                f"the directory {folder} is missing",
                f"declare `directory: {folder}`{remedy}",
            )
        if not stat.S_ISDIR(found.st_mode) and not stat.S_ISLNK(found.st_mode):
            raise ApplyError(f"{folder} is a {describe(found)}, not a directory")


def check_force(path: str, found: str, *, force: bool) -> None:
    """Raise ApplyError where something of the wrong type `found` may not be removed."""
    if not force:
        raise ApplyError(f"a {found} is in the way at {path}", "set `force: true` to replace it")


def obstacle_of_type(system: ReadOnlySystem, path: str) -> Unmanageable | None:
    """Say why something at `path` may not be replaced or removed as a name; None: it may."""
    point = mount_at_or_below(system, path)
    if point is not None:
        return Unmanageable(
            reason=f"{point} is a mount, which cannot be removed or replaced from inside",
            remedy="start the container without this mount",
        )
    return probe.writable(system, path)


def mount_at_or_below(system: ReadOnlySystem, path: str) -> str | None:
    """Return a mount point that is `path` or lies below it; None: there is none."""
    inside = path.rstrip("/") + "/"
    return next((p for p in system.mounts() if p == path or p.startswith(inside)), None)


def probing(
    changes: Sequence[Change[S, T]], obstacle: Callable[[Change[S, T]], Unmanageable | None]
) -> dict[str, Unmanageable]:
    """Ask `obstacle` of every change; what cannot even be asked is left for `apply` to say."""
    found = {}
    for change in changes:
        try:
            why = obstacle(change)
        except OSError:
            continue
        if why is not None:
            found[change.spec.name] = why
    return found


def remove_any(system: System, path: str, *, keep: bool = True) -> None:
    """Remove whatever is at `path`, a directory with all below it; files after a backup if `keep`."""
    found = system.lstat(path)
    if found is not None and stat.S_ISDIR(found.st_mode):
        system.remove_tree(path, backup=keep)
    else:
        system.remove(path, backup=keep)


def deletions(change: Change[Any, Any], kind: str) -> int:
    """Count what a change removes of another type, or altogether; all below a directory included."""
    before = change.before
    if before is None or (change.after is not None and before.type == kind):
        return 0
    return before.deletes or 1


def count(system: ReadOnlySystem, path: str, found: os.stat_result) -> int:
    """Count what goes if `path` is removed, at most a little over `walk.MOST` entries."""
    from converge_resources.paths import walk

    if not stat.S_ISDIR(found.st_mode):
        return 1
    try:
        return 1 + len(walk.Walk(system, path, limit=walk.MOST).entries)
    except walk.TooManyError:
        return 1 + walk.MOST
