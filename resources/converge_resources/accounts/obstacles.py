"""Why this container does not let accounts be changed."""

from __future__ import annotations

import os

from converge import probe
from converge.provider import Unmanageable
from converge.record import Record

TYPE_CHECKING = False
if TYPE_CHECKING:
    from converge.system import ReadOnlySystem

_CAN_BE_MADE = ("passwd", "group")  # shadow and gshadow are used only where they are


class Needs(Record):
    """What a change of an account writes: account files by name, and a home to be made.

    `owners` are the ids (uid, gid) that files are given to, where they are known.
    """

    kind: str
    files: tuple[str, ...]
    home: str | None = None
    gives: bool = False


def obstacle(system: ReadOnlySystem, needs: Needs) -> Unmanageable | None:
    """Say why this cannot be written here; None: it can."""
    for name in needs.files:
        found = _file(system, f"/etc/{name}", needs.kind, name in _CAN_BE_MADE)
        if found:
            return found
    if needs.home is not None:
        found = probe.writable(system, needs.home)
        if found:
            return found
    if needs.gives and not system.capable(probe.CAP_CHOWN):
        return _needs_chown(f"giving a home to its {needs.kind}")
    return None


def _file(system: ReadOnlySystem, path: str, kind: str, made: bool) -> Unmanageable | None:
    found = system.lstat(path)
    if found is None and not made:
        return None
    blocked = probe.writable(system, path)
    if blocked and blocked.reason.startswith("uid "):
        return Unmanageable(
            reason=f"uid {system.uid} may not write {path}",
            remedy=f"add the {kind} when the image is built, or run as root",
        )
    if blocked or found is None or system.is_mount_point(path):
        return blocked
    # The file is replaced by one of the agent's own, which then gets the old one's owner.
    foreign = (found.st_uid, found.st_gid) != (system.uid, os.getegid())
    if foreign and not system.capable(probe.CAP_CHOWN):
        return _needs_chown(f"replacing {path}, of {found.st_uid}:{found.st_gid},")
    return None


def _needs_chown(what: str) -> Unmanageable:
    return Unmanageable(
        reason=f"{what} needs CAP_CHOWN",
        remedy="run as root with --cap-add CHOWN, or do it when the image is built",
    )
