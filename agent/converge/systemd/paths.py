"""What is at a path now, and which paths a pattern stands for (glob(7), with braces)."""

from __future__ import annotations

import re
import stat
from fnmatch import fnmatchcase

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

    from converge.read_only import ReadOnlySystem

_MOST = 1000  # paths that one pattern may stand for
_SPECIAL = re.compile(r"[*?\[{]")
_LEGACY = "/var/run/"


def normal(path: str) -> str:
    """Return a path without detours, below /run where it is below /var/run. Raises ValueError."""
    if not path.startswith("/") or ".." in path.split("/"):
        raise ValueError(f"{path!r} is no absolute path without `..`")
    plain = "/" + "/".join(part for part in path.split("/") if part not in ("", "."))
    return f"/run/{plain.removeprefix(_LEGACY)}" if plain.startswith(_LEGACY) else plain


def type_of(path: str, system: ReadOnlySystem) -> str:
    """Return file, directory, symlink or other; empty: nothing is there, or it cannot be seen."""
    try:
        found = system.lstat(path)
    except OSError:
        return ""
    if found is None:
        return ""
    kinds = {stat.S_IFREG: "file", stat.S_IFDIR: "directory", stat.S_IFLNK: "symlink"}
    return kinds.get(stat.S_IFMT(found.st_mode), "other")


def matching(pattern: str, system: ReadOnlySystem) -> list[str]:
    """Return the paths that are there, sorted. Raises ValueError for too many."""
    found = sorted({path for one in _braces(pattern) for path in _walk(one, system)})
    if len(found) > _MOST:
        raise ValueError(f"{pattern!r} stands for more than {_MOST} paths")
    return found


def _braces(pattern: str) -> Iterator[str]:
    match = re.search(r"\{([^{}]*)\}", pattern)
    if match is None or "," not in match[1]:
        yield pattern
        return
    for choice in match[1].split(","):
        yield from _braces(pattern[: match.start()] + choice + pattern[match.end() :])


def _walk(pattern: str, system: ReadOnlySystem) -> Iterator[str]:
    found = [""]
    for part in pattern.split("/")[1:]:
        if not _SPECIAL.search(part):
            found = [f"{path}/{part}" for path in found]
            continue
        found = [
            f"{path}/{name}"
            for path in found
            for name in _names(path or "/", system)
            if fnmatchcase(name, part) and (part[0] == "." or name[0] != ".")
        ][: _MOST + 1]
    yield from (path for path in found if type_of(path, system))


def _names(path: str, system: ReadOnlySystem) -> list[str]:
    try:
        return system.list(path)
    except OSError:
        return []
