"""Mounts, as they would be declared."""

from __future__ import annotations

from converge.declared import Declared
from converge.mounts import unescape
from converge_resources.mounts import fstab

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import Any

    from converge.declared import Asked
    from converge.mounts import Mount
    from converge.system import ReadOnlySystem

_KEPT = ("ro", "nosuid", "nodev", "noexec", "noatime", "nodiratime", "sync", "dirsync")
_TMPFS = ("size", "mode", "uid", "gid", "nr_inodes")


def declare(asked: Asked, system: ReadOnlySystem) -> Iterator[Declared]:
    """Yield what is mounted at these places, or what /etc/fstab names: the rest is the engine's."""
    lines = {words[1]: words for words in _entries(system.text(fstab.PATH))}
    mounted = system.mounts()
    for point in asked.names or lines:
        words, live = lines.get(point), mounted.get(point)
        if words is None and live is None:
            reason = f"nothing is mounted there, and no line of {fstab.PATH} is for it"
            yield Declared(kind="mount", name=point, reason=reason)
        elif words is not None:
            state = {"fstab": True} if live is not None else {"state": "present"}
            yield Declared(kind="mount", name=point, attributes={**_of_line(words), **state})
        elif live is not None:
            yield _of_mount(point, live)


def _entries(text: str) -> list[list[str]]:
    split = (line.split() for line in text.split("\n"))
    found = [words for words in split if len(words) >= 4 and not words[0].startswith("#")]
    return [[unescape(word) for word in words] for words in found]


def _of_line(words: list[str]) -> dict[str, Any]:
    source, _, kind, options = words[:4]
    chosen = [] if options == "defaults" else options.split(",")
    bind = next((option for option in chosen if option in ("bind", "rbind")), "")
    if bind and kind == "none":
        kind, chosen = bind, [option for option in chosen if option != bind]
    return {"type": kind, "source": source, **({"options": chosen} if chosen else {})}


def _of_mount(point: str, live: Mount) -> Declared:
    if live.root != "/":
        reason = "a bind from outside this container cannot be made from inside"
        return Declared(kind="mount", name=point, reason=reason)
    chosen = [option for option in live.options if option in _KEPT]
    if live.type == "tmpfs":
        chosen += [one for one in live.options if one.partition("=")[0] in _TMPFS]
    attributes: dict[str, Any] = {"type": live.type, "source": live.source}
    if chosen:
        attributes["options"] = list(dict.fromkeys(chosen))
    return Declared(kind="mount", name=point, attributes=attributes)
