"""`include: [system:tmpfiles, …]`: what packages declare for systemd, as ordinary resources.

files.py       which files count, and in which order
words.py       the words of a line
specifiers.py  %m, %H and the like
found.py       what was made of the lines, and what could not be
paths.py       globs, and what is at a path
tmpfiles.py    tmpfiles.d(5): directories, files, links, modes (an action each: tmpfiles_actions.py)
sysusers.py    sysusers.d(5): users and groups
sysctls.py     sysctl.d(5): kernel parameters
"""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from typing import Any

    from converge.read_only import ReadOnlySystem
    from converge.systemd.found import Found

PREFIX = "system:"
NAMES = ("tmpfiles", "sysusers", "sysctl")


def known(include: str, problem: Callable[[str, str], None]) -> list[str]:
    """Return the name that an include has after the prefix; none, and a problem, if there is none."""
    name = include.removeprefix(PREFIX)
    if name in NAMES:
        return [name]
    there = ", ".join(f"`{PREFIX}{one}`" for one in NAMES)
    problem(f"there is no `{include}`", f"there are {there}")
    return []


def expand(names: Iterable[str], system: ReadOnlySystem) -> Found:
    """Return the resources that these stand for here and now, and what is not done of the rest."""
    from converge.systemd import sysctls, sysusers, tmpfiles
    from converge.systemd.found import Found

    found = Found()
    readers: dict[str, Any] = {
        "tmpfiles": tmpfiles.read, "sysusers": sysusers.read, "sysctl": sysctls.read,
    }  # fmt: skip
    for name in dict.fromkeys(names):
        readers[name](system, found)
    return found


def same(kept: dict[str, Any], system: ReadOnlySystem) -> bool:
    """Tell whether what a catalog was made from, `Found.inputs`, is what would be found now."""
    return bool(expand(kept["names"], system).digest() == kept["digest"])
