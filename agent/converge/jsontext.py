"""JSON by the C functions that json stands on: json itself imports re, 4 ms of every start.

The same text and the same values as json.loads and json.dumps give.
"""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

try:
    from _json import encode_basestring_ascii, make_encoder, make_scanner
except ImportError:  # a Python that has them not in C
    make_scanner = make_encoder = None  # type: ignore[assignment, misc]


class _Rules:
    """What the scanner asks of a JSONDecoder."""

    strict = True
    object_hook = object_pairs_hook = None
    parse_float, parse_int, parse_constant = float, int, float


def loads(text: str | bytes) -> Any:
    """Return the value of a JSON text. Raises ValueError, RecursionError."""
    if make_scanner is None:
        import json

        return json.loads(text)
    text = text.decode() if isinstance(text, bytes) else text
    text = text.strip(" \t\r\n")
    try:
        found, end = make_scanner(_Rules)(text, 0)  # type: ignore[arg-type]
    except StopIteration as error:
        raise ValueError(f"no JSON at character {error.value}") from None
    if end != len(text):
        raise ValueError(f"more than JSON at character {end}")
    return found


def dumps(data: Any, *, sort_keys: bool = False) -> str:
    """Return plain data as ASCII text without spaces. Raises TypeError, ValueError (a circle)."""
    if make_encoder is None:
        import json

        return json.dumps(data, separators=(",", ":"), sort_keys=sort_keys)
    encode = make_encoder(
        {}, _refuse, encode_basestring_ascii, None, ":", ",", sort_keys, False, True
    )  # fmt: skip
    return "".join(encode(data, 0))


def no_number(word: str) -> None:
    """Refuse NaN and Infinity, which are not JSON: `parse_constant` of json.loads. Raises ValueError."""
    raise ValueError(f"{word} is a word, not a number")


def _refuse(value: object) -> None:
    raise TypeError(f"{type(value).__name__} is no plain data")
