"""Whether this container allows a thing, found by looking (mounts, permissions, capabilities).

Each answers None (nothing in the way) or why not and what would allow it. Nothing here asks what
runtime this is: capabilities and mounts say all that matters, and names of runtimes lie.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from converge import mounts
from converge.provider import Unmanageable

if TYPE_CHECKING:
    from converge.read_only import ReadOnlySystem

# Numbers from linux/capability.h
CAP_CHOWN, CAP_DAC_OVERRIDE, CAP_FOWNER, CAP_FSETID = 0, 1, 3, 4
CAP_SETGID, CAP_SETUID, CAP_NET_ADMIN, CAP_SYS_ADMIN, CAP_SYS_PTRACE = 6, 7, 12, 21, 19


def writable(system: ReadOnlySystem, path: str) -> Unmanageable | None:
    """Say why nothing may be put at, or changed in, `path`; None: it may."""
    mount = mounts.covering(system.mounts(), path)
    if mount is not None and mount.read_only:
        if mount.path == path:
            return Unmanageable(
                reason=f"{path} is a read-only mount", remedy="change it at its source"
            )
        return Unmanageable(
            reason=f"{mount.path} is mounted read-only",
            remedy=f"mount a volume at {os.path.dirname(path)}, or run without a read-only root",
        )
    target = path if system.is_mount_point(path) else _nearest(system, os.path.dirname(path) or "/")
    return None if may_write(system, target) else _forbidden(system, target)


def may_write(system: ReadOnlySystem, path: str) -> bool:
    """Tell whether access(2) lets the agent write to what is at `path`."""
    folder_fd, name = (
        system.paths.parent(path) if path != "/" else (system.paths.directory("/"), ".")
    )
    return os.access(name, os.W_OK, dir_fd=folder_fd, effective_ids=True)


def attributes(
    system: ReadOnlySystem, path: str, *, owner: int | None, group: int | None, mode: bool
) -> Unmanageable | None:
    """Say why owner, group (ids) or mode of what is at `path` may not be changed; None: they may."""
    found = system.lstat(path)
    mine = found is None or found.st_uid == system.uid
    holder = system.uid if found is None else found.st_uid
    if mode and not mine and not system.capable(CAP_FOWNER):
        return _needs("CAP_FOWNER", f"{path} belongs to uid {holder}; changing its mode")
    changes_owner = owner is not None and owner != holder
    foreign_group = group is not None and group not in (os.getegid(), *os.getgroups())
    if changes_owner or ((foreign_group or not mine) and group is not None):
        same = found is not None and (group is None or group == found.st_gid) and not changes_owner
        if not same and not system.capable(CAP_CHOWN):
            return _needs("CAP_CHOWN", f"changing the owner or group of {path}")
    return None


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
