"""How much one step of a template may make. Each check raises OverflowError before it is made."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Sequence

MAX_TEXT = 4 << 20  # characters of a string
MAX_ITEMS = 100_000  # of a list; what a padded field may be wide
MAX_BITS = 4096  # of an integer

_WIDE_PERCENT = re.compile(r"%[^a-zA-Z%]*(?:[0-9]{6}|\*)")
_WIDE_BRACES = re.compile(r":[^}]*(?:[0-9]{6}|\{)")
_PADDING = ("center", "expandtabs", "ljust", "rjust", "zfill")


def operation(operator: str, left: Any, right: Any) -> None:
    """Check `left operator right` for `+`, `*`, `**` and `%`."""
    if operator == "%" and isinstance(left, str) and _WIDE_PERCENT.search(left):
        raise OverflowError("a field of a format is too wide")
    if operator == "+" and isinstance(left, str | list | tuple):
        length(left, len(left) + (len(right) if isinstance(right, str | list | tuple) else 0))
    if operator == "**" and _both_integers(left, right):
        _bits(left.bit_length() * max(right, 0))
    if operator == "*" and _both_integers(left, right):
        _bits(left.bit_length() + right.bit_length())
    elif operator == "*":
        _repeated(left, right)
        _repeated(right, left)


def method(owner: str, name: str, arguments: Sequence[Any]) -> None:
    """Check the call of a method of a string."""
    if name in _PADDING:
        widths(arguments)
    if name in ("format", "format_map") and _WIDE_BRACES.search(owner):
        raise OverflowError("a field of a format is too wide")
    if name == "replace":
        replacement(owner, *arguments)


def widths(arguments: Sequence[Any]) -> None:
    """Check numbers that say how wide or how many."""
    if any(isinstance(value, int) and value > MAX_ITEMS for value in arguments):
        raise OverflowError(f"a width of more than {MAX_ITEMS}")


def replacement(text: Any, old: Any = "", new: Any = "", *_count: Any) -> None:
    """Check what text.replace(old, new) would make."""
    if isinstance(new, str):
        length("", len(str(text)) + str(text).count(str(old)) * len(new))


def length(kind: str | list[Any] | tuple[Any, ...], size: int) -> None:
    """Check the size of a string (characters) or of a list (items); `kind` is one of that type."""
    if size > (MAX_TEXT if isinstance(kind, str) else MAX_ITEMS):
        unit = "characters" if isinstance(kind, str) else "items"
        raise OverflowError(f"a result of {size} {unit} is too large")


def _repeated(value: Any, times: Any) -> None:
    if isinstance(value, str | list | tuple) and isinstance(times, int):
        length(value, len(value) * times)


def _both_integers(left: Any, right: Any) -> bool:
    return isinstance(left, int) and isinstance(right, int)


def _bits(bits: int) -> None:
    if bits > MAX_BITS:
        raise OverflowError(f"an integer of more than {MAX_BITS} bits")
