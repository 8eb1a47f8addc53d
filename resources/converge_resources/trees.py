"""What the kinds that live at a path (file, directory, symlink) have in common."""

from __future__ import annotations

import os
import stat
from typing import TYPE_CHECKING

from converge import probe
from converge.provider import Unmanageable

if TYPE_CHECKING:
    from collections.abc import Iterator

    from converge.system import ReadOnlySystem, System


def describe(found: os.stat_result) -> str:
    """Return the type of what was found: file, directory, symlink or other."""
    if stat.S_ISREG(found.st_mode):
        return "file"
    if stat.S_ISDIR(found.st_mode):
        return "directory"
    return "symlink" if stat.S_ISLNK(found.st_mode) else "other"


def ancestors(path: str) -> Iterator[str]:
    """Yield the directories above a path, nearest first, without the root."""
    while (path := os.path.dirname(path)) != "/":
        yield path


def needs_before(path: str, owner: str | None, group: str | None) -> Iterator[str]:
    """Yield the ids of what goes before something at `path`: its directories, owner and group."""
    for folder in ancestors(path):
        yield f"directory:{folder}"
        yield f"symlink:{folder}"
    if owner and not owner.isdigit():
        yield f"user:{owner}"
    if group and not group.isdigit():
        yield f"group:{group}"


def obstacle_of_type(system: ReadOnlySystem, path: str) -> Unmanageable | None:
    """Say why something at `path` may not be replaced or removed as a name; None: it may."""
    if system.is_mount_point(path):
        return Unmanageable(
            reason=f"{path} is a mount, which cannot be removed or replaced from inside",
            remedy="start the container without this mount",
        )
    return probe.writable(system, path)


def remove_any(system: System, path: str, *, keep: bool = True) -> None:
    """Remove whatever is at `path`, a directory with all below it; files after a backup if `keep`."""
    found = system.lstat(path)
    if found is not None and stat.S_ISDIR(found.st_mode):
        system.remove_tree(path, backup=keep)
    else:
        system.remove(path, backup=keep)
