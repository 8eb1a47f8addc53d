"""How the values of one var, from several files, become one: `first`, `unique` or `deep`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from converge.errors import ConvergeError
from converge.record import Record

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from converge.language.origins import Origin

STRATEGIES = ("first", "unique", "deep")


class Merged(Record):
    """A var whose value is made of several, `origins`, the strongest first."""

    strategy: str
    origins: tuple[Origin, ...]

    def value(self, render: Callable[[Any], Any]) -> Any:
        """Return the merged value; `render` renders the templates of one. Raises ConvergeError."""
        values = [render(origin.value) for origin in self.origins]
        for value, origin in zip(values, self.origins, strict=True):
            self._check(value, origin)
        return unique(values) if self.strategy == "unique" else deep(values)

    def _check(self, value: Any, origin: Origin) -> None:
        if self.strategy == "unique" and isinstance(value, dict):
            raise ConvergeError(
                f"`merge` says `unique`, but at {origin.place} there is a mapping", "use `deep`"
            )
        if self.strategy == "deep" and not isinstance(value, dict):
            shown = "a list" if isinstance(value, list) else _shown(value)
            raise ConvergeError(
                f"`merge` says `deep`, which is for mappings, but at {origin.place} there is {shown}",
                "use `unique` for lists, `first` for anything",
            )


def unique(values: Sequence[Any]) -> list[Any]:
    """Return all items of lists and single values, each once, those of the first value first."""
    import json

    found: dict[str, Any] = {}
    for value in values:
        for item in value if isinstance(value, list) else [value]:
            found.setdefault(json.dumps(item, sort_keys=True), item)  # 1 is neither true nor 1.0
    return list(found.values())


def deep(values: Sequence[Any]) -> Any:
    """Return what the first value says, and of the others what it does not say.

    Mappings are merged key by key, lists as `unique` does; of anything else the first counts.
    """
    first, *others = values
    if isinstance(first, list):
        return unique([first, *(other for other in others if isinstance(other, list))])
    if not isinstance(first, dict):
        return first
    mappings = [first, *(other for other in others if isinstance(other, dict))]
    keys = dict.fromkeys(key for mapping in mappings for key in mapping)
    return {key: deep([one[key] for one in mappings if key in one]) for key in keys}


def _shown(value: Any) -> str:
    return "null" if value is None else repr(value)[:40]
