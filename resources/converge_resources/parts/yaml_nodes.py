"""A YAML file as nodes that know where their text is, from PyYAML's events.

More is let through than in a profile, since the file is another program's: tags, merge keys and
aliases stand for themselves. Limits are those of converge.language.yamltext, and a depth.
"""

from __future__ import annotations

import re
from functools import lru_cache

from converge.errors import ProfileError
from converge.language import scalars, yamltext
from converge.record import Record
from converge_resources.parts.texts import EditError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import Any

_MOST_DEPTH = 64
_COLON = re.compile(r"\s*:")
_DASH = re.compile(r"(?:[ \t]*[&!]\S*)*(?:\s|#[^\n]*)*-")


class Opaque(Record):
    """A value that is only known by its text: an alias, or something with a tag."""

    text: str

    def __str__(self) -> str:
        return self.text


class Node(Record):
    """A value and where its text is, anchor and tag included.

    `style` is a scalar's quote or block indicator (empty: plain), or `{`, `[` of a flow collection,
    or `map`, `list` of a block collection.
    """

    value: Any
    start: int
    end: int
    style: str
    items: list[Item]


class Item(Record):
    """A member or element. What belongs to its value begins `after` the colon or dash."""

    key: str | int
    start: int  # of the key, the dash, or the element in a flow sequence
    after: int
    node: Node


@lru_cache(maxsize=2)  # many resources edit one file
def read(text: str) -> Node | None:
    """Return the one document of a text; None: there is none. Raises EditError."""
    try:
        yamltext.decode(text.encode(errors="surrogateescape"), "")
    except ProfileError as error:
        raise _wrong(error.problems[0].message, error.problems[0].line) from None
    return _Reader(text).document()


def _wrong(message: str, line: int) -> EditError:
    where = f", line {line}" if line else ""
    return EditError(f"not YAML that can be edited: {message}{where}", "repair the file")


class _Reader:
    def __init__(self, text: str) -> None:
        self._text = text
        self._events = self._parsed()
        self._anchors: set[str] = set()

    def _parsed(self) -> Iterator[Any]:
        import yaml

        loader: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
        try:
            yield from yaml.parse(self._text, Loader=loader)
        except yaml.MarkedYAMLError as error:
            mark: Any = error.problem_mark or error.context_mark
            raise _wrong(str(error.problem or error.context), mark.line + 1) from None
        except (yaml.YAMLError, ValueError, ArithmeticError, LookupError) as error:
            raise _wrong(str(error).partition("\n")[0], 0) from None

    def document(self) -> Node | None:
        """Return the root node."""
        root: Node | None = None
        for event in self._events:
            name = type(event).__name__
            if name == "DocumentStartEvent":
                if root is not None:
                    raise _wrong("a second document begins", event.start_mark.line + 1)
                root = self._node(next(self._events), 0)
        return root

    def _node(self, event: Any, depth: int) -> Node:
        line = event.start_mark.line + 1
        if depth > _MOST_DEPTH:
            raise _wrong(f"nested more than {_MOST_DEPTH} deep", line)
        name, anchor = type(event).__name__, event.anchor
        if name == "AliasEvent" and anchor not in self._anchors:
            raise _wrong(f"the alias *{anchor} is not defined above", line)
        if anchor and name != "AliasEvent":
            self._anchors.add(anchor)
        if name == "MappingStartEvent":
            return self._mapping(event, depth)
        if name == "SequenceStartEvent":
            return self._sequence(event, depth)
        return self._leaf(event, alias=name == "AliasEvent")

    def _leaf(self, event: Any, *, alias: bool) -> Node:
        start, end = event.start_mark.index, event.end_mark.index
        style = "*" if alias else event.style or ""
        if style in ("|", ">"):
            end = len(self._text[:end].rstrip())
        text = self._text[start:end]
        value = Opaque(text=text) if alias or event.tag else self._scalar(event)
        return Node(value=value, start=start, end=end, style=style, items=[])

    def _scalar(self, event: Any) -> Any:
        if not event.implicit[0]:
            return event.value
        try:
            return scalars.resolve(event.value)
        except scalars.ScalarError:
            return event.value  # 0644: what it means depends on who reads it

    def _mapping(self, event: Any, depth: int) -> Node:
        items: list[Item] = []
        known: set[str] = set()
        for inner in self._events:
            if type(inner).__name__ == "MappingEndEvent":
                data = {str(item.key): item.node.value for item in items}
                return self._collection(event, inner, data, items, "map")
            line = inner.start_mark.line + 1
            if type(inner).__name__ != "ScalarEvent":
                raise _wrong("a key that is not a text", line)
            key = self._leaf(inner, alias=False)
            if inner.value in known:
                raise _wrong(f"the key {inner.value!r} is there twice", line)
            known.add(inner.value)
            found = _COLON.match(self._text, key.end)
            after = found.end() if found else key.end
            node = self._node(next(self._events), depth + 1)
            items.append(Item(key=inner.value, start=key.start, after=after, node=node))
        raise _wrong("it ends early", 0)

    def _sequence(self, event: Any, depth: int) -> Node:
        items: list[Item] = []
        at = event.start_mark.index
        for inner in self._events:
            if type(inner).__name__ == "SequenceEndEvent":
                data = [item.node.value for item in items]
                return self._collection(event, inner, data, items, "list")
            node = self._node(inner, depth + 1)
            dash = None if event.flow_style else _DASH.match(self._text, at)
            start, after = (dash.end() - 1, dash.end()) if dash else (node.start, node.start)
            items.append(Item(key=len(items), start=start, after=after, node=node))
            at = node.end
        raise _wrong("it ends early", 0)

    def _collection(self, first: Any, last: Any, data: Any, items: list[Item], style: str) -> Node:
        start = first.start_mark.index
        end = max([start, *(item.node.end for item in items[-1:])])
        if first.flow_style:
            end = last.end_mark.index
            style = "{" if style == "map" else "["
        value = Opaque(text=self._text[start:end]) if first.tag else data
        return Node(value=value, start=start, end=end, style=style, items=items)
