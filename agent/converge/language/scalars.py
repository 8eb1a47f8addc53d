"""What a plain scalar means: the core schema of YAML 1.2 (yaml.org/spec/1.2.2, 10.3.2).

Stricter in three ways, each an error with a remedy: a number with a leading zero (1.1 reads it as
octal, 1.2 as decimal), a number that 64 bits do not hold, and infinity or not-a-number.
"""

from __future__ import annotations

import re

_CONSTANTS = {
    **dict.fromkeys(("", "~", "null", "Null", "NULL"), None),
    **dict.fromkeys(("true", "True", "TRUE"), True),
    **dict.fromkeys(("false", "False", "FALSE"), False),
}
_INTEGER = re.compile(r"[-+]?[0-9]+|0o[0-7]+|0x[0-9a-fA-F]+")
_FLOAT = re.compile(r"[-+]?(?:\.[0-9]+|[0-9]+(?:\.[0-9]*)?)(?:[eE][-+]?[0-9]+)?")
_NOT_FINITE = re.compile(r"[-+]?\.(?:inf|Inf|INF)|\.(?:nan|NaN|NAN)")
_FIRST = frozenset("-+.0123456789")
_MOST_DIGITS = 18  # what every reader of JSON and every 64-bit integer holds
_LONGEST = 64


class ScalarError(ValueError):
    """A plain scalar that may not stand; `remedy` says what to write."""

    def __init__(self, message: str, text: str) -> None:
        super().__init__(message)
        shown = text if len(text) <= 2 * _MOST_DIGITS else "…"
        self.remedy = f'quote it: "{shown}"'


def resolve(text: str) -> str | int | float | bool | None:
    """Return the value of a plain scalar. Raises ScalarError."""
    if text in _CONSTANTS:
        return _CONSTANTS[text]
    if text[0] not in _FIRST:
        return text
    if _INTEGER.fullmatch(text):
        return _integer(text)
    if _FLOAT.fullmatch(text):
        return _float(text)
    if _NOT_FINITE.fullmatch(text):
        raise ScalarError(f"{text} is not a number that can be used", text)
    return text


def _integer(text: str) -> int:
    digits = text.lstrip("+-")
    if digits[0] == "0" and digits[1:].isdigit():
        raise ScalarError(
            f"{text[:_LONGEST]} begins with a zero: some read it as octal, some as decimal", text
        )
    if len(digits) > _LONGEST:
        raise ScalarError(f"an integer of more than {_MOST_DIGITS} digits", text)
    value = int(text, 0)
    if abs(value) >= 10**_MOST_DIGITS:
        raise ScalarError(f"an integer of more than {_MOST_DIGITS} digits", text)
    return value


def _float(text: str) -> float:
    if len(text) > _LONGEST:
        raise ScalarError(f"a number of more than {_LONGEST} characters", text)
    value = float(text)
    if value in (float("inf"), float("-inf")):
        raise ScalarError(f"{text} is too large a number", text)
    return value
