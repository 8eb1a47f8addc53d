"""References to secrets in specs: what a catalog holds in place of their values.

`{MARK: {"env": "NAME"}}` in plain data is a reference, as the type `Secret` of converge.fields leaves
it; `file` and `command` are the other sources. converge.secrets fills them in.
"""

from __future__ import annotations

from converge.textdiff import MASK

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from typing import Any

    from converge.catalog import Resource
    from converge.provider import Spec

MARK = "!secret"
_OPEN, _CLOSE = "\ufdd0", "\ufdd1"  # not characters (Unicode 23.7): no text holds them


class Concealed(str):
    """The value of a secret: text, bytes that are not UTF-8 as surrogates (PEP 383)."""

    __slots__ = ()

    def __repr__(self) -> str:
        """Return what may be shown of it."""
        return MASK


def references(data: Any) -> list[dict[str, Any]]:
    """Return every reference in plain data, such as a spec: each `{source: where}`."""
    if isinstance(data, dict):
        if _is_reference(data):
            return [data[MARK]]
        data = list(data.values())
    if isinstance(data, list | tuple):
        return [found for item in data for found in references(item)]
    return []


def files(found: Iterable[Mapping[str, Any]]) -> list[str]:
    """Return the paths of those references that are files."""
    return [reference["file"] for reference in found if "file" in reference]


def blank(spec: Spec) -> Spec:
    """Return a spec with an empty text for each secret, for what only needs the rest of it."""
    plain = spec.as_dict()
    if not references(plain):
        return spec
    return type(spec)(**filled(plain, lambda _: Concealed("")))


def written(data: Any) -> Any:
    """Return plain data with each reference as a profile writes it."""
    return filled(data, lambda reference: reference)


def of(resources: Iterable[Resource]) -> dict[str, list[dict[str, Any]]]:
    """Return the references in the specs of resources, by id; what has none is left out."""
    found = {one.id: references(one.spec) for one in resources}
    return {name: several for name, several in found.items() if several}


def names(
    fields: Iterable[str], attributes: Mapping[str, Any], others: Mapping[str, Any]
) -> Mapping[str, Any]:
    """Return what the templates of a resource see: also, of its `secrets`, a mark for each."""
    from collections import ChainMap

    declared = attributes.get("secrets") if "secrets" in fields else None
    if not isinstance(declared, dict):
        return others
    marks = {name: f"{_OPEN}{name}{_CLOSE}" for name in declared}
    return ChainMap({"secrets": marks}, others)  # type: ignore[arg-type]


def unused(names: Iterable[str], text: str) -> list[str]:
    """Return the names whose marks are not in a rendered text, as a filter has changed them."""
    return [name for name in names if f"{_OPEN}{name}{_CLOSE}" not in text]


def put_in(text: str, values: Mapping[str, str]) -> str:
    """Return a rendered text with each mark replaced by its value, as it is."""
    for name, value in values.items():
        text = text.replace(f"{_OPEN}{name}{_CLOSE}", value)
    return text


def _is_reference(data: Any) -> bool:
    return isinstance(data, dict) and len(data) == 1 and isinstance(data.get(MARK), dict)


def filled(data: Any, value: Any) -> Any:
    """Return a copy of plain data with `value(reference)` in the place of each reference."""
    if _is_reference(data):
        return value(data[MARK])
    if isinstance(data, dict):
        return {key: filled(item, value) for key, item in data.items()}
    if isinstance(data, list | tuple):
        return [filled(item, value) for item in data]
    return data
