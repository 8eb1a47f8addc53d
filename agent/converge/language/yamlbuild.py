"""Plain data and its places, built from YAML events in one pass, within limits.

The limits hold after aliases are expanded, so that whoever walks the data may recurse and copy.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NoReturn

from converge.errors import Problem, ProfileError
from converge.language import scalars
from converge.language.places import TOP, Places, pack, unpack

if TYPE_CHECKING:
    from collections.abc import Callable

MAX_DEPTH = 64
MAX_ANCHORS = 100
MAX_ALIASES = 1000
MAX_NODES = 100_000  # values; keys do not count
MAX_TEXT = 4 << 20  # characters of all scalars
MAX_PROBLEMS = 50

_SHOWN = 60  # characters of a name in a message
_REMEDY = "split it, or write less of it"


class _Anchored:
    """What an alias stands for, and what it adds: nodes, characters, levels. Counts run from here."""

    __slots__ = ("done", "height", "nodes", "places", "text", "value")

    def __init__(self, nodes: int, text: int) -> None:
        self.done = False
        self.value: Any = None
        self.places: int | Places = TOP
        self.nodes = nodes
        self.text = text
        self.height = 0


class _Frame:
    """A collection that is being built. `key` waits for its value."""

    __slots__ = ("anchored", "height", "key", "places", "value")

    def __init__(self, value: Any, places: Places, anchored: _Anchored | None) -> None:
        self.value: dict[str, Any] | list[Any] = value
        self.places = places
        self.anchored = anchored
        self.height = 1
        self.key: str | None = None


class Builder:
    """Takes the events of one file in order; `finish` returns its data."""

    def __init__(self, file: str) -> None:
        self.file = file
        self.problems: list[Problem] = []
        self.value: Any = None
        self.places: int | Places = TOP
        self._stack: list[_Frame] = []
        self._anchors: dict[str, _Anchored] = {}
        self._documents = self._aliases = self._nodes = self._text = 0
        self._take: dict[str, Callable[[Any, int], None]] = {
            "DocumentStartEvent": self._document,
            "ScalarEvent": self._scalar,
            "AliasEvent": self._alias,
            "SequenceStartEvent": self._start,
            "MappingStartEvent": self._start,
            "SequenceEndEvent": self._end,
            "MappingEndEvent": self._end,
        }

    def take(self, event: Any) -> None:
        """Take one event of yaml.parse. Raises ProfileError where the file cannot be read on."""
        handler = self._take.get(type(event).__name__)
        if handler:
            mark = event.start_mark
            handler(event, pack(mark.line + 1, mark.column + 1))

    def finish(self) -> tuple[Any, int | Places]:
        """Return the data and its places. Raises ProfileError if there was any problem."""
        if self.problems:
            raise ProfileError(self.problems)
        return self.value, self.places

    def problem(self, message: str, remedy: str, at: int) -> None:
        """Note a problem and go on; with too many of them, stop."""
        line, column = unpack(at)
        found = Problem(message=message, file=self.file, line=line, column=column, remedy=remedy)
        self.problems.append(found)
        if len(self.problems) >= MAX_PROBLEMS:
            raise ProfileError(self.problems)

    def stop(self, message: str, remedy: str, at: int) -> NoReturn:
        """Note a problem after which nothing more can be read."""
        self.problem(message, remedy, at)
        raise ProfileError(self.problems)

    def _document(self, event: Any, at: int) -> None:
        self._documents += 1
        if self._documents > 1:
            self.stop("a second document begins", "keep one `---` at most, at the top", at)

    def _scalar(self, event: Any, at: int) -> None:
        text: str = event.value
        anchored = self._anchor(event, at) if event.anchor else None
        frame = self._stack[-1] if self._stack else None
        is_key = frame is not None and frame.key is None and isinstance(frame.value, dict)
        self._count(0 if is_key else 1, len(text), at)
        if event.tag or "\0" in text or not text.isascii():
            self._check(event, at)
        if is_key:
            self._check_key(event, at)
            value: Any = text
        else:
            value = self._plain(text, at) if event.implicit[0] and not event.tag else text
        self._close(anchored, value, at, 0)
        self._add(value, at, 0, at)

    def _check(self, event: Any, at: int) -> None:
        """Refuse a tag, and what escapes put into a scalar that no system takes."""
        self._no_tag(event, at)
        if "\0" in event.value:
            self.problem("a NUL character", "remove it", at)
        if any("\ud800" <= char <= "\udfff" for char in event.value):
            self.problem("half a surrogate pair", r"write the character, or `\U0001f600`", at)

    def _check_key(self, event: Any, at: int) -> None:
        if event.implicit[0] and event.value == "<<":
            self.problem("merge keys (`<<`) are not allowed", "write the entries out", at)
        elif event.implicit[0] and not event.value:
            self.problem("a key is missing", "write `key: value`", at)

    def _plain(self, text: str, at: int) -> Any:
        try:
            return scalars.resolve(text)
        except scalars.ScalarError as error:
            self.problem(str(error), error.remedy, at)
            return text

    def _alias(self, event: Any, at: int) -> None:
        self._aliases += 1
        if self._aliases > MAX_ALIASES:
            self.stop(f"more than {MAX_ALIASES} aliases", _REMEDY, at)
        name = event.anchor
        target = self._anchors.get(name)
        if target is None or not target.done:
            why = "holds itself" if target else "is not defined above"
            self.problem(f"the alias `*{name[:_SHOWN]}` {why}", "write the value out", at)
            self._add(None, at, 0, at)
            return
        self._count(target.nodes, target.text, at)
        if len(self._stack) + target.height > MAX_DEPTH:
            self._too_deep(at)
        places = target.places.moved(at) if isinstance(target.places, Places) else at
        self._add(_copy(target.value), places, target.height, at)

    def _start(self, event: Any, at: int) -> None:
        if len(self._stack) >= MAX_DEPTH:
            self._too_deep(at)
        self._no_tag(event, at)
        anchored = self._anchor(event, at) if event.anchor else None
        self._count(1, 0, at)
        value: Any = {} if type(event).__name__ == "MappingStartEvent" else []
        self._stack.append(_Frame(value, Places(at), anchored))

    def _end(self, _event: Any, _at: int) -> None:
        frame = self._stack.pop()
        self._close(frame.anchored, frame.value, frame.places, frame.height)
        self._add(frame.value, frame.places, frame.height, frame.places.at)

    def _add(self, value: Any, places: int | Places, height: int, at: int) -> None:
        """Put a finished value where it belongs: the top, a list, or a mapping as key or value."""
        if not self._stack:
            self.value, self.places = value, places
            return
        frame = self._stack[-1]
        if height >= frame.height:
            frame.height = height + 1
        if isinstance(frame.value, list):
            frame.value.append(value)
        elif frame.key is None:
            frame.key = self._new_key(frame.value, frame.places, value, at)
            return
        else:
            frame.value[frame.key] = value
            frame.key = None
        frame.places.children.append(places)

    def _new_key(self, value: dict[str, Any], places: Places, key: Any, at: int) -> str:
        """Return the key under which the next value goes: after a problem, any that is free."""
        if not isinstance(key, str):
            remedy = 'a template must be quoted: "{{ … }}"' if isinstance(key, dict) else ""
            self.problem("a key must be a string", remedy or "write `key: value`", at)
            key = ""
        elif key in value:
            line, column = unpack(places.keys[list(value).index(key)])
            message = f"the key `{key[:_SHOWN]}` is there twice: first at {line}:{column}"
            self.problem(message, "remove one of them", at)
        while key in value:
            key += "\0"
        places.keys.append(at)
        return str(key)

    def _anchor(self, event: Any, at: int) -> _Anchored:
        """Note the anchor of a value that begins."""
        name = event.anchor
        if name in self._anchors:
            message = f"the anchor `&{name[:_SHOWN]}` is there twice"
            self.problem(message, "give each its own name", at)
        if len(self._anchors) >= MAX_ANCHORS:
            self.stop(f"more than {MAX_ANCHORS} anchors", _REMEDY, at)
        self._anchors[name] = anchored = _Anchored(self._nodes, self._text)
        return anchored

    def _close(
        self, anchored: _Anchored | None, value: Any, places: int | Places, height: int
    ) -> None:
        """Make an anchor ready for aliases, now that its value is finished."""
        if anchored:
            anchored.done = True
            anchored.value, anchored.places, anchored.height = value, places, height
            anchored.nodes = self._nodes - anchored.nodes
            anchored.text = self._text - anchored.text

    def _count(self, nodes: int, text: int, at: int) -> None:
        self._nodes += nodes
        self._text += text
        if self._nodes > MAX_NODES:
            self.stop(f"more than {MAX_NODES} values, aliases expanded", _REMEDY, at)
        if self._text > MAX_TEXT:
            self.stop(f"more than {MAX_TEXT >> 20} MiB of text, aliases expanded", _REMEDY, at)

    def _no_tag(self, event: Any, at: int) -> None:
        if event.tag:
            tag = event.tag.replace("tag:yaml.org,2002:", "!!")[:_SHOWN]
            self.problem(f"the tag {tag!r} is not allowed", "remove it; quote a string", at)

    def _too_deep(self, at: int) -> NoReturn:
        self.stop(f"nested more than {MAX_DEPTH} deep", _REMEDY, at)


def _copy(value: Any) -> Any:
    """Copy plain data (at most MAX_DEPTH deep), so that no change shows in two places."""
    if isinstance(value, list):
        return [_copy(item) for item in value]
    return {key: _copy(item) for key, item in value.items()} if isinstance(value, dict) else value
