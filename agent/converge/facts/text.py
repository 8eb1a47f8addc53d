"""`converge facts`: every fact, for people to read."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from converge.errors import ConvergeError
from converge.textdiff import escaped, in_words

if TYPE_CHECKING:
    from converge.facts import Facts


def gather(facts: Facts, *, hidden: bool) -> tuple[dict[str, Any], list[ConvergeError]]:
    """Return every fact as plain data, and what was wrong with custom ones.

    `hidden` hides the values of the environment, which may be secrets.
    """
    found = facts.all()
    if hidden:
        found["environment"] = dict.fromkeys(found["environment"], "[hidden]")
    found["custom"] = {}
    errors = []
    for name in facts["custom"]:
        try:
            found["custom"][name] = facts["custom"][name]
        except ConvergeError as error:
            errors.append(error)
    return found, errors


def outline(value: Any, indent: str = "") -> list[str]:
    """Return nested data as indented lines."""
    lines: list[str] = []
    items = value.items() if isinstance(value, dict) else [("-", item) for item in value]
    for key, item in items:
        name = f"{indent}{escaped(str(key))}{'' if key == '-' else ':'}"
        if isinstance(item, dict | list | tuple) and item:
            inner = item.values() if isinstance(item, dict) else item
            if all(not isinstance(one, dict | list | tuple) for one in inner) and key != "-":
                flat = (
                    [f"{k}: {_word(item[k])}" for k in item]
                    if isinstance(item, dict)
                    else map(_word, item)
                )
                lines.append(f"{name} {escaped(', '.join(flat))}")
            else:
                lines += [name, *outline(item, indent + "  ")]
        else:
            lines.append(f"{name} {escaped(_word(item))}")
    return lines


def _word(value: Any) -> str:
    """Return a single value in words, `none` also for what is empty."""
    return "none" if value in ({}, []) else in_words(value)
