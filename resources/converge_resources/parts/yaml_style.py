"""How plain data is written in YAML, so that readers of 1.1 and of 1.2 see the same."""

from __future__ import annotations

import re

from converge.language import scalars

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

_PLAIN = re.compile(r"[A-Za-z_/][A-Za-z0-9_./@%+=-]*(?: [A-Za-z0-9_./@%+=-]+)*")
_OTHERS_RESOLVE = frozenset(("y", "n", "yes", "no", "on", "off", "true", "false", "null"))
_ESCAPES = {"\\": "\\\\", '"': '\\"', "\n": "\\n", "\t": "\\t", "\r": "\\r"}


class Style:
    """How deep a level is indented, and a list below its key."""

    def __init__(self, step: int = 2, dash: int = 2) -> None:
        self.step = step
        self.dash = dash

    def member(self, key: str, value: Any, indent: int) -> str:
        """Return the lines of a key and its value, without the first one's indentation."""
        return f"{scalar(key)}:{self.value(value, indent)}"

    def value(self, value: Any, indent: int) -> str:
        """Return what follows the colon of a key that is indented so."""
        if isinstance(value, dict) and value:
            return "\n" + self._lines(value, indent + self.step)
        if isinstance(value, list) and value:
            return "\n" + self._lines(value, indent + self.dash)
        return " " + self._leaf(value, indent)

    def item(self, value: Any, indent: int) -> str:
        """Return what follows the dash of an item that is indented so."""
        if value and isinstance(value, dict | list):
            return " " + self._lines(value, indent + 2).lstrip(" ")
        return " " + self._leaf(value, indent)

    def top(self, value: Any) -> str:
        """Return a whole document."""
        if value and isinstance(value, dict | list):
            return self._lines(value, 0)
        return self._leaf(value, 0)

    def _lines(self, value: dict[str, Any] | list[Any], indent: int) -> str:
        space = " " * indent
        if isinstance(value, dict):
            lines = [space + self.member(key, one, indent) for key, one in value.items()]
        else:
            lines = [f"{space}-{self.item(one, indent)}" for one in value]
        return "\n".join(lines)

    def _leaf(self, value: Any, indent: int) -> str:
        if isinstance(value, str) and _is_literal(value):
            space = " " * (indent + self.step)
            lines = [space + line if line else "" for line in value.removesuffix("\n").split("\n")]
            return "\n".join(["|" if value.endswith("\n") else "|-", *lines])
        return flow(value)


def flow(value: Any, style: str = "") -> str:
    """Return a value on one line; a text as `style` says, if it can be (a quote, empty: plain)."""
    if isinstance(value, dict):
        return "{" + ", ".join(f"{scalar(k)}: {flow(v)}" for k, v in value.items()) + "}"
    if isinstance(value, list):
        return "[" + ", ".join(map(flow, value)) + "]"
    return scalar(value, style)


def scalar(value: Any, style: str = "") -> str:
    """Return a scalar on one line."""
    if value is None:
        return "null"
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, float):
        digits, sign, exponent = repr(value).partition("e")
        return digits + ".0" * (sign == "e" and "." not in digits) + sign + exponent
    if not isinstance(value, str):
        return str(value)
    if style == "'" and value.isprintable():
        return "'" + value.replace("'", "''") + "'"
    if style != '"' and _is_plain(value):
        return value
    return '"' + "".join(map(_escaped, value)) + '"'


def _is_plain(value: str) -> bool:
    if not _PLAIN.fullmatch(value) or value.lower() in _OTHERS_RESOLVE:
        return False
    return scalars.resolve(value) == value


def _is_literal(value: str) -> bool:
    """Tell whether a text of several lines can be written as a block."""
    lines = value.split("\n")
    if len(lines) < 2 or not lines[0] or lines[0][0] in " \t" or value.endswith("\n\n"):
        return False
    return all(line.isprintable() for line in lines)


def _escaped(char: str) -> str:
    if char in _ESCAPES:
        return _ESCAPES[char]
    if char.isprintable():
        return char
    code = ord(char)
    return (
        f"\\x{code:02x}" if code < 256 else f"\\u{code:04x}" if code < 65536 else f"\\U{code:08x}"
    )
