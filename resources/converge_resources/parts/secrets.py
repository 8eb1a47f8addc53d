"""Secrets inside a declared part of a file: `{{ secrets.NAME }}` in its `content` or `value`.

Templates are rendered when the catalog is compiled and leave a mark for each secret; here its value
takes the mark's place, as it is (converge.language.secret_references).
"""

from __future__ import annotations

from converge.language import secret_references
from converge_resources.parts.texts import EditError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from typing import Any

_FIELDS = ("content", "value")


def unused(secrets: Mapping[str, Any], declared: Mapping[str, Any]) -> Iterator[str]:
    """Yield a message for each secret whose mark is in no text of the declared attributes."""
    texts = "\n".join(text for field in _FIELDS for text in _texts(declared.get(field)))
    for name in secret_references.unused(secrets, texts):
        yield f"`{{{{ secrets.{name} }}}}` is not in the part; a filter cannot be applied"


def put_in(
    declared: Mapping[str, Any], secrets: Mapping[str, str], *, one_line: bool
) -> dict[str, Any]:
    """Return those of the declared attributes that may hold secrets, with the values in them.

    Raises EditError for a value of several lines where there is place for one.
    """
    for name, value in secrets.items():
        if one_line and any(char in value for char in "\n\r\0"):
            raise EditError(f"the secret {name!r} has several lines, and there is place for one")
    return {field: _filled(declared[field], secrets) for field in _FIELDS if field in declared}


def _texts(data: Any) -> Iterator[str]:
    if isinstance(data, str):
        yield data
    elif isinstance(data, dict):
        for item in data.values():
            yield from _texts(item)
    elif isinstance(data, list | tuple):
        for item in data:
            yield from _texts(item)


def _filled(data: Any, secrets: Mapping[str, str]) -> Any:
    if isinstance(data, str):
        return secret_references.put_in(data, secrets)
    if isinstance(data, dict):
        return {key: _filled(item, secrets) for key, item in data.items()}
    return [_filled(item, secrets) for item in data] if isinstance(data, list | tuple) else data
