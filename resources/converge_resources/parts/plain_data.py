"""Plain data (dict, list, str, numbers, bool, None) by path: what an edit makes of it. Pure.

A path is a list of keys and indices. Data that is changed is a new object; what is shared is never
changed in place.
"""

from __future__ import annotations

from converge_resources.parts.texts import EditError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import Any

    Path = Sequence[str | int]

MISSING = object()
_TYPES = {
    dict: "a mapping",
    list: "a list",
    str: "a text",
    bool: "true or false",
    type(None): "null",
}


def parse_path(declared: str | Path) -> list[str | int]:
    """Return a path: a JSON pointer (RFC 6901) if it begins with a slash, else keys with dots."""
    if not isinstance(declared, str):
        return list(declared)
    if declared.startswith("/"):
        parts = declared[1:].split("/")
        return [part.replace("~1", "/").replace("~0", "~") for part in parts]
    return list(declared.split(".")) if declared else []


def pointer(path: Path) -> str:
    """Return a path as a JSON pointer."""
    return "".join("/" + str(part).replace("~", "~0").replace("/", "~1") for part in path)


def same(one: Any, other: Any) -> bool:
    """Tell whether two values are the same: `true` is not 1, and 1 is not 1.0."""
    if type(one) is not type(other):
        return False
    if isinstance(one, dict):
        return one.keys() == other.keys() and all(same(one[key], other[key]) for key in one)
    if isinstance(one, list):
        return len(one) == len(other) and all(map(same, one, other))
    return bool(one == other)


def get(data: Any, path: Path) -> Any:
    """Return what is at a path, MISSING if nothing is. Raises EditError where no path leads on."""
    for depth, part in enumerate(path):
        if data is MISSING or data is None:
            return MISSING
        if isinstance(data, dict):
            data = data.get(str(part), MISSING)
        elif isinstance(data, list):
            index = _index(part, path[:depth])
            data = data[index] if index < len(data) else MISSING
        else:
            raise _no_way(data, path[:depth])
    return data


def put(data: Any, path: Path, value: Any, done: Path = ()) -> Any:
    """Return data with a value at a path; mappings on the way are made. Raises EditError."""
    if not path:
        return value
    part, rest, here = path[0], path[1:], [*done, path[0]]
    if data is MISSING or data is None:
        return {str(part): put(MISSING, rest, value, here)}
    if isinstance(data, dict):
        return {**data, str(part): put(data.get(str(part), MISSING), rest, value, here)}
    if isinstance(data, list):
        index = _index(part, done)
        if index > len(data):
            raise EditError(f"{pointer(done)} has {len(data)} items, and none is number {index}")
        old = data[index] if index < len(data) else MISSING
        return [*data[:index], put(old, rest, value, here), *data[index + 1 :]]
    raise _no_way(data, done)


def take(data: Any, path: Path, done: Path = ()) -> Any:
    """Return data without what is at a path. Raises EditError where no path leads there."""
    if get(data, path) is MISSING:
        return data
    if not path:
        return MISSING
    part, rest = path[0], path[1:]
    if isinstance(data, dict):
        if rest:
            return {**data, str(part): take(data[str(part)], rest)}
        return {key: value for key, value in data.items() if key != str(part)}
    index = _index(part, done)
    return [*data[:index], *([take(data[index], rest)] if rest else []), *data[index + 1 :]]


def merge(old: Any, value: Any) -> Any:
    """Return `value` with what else `old` has: members of mappings, items of lists."""
    if isinstance(old, dict) and isinstance(value, dict):
        merged = {key: merge(old.get(key, MISSING), more) for key, more in value.items()}
        return {**old, **merged}
    if isinstance(old, list) and isinstance(value, list):
        return [*old, *(item for item in value if not any(same(item, one) for one in old))]
    return value


def without(old: Any, items: Sequence[Any]) -> Any:
    """Return a list without some items; what is no list is returned as it is."""
    if not isinstance(old, list):
        return old
    return [item for item in old if not any(same(item, one) for one in items)]


def _index(part: str | int, done: Path) -> int:
    if isinstance(part, int) and not isinstance(part, bool) and part >= 0:
        return part
    if isinstance(part, str) and part.isascii() and part.isdigit():
        return int(part[:9])
    raise EditError(f"{pointer(done) or 'the top'} is a list, and {part!r} is no index of one")


def _no_way(data: Any, done: Path) -> EditError:
    kind = _TYPES.get(type(data), "an alias or has a tag")
    return EditError(f"{pointer(done) or 'the top'} is {kind}, so nothing can be below it")
