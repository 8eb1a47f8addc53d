"""What pydantic finds wrong with a declaration, in words for whoever wrote it."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from converge.errors import close_match

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from pydantic import ValidationError

    Place = tuple[str | int, ...]

_TYPES = {
    **dict.fromkeys(("string_type",), "a text"),
    **dict.fromkeys(("int_type", "int_from_float", "int_parsing"), "a whole number"),
    **dict.fromkeys(("float_type", "float_parsing"), "a number"),
    **dict.fromkeys(("bool_type", "bool_parsing"), "true or false"),
    **dict.fromkeys(("list_type", "sequence_str", "is_instance_of", "tuple_type"), "a list"),
    **dict.fromkeys(("dict_type", "mapping_type", "model_type", "model_attributes_type"), "a mapping"),
}  # fmt: skip
_BOUNDS = {
    "greater_than_equal": "at least {ge}",
    "greater_than": "more than {gt}",
    "less_than_equal": "at most {le}",
    "less_than": "less than {lt}",
    "string_too_long": "at most {max_length} characters long",
    "string_too_short": "at least {min_length} characters long",
    "too_long": "at most {max_length} items long",
    "too_short": "at least {min_length} items long",
}
_BOOLEANS = {
    **dict.fromkeys(("yes", "on", "y", "true", "True", 1), "true"),
    **dict.fromkeys(("no", "off", "n", "false", "False", 0), "false"),
}
_STATES = {  # a word of another system → what it is here
    "directory": "there is a kind `directory`",
    "link": "there is a kind `symlink`",
    "hard": "hard links are not managed",
    "file": "write 'present'",
    "touch": "write 'present'",
    "installed": "write 'present'",
    "removed": "write 'absent'",
    "uninstalled": "write 'absent'",
    "started": "write 'running'",
    "restarted": "a restart is no state: what calls for one names it in `notify`",
    "reloaded": "a reload is no state: what calls for one names it in `notify`",
    "mounted": "write 'present'",
}
_SHOWN = 60  # characters of a value


def problems(error: ValidationError, data: Mapping[str, Any]) -> Iterator[tuple[Place, str]]:
    """Yield (place in the data, message) for all that is wrong, one for each place."""
    found: dict[Place, list[Any]] = {}
    for one in error.errors(include_url=False):
        found.setdefault(_place(one, data), []).append(one)
    for place, several in found.items():
        yield place, _message(_subject(place), several)


def _place(found: Any, data: Any) -> Place:
    """Return where in the data an error is: its location without the names of a union's branches."""
    if found["type"] in ("extra_forbidden", "missing"):
        return tuple(found["loc"])
    place: Place = ()
    for part in found["loc"]:
        known = part in data if isinstance(data, dict) else isinstance(data, list | tuple)
        if known and (isinstance(data, dict) or (isinstance(part, int) and part < len(data))):
            data = data[part]
            place = (*place, part)
    return place


def _subject(place: Place) -> str:
    """Return how a message calls what stands at a place."""
    names = [part for part in place if isinstance(part, str)]
    if not names:
        return "it"
    if place == ("name",):
        return "the name"
    return f"`{names[-1]}`" if place[-1] == names[-1] else f"an item of `{names[-1]}`"


def _message(subject: str, several: list[Any]) -> str:
    """Return one message for what each branch of a union says of one value."""
    types = [_TYPES[one["type"]] for one in several if one["type"] in _TYPES]
    if len(types) < len(several):
        return _one(subject, next(one for one in several if one["type"] not in _TYPES))
    value = several[0]["input"]
    *firsts, last = dict.fromkeys(types)
    wanted = f"{', '.join(firsts)} or {last}" if firsts else last
    return f"{subject} must be {wanted}, not {_shown(value)}{_hint(value, types)}"


def _one(subject: str, found: Any) -> str:
    kind, value, context = found["type"], found["input"], found.get("ctx", {})
    if kind == "extra_forbidden":
        return f"unknown attribute `{found['loc'][-1]}`"
    if kind == "missing":
        return f"the attribute `{found['loc'][-1]}` is missing"
    if kind == "value_error":
        return str(context["error"])
    if kind == "literal_error":
        close = subject == "`state`" and _STATES.get(str(value), "")
        close = close or close_match(str(value), re.findall(r"'([^']*)'", context["expected"]))
        return (
            f"{subject} must be {context['expected']}, not {_shown(value)}{close and f'; {close}'}"
        )
    if kind in _BOUNDS:
        bounds = {k: f"{v:g}" if isinstance(v, float) else v for k, v in context.items()}
        return f"{subject} must be {_BOUNDS[kind].format(**bounds)}, not {_shown(value)}"
    return f"{subject}: {found['msg'][:1].lower()}{found['msg'][1:]}, not {_shown(value)}"


def _shown(value: Any) -> str:
    """Return a value as YAML may have it, cut."""
    import json

    text = repr(value)
    if not isinstance(value, str):
        text = json.dumps(value, ensure_ascii=False, default=str)
    return text if len(text) <= _SHOWN else f"{text[:_SHOWN]}…"


def _hint(value: Any, wanted: list[str]) -> str:
    """Return what to write instead, where that can be told."""
    if "true or false" in wanted and isinstance(value, str | int) and value in _BOOLEANS:
        return f"; write {_BOOLEANS[value]}"
    if "a whole number" in wanted and isinstance(value, str) and value.isdigit():
        return f"; write {value} without quotes"
    if wanted == ["a text"] and isinstance(value, bool | int | float):
        return f'; quote it: "{_shown(value)}"'
    if wanted == ["a list"] and isinstance(value, str):
        return f"; write [{value[:_SHOWN]}]"
    return ""
