"""Whether this container allows a thing, found by looking (mounts, permissions, capabilities).

Each answers None (nothing in the way) or why not and what would allow it. Nothing here asks what
runtime this is: capabilities and mounts say all that matters, and names of runtimes lie.
"""

from __future__ import annotations

import os
import stat

from converge import mounts
from converge.provider import Unmanageable

TYPE_CHECKING = False
if TYPE_CHECKING:
    from converge.read_only import ReadOnlySystem

# Numbers from linux/capability.h
CAP_CHOWN, CAP_DAC_OVERRIDE, CAP_FOWNER, CAP_FSETID, CAP_KILL = 0, 1, 3, 4, 5
CAP_SETGID, CAP_SETUID, CAP_NET_ADMIN, CAP_SYS_ADMIN, CAP_SYS_PTRACE = 6, 7, 12, 21, 19


def writable(system: ReadOnlySystem, path: str) -> Unmanageable | None:
    """Say why nothing may be put at `path`, or what is there replaced or removed; None: it may.

    A mount point is written in place, so it has to be writable itself; anything else is made and
    removed as a name, so its directory has to be.
    """
    obstacle = read_only_mount(system, path)
    if obstacle:
        return obstacle
    if system.is_mount_point(path):
        return None if may_write(system, path) else _forbidden(system, path)
    folder = _nearest(system, os.path.dirname(path) or "/")
    if not may_write(system, folder):
        return _forbidden(system, folder)
    return _sticky(system, folder, path)


def read_only_mount(system: ReadOnlySystem, path: str) -> Unmanageable | None:
    """Say that `path` lies on a read-only mount, where not even its mode can be set; None: no."""
    mount = mounts.covering(system.mounts(), path)
    if mount is None or not mount.read_only:
        return None
    if mount.path == path:
        return Unmanageable(reason=f"{path} is a read-only mount", remedy="change it at its source")
    return Unmanageable(
        reason=f"{mount.path} is mounted read-only",
        remedy=f"mount a volume at {os.path.dirname(path)}, or run without a read-only root",
    )


def may_write(system: ReadOnlySystem, path: str) -> bool:
    """Tell whether access(2) lets the agent write to what is at `path` (a directory: into it)."""
    try:
        folder_fd, name, wanted = system.paths.directory(path), ".", os.W_OK | os.X_OK
    except NotADirectoryError:
        (folder_fd, name), wanted = system.paths.parent(path), os.W_OK
    return os.access(name, wanted, dir_fd=folder_fd, effective_ids=True)


def attributes(
    system: ReadOnlySystem,
    path: str,
    *,
    owner: int | None,
    group: int | None,
    mode: bool,
    new: bool = False,
) -> Unmanageable | None:
    """Say why `path` may not have this owner, group (ids) or mode; None: it may.

    What already holds needs nothing. `mode`: whether the mode is to be set, which is done after
    the owner, so that the final owner decides. `new`: what is there is replaced by something of
    the agent's own first, or nothing is there. The rules are those of chown(2) and chmod(2).
    """
    found = None if new else system.lstat(path)
    holder = system.uid if found is None else found.st_uid
    held_group = _group_of_new(system, path) if found is None else found.st_gid
    if owner is not None and owner != holder and not system.capable(CAP_CHOWN):
        return _needs("CAP_CHOWN", f"giving {path} to uid {owner}")
    if group is not None and group != held_group:
        may = holder == system.uid and group in (os.getegid(), *os.getgroups())
        if not may and not system.capable(CAP_CHOWN):
            return _needs("CAP_CHOWN", f"giving {path} to gid {group}")
    final = holder if owner is None else owner
    if mode and final != system.uid and not system.capable(CAP_FOWNER):
        return _needs("CAP_FOWNER", f"setting the mode of {path}, of uid {final},")
    return None


def _group_of_new(system: ReadOnlySystem, path: str) -> int:
    """Return the group of what is made at `path`: the directory's if that is set-group-ID."""
    folder = system.lstat(_nearest(system, os.path.dirname(path) or "/"))
    if folder is not None and folder.st_mode & stat.S_ISGID:
        return folder.st_gid
    return os.getegid()


def _sticky(system: ReadOnlySystem, folder: str, path: str) -> Unmanageable | None:
    """Say that a sticky directory keeps what is another user's (unlink(2), EPERM); None: no."""
    found, holder = system.lstat(path), os.fstat(system.paths.directory(folder))
    if found is None or not holder.st_mode & stat.S_ISVTX:
        return None
    if system.uid in (found.st_uid, holder.st_uid) or system.capable(CAP_FOWNER):
        return None
    return _needs(
        "CAP_FOWNER", f"{path} is uid {found.st_uid}'s in a sticky directory; replacing it"
    )


def _needs(capability: str, what: str) -> Unmanageable:
    short = capability.removeprefix("CAP_")
    return Unmanageable(
        reason=f"{what} needs {capability}",
        remedy=f"run as root with --cap-add {short}, or set it when the image is built",
    )


def _nearest(system: ReadOnlySystem, path: str) -> str:
    while path != "/" and system.lstat(path) is None:
        path = os.path.dirname(path)
    return path


def _forbidden(system: ReadOnlySystem, path: str) -> Unmanageable:
    return Unmanageable(
        reason=f"uid {system.uid} may not write to {path}",
        remedy="run as root, or make it writable for this user when the image is built",
    )
