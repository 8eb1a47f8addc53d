"""What an agent remembers of a source: what is in force, what was before, what waits, what failed.

Plain data, kept as `source.json` in the state directory; the bundles lie beside it, by digest.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from converge.bundle.check import Seen
from converge.record import Record

if TYPE_CHECKING:
    from collections.abc import Mapping

    from converge.state.directory import StateDirectory

NAME = "source.json"
FOLDER = "bundles"
_VERSION = 1
_MOST_REFUSED = 20


class Entry(Record):
    """A bundle that was believed: the SHA-256 of its bytes, and what was stated of it.

    `keys` is the version of the key list that it was signed under.
    """

    digest: str
    signatures: str = ""
    single: bool = False
    sequence: int = 0
    expires: int = 0
    keys: int = 0


class Memory(Record):
    """All of it. Times are seconds since 1970.

    `proven`: a run with `current` has ended well; `tries`: how many began, and have not ended;
    `was_good`: whether nothing was amiss when the first one began (None: none has).
    """

    name: str = ""
    url: str = ""
    tag: str = ""
    last_tag: str = ""  # of what came last, believed or not: the watch waits for something else
    changes: str = ""
    seen: Seen = Seen()
    current: Entry | None = None
    previous: Entry | None = None
    waiting: Entry | None = None
    waits: str = ""
    proven: bool = False
    tries: int = 0
    was_good: bool | None = None
    refused: Mapping[str, str] = {}  # digest → why
    error: str = ""
    stale_since: float = 0.0
    not_before: float = 0.0  # the source has asked to be left alone until then

    def dump(self) -> dict[str, Any]:
        """Return plain data, fit for JSON."""
        plain = self.as_dict()
        for name in ("seen", "current", "previous", "waiting"):
            plain[name] = plain[name].as_dict() if plain[name] else None
        return {"version": _VERSION, **plain}

    def refusing(self, digest: str, reason: str) -> Memory:
        """Return a memory that will not take this bundle again."""
        kept = {**self.refused, digest: reason[:2000]}
        return self.replace(refused=dict(list(kept.items())[-_MOST_REFUSED:]))

    def digests(self) -> set[str]:
        """Return the digests of the bundles that are still needed."""
        return {entry.digest for entry in (self.current, self.previous, self.waiting) if entry}


def load(state: StateDirectory | None, name: str, url: str) -> Memory:
    """Return what is remembered of the bundle of this name; a fresh memory if there is nothing.

    Another URL for the same name keeps all but the tag: a rollback is one from there too.
    """
    found = state.read_json(NAME) if state else None
    memory = _memory(found)
    if memory is None or memory.name != name:
        return Memory(name=name, url=url)
    return memory if memory.url == url else memory.replace(url=url, tag="", last_tag="")


def save(state: StateDirectory | None, memory: Memory) -> None:
    """Keep it, and drop the bundles that are not needed any more. Raises OSError."""
    if state is None:
        return
    state.write_json(NAME, memory.dump())
    for name in state.names(FOLDER):
        if name not in memory.digests():
            state.remove(f"{FOLDER}/{name}")


def _memory(found: Any) -> Memory | None:
    if not isinstance(found, dict) or found.get("version") != _VERSION:
        return None
    try:
        plain = {name: found[name] for name in Memory.field_names if name in found}
        for name in ("current", "previous", "waiting"):
            plain[name] = Entry(**plain[name]) if plain[name] else None
        return Memory(**{**plain, "seen": Seen(**plain["seen"])})
    except (KeyError, TypeError):
        return None
