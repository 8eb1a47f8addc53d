"""Which resources a declaration stands for: its names, times the items of its `for_each`."""

from __future__ import annotations

from collections import ChainMap
from typing import TYPE_CHECKING, Any

from converge.errors import ConvergeError
from converge.record import Record

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from converge.language.profile import Declaration
    from converge.language.template import Templates

    Place = tuple[str | int, ...]
    Problem = Callable[..., None]  # (declaration, resource, place, message, remedy)

MOST = 10_000  # resources of one declaration


class Instance(Record):
    """One resource of a declaration: its rendered name, and the names that its templates see.

    `item` says which item of a `for_each` it is of, for messages; it is empty without one.
    """

    name: Any
    names: Mapping[str, Any]
    place: Place
    item: str = ""


class _Item(Record):
    about: str
    names: Mapping[str, Any]


def instances(
    declaration: Declaration, templates: Templates, names: Mapping[str, Any], problem: Problem
) -> Iterator[Instance]:
    """Yield the resources of a declaration in order; what is wrong goes to `problem`."""
    count = 0
    for item in _items(declaration, templates, names, problem):
        for name, place in _names(declaration, templates, item, problem):
            count += 1
            if count > MOST:
                message = f"the declaration stands for more than {MOST} resources"
                problem(declaration, declaration.kind, (), message, "split it")
                return
            yield Instance(name=name, names=item.names, place=place, item=item.about)


def _items(
    declaration: Declaration, templates: Templates, names: Mapping[str, Any], problem: Problem
) -> list[_Item]:
    """Return the items of the declaration's `for_each`; without one, one that adds nothing."""
    if "for_each" not in declaration.attributes:
        return [_Item(about="", names=names)]
    label = f"{declaration.kind}:{declaration.names[0]}"
    try:
        found = _collection(declaration.attributes["for_each"], templates, names)
    except ConvergeError as error:
        problem(declaration, label, ("for_each", *getattr(error, "path", ())), str(error))
        return []
    if isinstance(found, dict):
        seen = [
            (f"key `{key}`", {"item": found[key], "key": key, "index": index})
            for index, key in enumerate(found)
        ]
    elif isinstance(found, list):
        seen = [(f"index {i}", {"item": item, "index": i}) for i, item in enumerate(found)]
    else:
        shown = "null" if found is None else repr(found)[:60]
        message = f"`for_each` takes a list or a mapping, not {shown}"
        remedy = "give a list, a mapping, or an expression such as `users`"
        problem(declaration, label, ("for_each",), message, remedy)
        return []
    return [_Item(about=about, names=ChainMap(own, names)) for about, own in seen]  # type: ignore[arg-type]


def _collection(raw: Any, templates: Templates, names: Mapping[str, Any]) -> Any:
    """Return what was written, rendered; a string without braces is an expression, as in `when`."""
    if isinstance(raw, str) and "{{" not in raw and "{%" not in raw:
        return templates.expression(raw, names)
    return templates.value(raw, names)


def _names(
    declaration: Declaration, templates: Templates, item: _Item, problem: Problem
) -> Iterator[tuple[Any, Place]]:
    """Yield the names of a declaration; a name that is an expression may give several."""
    several = len(declaration.names) > 1
    for i, raw in enumerate(declaration.names):
        place: Place = (declaration.kind, i) if several else (declaration.kind,)
        try:
            name = templates.value(raw, item.names)
        except ConvergeError as error:
            message = f"{error}; at {item.about} of `for_each`" if item.about else str(error)
            problem(declaration, f"{declaration.kind}:{raw}", place, message)
            continue
        for one in name if isinstance(name, list) else [name]:
            yield one, place
