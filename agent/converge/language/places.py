"""Where each value of a YAML file stands. Made small, since a file may hold 100,000 values.

A place is one integer, line << 21 | column, both from 1 (a file has at most 2**20 characters).
"""

from __future__ import annotations

from typing import Any

_COLUMN_BITS = 21

TOP = 1 << _COLUMN_BITS | 1


class Places:
    """Where a collection stands, and what it holds in the order of its data (`keys`: a mapping's)."""

    __slots__ = ("at", "children", "keys")

    def __init__(self, at: int) -> None:
        self.at = at
        self.keys: list[int] = []
        self.children: list[int | Places] = []

    def moved(self, at: int) -> Places:
        """Return the same places of what it holds, for a collection that stands elsewhere."""
        moved = Places(at)
        moved.keys, moved.children = self.keys, self.children
        return moved


def pack(line: int, column: int) -> int:
    """Return a place as one integer."""
    return line << _COLUMN_BITS | column


def unpack(at: int) -> tuple[int, int]:
    """Return (line, column) of a place."""
    return at >> _COLUMN_BITS, at & (1 << _COLUMN_BITS) - 1


def find(data: Any, places: int | Places, path: tuple[str | int, ...]) -> tuple[int, int]:
    """Return the place of an entry (of its key, or of an item of a list) and that of its value.

    What is not there has the places of its nearest ancestor.
    """
    entry = value = _at(places)
    for step in path:
        index = _index(data, step)
        if index is None or not isinstance(places, Places):
            break
        keys, child = places.keys, places.children[index]
        data, places, value = data[step], child, _at(child)
        entry = keys[index] if keys else value
    return entry, value


def _at(places: int | Places) -> int:
    return places.at if isinstance(places, Places) else places


def _index(data: Any, step: str | int) -> int | None:
    """Return which entry of a collection a step names."""
    if isinstance(data, dict) and step in data:
        return list(data).index(step)
    if isinstance(data, list) and isinstance(step, int) and 0 <= step < len(data):
        return step
    return None
