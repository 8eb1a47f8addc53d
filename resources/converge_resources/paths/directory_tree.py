"""What a directory's declaration finds below it: what is wrong there, what is nobody's."""

from __future__ import annotations

import stat

from converge.files import modes
from converge_resources.paths.walk import Entry, Walk

TYPE_CHECKING = False
if TYPE_CHECKING:
    import os
    from typing import Any

    from converge.system import ReadOnlySystem
    from converge_resources.directory import DirectorySpec
    from converge_resources.paths.owners import Owners


def read(spec: DirectorySpec, system: ReadOnlySystem, owners: Owners) -> dict[str, Any]:
    """Return the fields `wrong`, `unmanaged` and `deletes`, as far as the declaration needs them.

    Raises OSError, TooManyError.
    """
    if spec.state == "absent":
        whole = Walk(system, spec.name, limit=spec.max_files) if spec.force else None
        return {"deletes": 1 + len(whole.entries) if whole else 1}
    if not spec.recurse and not spec.purge:
        return {}
    walk = Walk(
        system, spec.name, limit=spec.max_files, managed=spec.managed, ignore=spec.ignore
    )  # fmt: skip
    fields: dict[str, Any] = {}
    if spec.recurse:
        uid, gid = owners.known(spec.owner, spec.group)
        pairs = (spec.owner, uid), (spec.group, gid)
        unknown = any(name is not None and number is None for name, number in pairs)
        fields["wrong"] = tuple(
            sorted(
                entry.path for entry in walk.entries
                if not entry.managed and (unknown or differs(spec, entry, uid, gid))
            )
        )  # fmt: skip
    if spec.purge:
        found = walk.unmanaged()
        fields["unmanaged"] = tuple(sorted(found))
        fields["deletes"] = sum(
            count for entry, count in found.values() if spec.force or not entry.is_directory
        )
    return fields


def differs(spec: DirectorySpec, entry: Entry, uid: int | None, gid: int | None) -> bool:
    """Tell whether the owner, the group or the mode of an entry is not what is declared."""
    found = entry.found
    if uid not in (None, found.st_uid) or gid not in (None, found.st_gid):
        return True
    return differs_in_mode(spec, found)


def differs_in_mode(spec: DirectorySpec, found: os.stat_result) -> bool:
    """Tell whether the mode of something below is not what is declared; of a link it always is."""
    mode = mode_of(spec, found)
    bits, directory = stat.S_IMODE(found.st_mode), stat.S_ISDIR(found.st_mode)
    return mode is not None and modes.apply(mode, bits, directory=directory) != bits


def mode_of(spec: DirectorySpec, found: os.stat_result) -> str | None:
    """Return the mode that is declared for something below; None: none is, or it is a link."""
    if stat.S_ISDIR(found.st_mode):
        return spec.mode if spec.directory_mode is None else spec.directory_mode
    return None if stat.S_ISLNK(found.st_mode) else spec.file_mode
