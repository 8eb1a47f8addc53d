"""JSON (RFC 8259) edited in its text: only the members that differ, in the manner of the file."""

from __future__ import annotations

import json
import re
from functools import lru_cache

from converge.record import Record
from converge_resources.parts import cuts
from converge_resources.parts.plain_data import MISSING, same
from converge_resources.parts.texts import EditError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from converge_resources.parts.cuts import Cut

_MOST = 4 << 20  # characters
_MOST_PASSES = 20  # one removes, the next adds; deeper levels of new data need no further ones
_SPACE = re.compile(r"[ \t\n\r]*")
_DECODER = json.JSONDecoder()


class Node(Record):
    """A value and where its text is; `items` are those of an object or array."""

    value: Any
    start: int
    end: int
    items: list[Item]


class Item(Record):
    """A member or an element, from its key, if it has one, to the end of its node."""

    key: str | int
    start: int
    colon: str  # what stands between key and value
    node: Node


@lru_cache(maxsize=2)  # many resources edit one file
def load(text: str) -> Any:
    """Return the data of a text, not to be changed; MISSING if there is none.

    Raises EditError, RecursionError.
    """
    if len(text) > _MOST:
        raise EditError(f"the file is larger than {_MOST >> 20} MiB, too large to be read as JSON")
    if not text.strip():
        return MISSING
    try:
        return json.loads(text, object_pairs_hook=_members)
    except json.JSONDecodeError as error:
        raise EditError(
            f"not JSON: {error.msg} at line {error.lineno}, column {error.colno}",
            "repair the file; comments are not JSON",
        ) from None
    except ValueError as error:
        raise EditError(f"not JSON: {error}") from None


def _members(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        names = [key for key, _ in pairs]
        twice = next(key for key in names if names.count(key) > 1)
        raise EditError(f"not JSON: the key {twice!r} is there twice", "remove one of them")
    return found


def rewrite(text: str, data: Any) -> str:
    """Return the text of other data, what is the same in it as it was. Raises EditError."""
    if not text.strip():
        return json.dumps(data, indent=2, ensure_ascii=False) + "\n"
    manner = _Manner(text)
    for _ in range(_MOST_PASSES):
        writer = _Writer(text, manner)
        writer.value(read(text, _after_space(text, 0)), data)
        text = cuts.applied(text, writer.cuts)
        if not writer.cuts or same(load(text), data):
            break
    return text


def read(text: str, start: int) -> Node:
    """Return the value whose text begins at `start` of a valid text."""
    opening = text[start]
    if opening not in "{[":
        value, end = _DECODER.raw_decode(text, start)
        return Node(value=value, start=start, end=end, items=[])
    items: list[Item] = []
    at = _after_space(text, start + 1)
    while text[at] not in "}]":
        item = _item(text, at, len(items) if opening == "[" else None)
        items.append(item)
        at = _after_space(text, item.node.end)
        if text[at] == ",":
            at = _after_space(text, at + 1)
    if opening == "[":
        value = [item.node.value for item in items]
    else:
        value = {str(item.key): item.node.value for item in items}
    return Node(value=value, start=start, end=at + 1, items=items)


def _item(text: str, start: int, index: int | None) -> Item:
    if index is not None:
        return Item(key=index, start=start, colon="", node=read(text, start))
    key, after = _DECODER.raw_decode(text, start)
    at = _after_space(text, _after_space(text, after) + 1)
    return Item(key=key, start=start, colon=text[after:at], node=read(text, at))


def _after_space(text: str, start: int) -> int:
    found = _SPACE.match(text, start)
    return found.end() if found else start


class _Manner:
    """How a text is written: on one line, without spaces, indented so; nothing is shown by `{}`."""

    def __init__(self, text: str) -> None:
        indented = re.search(r"\n([ \t]+)\S", text)
        self.unit = indented[1] if indented else "  "
        self.flat = "\n" not in text.strip() and text.strip() not in ("{}", "[]")
        self.compact = self.flat and '": ' not in text


class _Writer:
    """Collects what has to be cut from a text, and what comes in its place."""

    def __init__(self, text: str, manner: _Manner) -> None:
        self._text = text
        self._manner = manner
        self.cuts: list[Cut] = []

    def value(self, node: Node, data: Any) -> None:
        """Make a value what it shall be."""
        if same(node.value, data):
            return
        if node.items and data and isinstance(node.value, dict) and isinstance(data, dict):
            self._members(node, data)
        elif node.items and data and isinstance(node.value, list) and isinstance(data, list):
            self._elements(node, data)
        else:
            self.cuts.append((node.start, node.end, self._rendered(data, self._indent(node.start))))

    def _members(self, node: Node, data: dict[str, Any]) -> None:
        kept = [item for item in node.items if item.key in data]
        if len(kept) < len(node.items):  # what is new comes with the next pass
            self._remove(node, kept)
            return
        for item in node.items:
            self.value(item.node, data[str(item.key)])
        known = {item.key for item in node.items}
        self._add(node, [(key, value) for key, value in data.items() if key not in known])

    def _elements(self, node: Node, data: list[Any]) -> None:
        count = len(node.items)
        left = cuts.remaining(node.value, data)
        if left is not None:
            self._remove(node, [node.items[index] for index in left])
        elif len(data) < count:
            self.cuts.append((node.start, node.end, self._rendered(data, self._indent(node.start))))
        else:
            for item, value in zip(node.items, data, strict=False):
                self.value(item.node, value)
            self._add(node, [(None, value) for value in data[count:]])

    def _remove(self, node: Node, kept: list[Item]) -> None:
        if kept:
            self.cuts += cuts.leaving(node.items, kept)
        else:
            self.cuts.append((node.start + 1, node.end - 1, ""))

    def _add(self, node: Node, new: list[tuple[str | None, Any]]) -> None:
        """Add items after the last one, as the first one is placed."""
        before = self._text[node.start + 1 : node.items[0].start]
        flat = "\n" not in before
        indent = before.rpartition("\n")[2]
        gap = ("" if self._manner.compact else " ") if flat else "\n" + indent
        added = ""
        for key, value in new:
            name = "" if key is None else json.dumps(key, ensure_ascii=False) + node.items[-1].colon
            added += f",{gap}{name}{self._rendered(value, None if flat else indent)}"
        if added:
            self.cuts.append((node.items[-1].node.end, node.items[-1].node.end, added))

    def _indent(self, at: int) -> str | None:
        """Return the indentation of a line of the text, None where all is on one line."""
        if self._manner.flat:
            return None
        line = self._text[self._text.rfind("\n", 0, at) + 1 :]
        return line[: len(line) - len(line.lstrip(" \t"))]

    def _rendered(self, value: Any, indent: str | None) -> str:
        """Return the text of a value, on several lines if there is an indentation."""
        if indent is None:
            separators = (",", ":") if self._manner.compact else (", ", ": ")
            return json.dumps(value, ensure_ascii=False, separators=separators)
        return json.dumps(value, ensure_ascii=False, indent=self._manner.unit).replace(
            "\n", "\n" + indent
        )
