"""Plain data: what YAML and JSON can say (str, int, float, bool, None, list, dict with str keys)."""

from __future__ import annotations

from collections.abc import Mapping, MappingView
from typing import Any

from converge.language.bounds import MAX_ITEMS, MAX_TEXT

MAX_DEPTH = 64


class NotPlainError(TypeError):
    """A value that is not plain data, or too much of it."""


def plain(value: Any) -> Any:
    """Return a copy of a value as plain data: tuples become lists, mappings become dicts.

    Raises NotPlainError for what is not plain, more than 64 deep, or larger than a template may
    make.
    """
    return _Copier().copy(value, 0)


class _Copier:
    def __init__(self) -> None:
        self.items = MAX_ITEMS
        self.text = MAX_TEXT

    def copy(self, value: Any, depth: int) -> Any:
        self._count(1, len(value) if isinstance(value, str) else 0)
        if value is None or isinstance(value, bool | int):
            return value
        if isinstance(value, str):
            return str(value)
        if isinstance(value, float):
            return self._finite(value)
        if depth >= MAX_DEPTH:
            raise NotPlainError(f"the result is more than {MAX_DEPTH} deep")
        if isinstance(value, list | tuple):
            return [self.copy(item, depth + 1) for item in value]
        if isinstance(value, Mapping):
            return {self._key(key): self.copy(value[key], depth + 1) for key in value}
        bool(value)  # an undefined value refuses, and says what is not defined
        listable = hasattr(value, "__next__") or isinstance(value, range | MappingView)
        remedy = "; end it with `| list`" if listable else ""
        raise NotPlainError(f"the result is a {type(value).__name__}, not plain data{remedy}")

    def _finite(self, value: float) -> float:
        if value - value != 0:
            raise NotPlainError(f"the result is {value}, which is not a number to use")
        return value

    def _key(self, key: Any) -> str:
        if not isinstance(key, str):
            raise NotPlainError(f"the result has the key {key!r}, which is not a string")
        self._count(0, len(key))
        return str(key)

    def _count(self, items: int, text: int) -> None:
        self.items -= items
        self.text -= text
        if self.items < 0 or self.text < 0:
            raise NotPlainError("the result is too large")
