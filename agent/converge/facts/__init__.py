"""Facts: what the agent knows of this container. Each is found when it is first asked for."""

from __future__ import annotations

import os
from _collections_abc import Mapping  # collections costs a millisecond of every start

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import Any

    from converge.read_only import ReadOnlySystem

_NOTED = ("environment", "custom")


class Facts(Mapping[str, "Any"]):
    """The facts by name, as plain data (dict, list, str, int, float, bool, None), or Noted.

    `environment` holds values that may be secrets: whoever shows facts masks it. `folder` is that of
    custom facts; without one there are none.
    """

    def __init__(
        self,
        system: ReadOnlySystem,
        environment: Mapping[str, str] = os.environ,
        folder: str = "",
    ) -> None:
        self._system = system
        self._environment = environment
        self._folder = folder
        self._found: dict[str, Any] = {}

    @property
    def system(self) -> ReadOnlySystem:
        """The machine that they are of."""
        return self._system

    def __getitem__(self, name: str) -> Any:
        if name not in self._found:
            self._found[name] = self._find(name)
        return self._found[name]

    def _find(self, name: str) -> Any:
        if name == "environment":
            from converge.facts.noted import Environment

            return Environment(self._environment)
        if name == "custom":
            from converge.facts.custom import CustomFacts

            return CustomFacts(self._folder)
        from converge.facts.built_in import FACTS

        return FACTS[name](self._system, self._environment)

    def __contains__(self, name: object) -> bool:
        return name in _names()

    def __iter__(self) -> Iterator[str]:
        return iter(_names())

    def __len__(self) -> int:
        return len(_names())

    def missing(self, name: str) -> str:
        """Return what to tell somebody who asks for a fact that there is not."""
        return f"there is no fact `{name}`; there are {', '.join(self)}"

    def used(self) -> dict[str, Any]:
        """Return the facts that were asked for until now: whether they hold still, ask `same`.

        It is kept in the state. Of Noted facts it holds digests of the parts that were asked for.
        """
        return {
            name: value.fingerprints() if name in _NOTED else value
            for name, value in self._found.items()
        }

    def same(self, used: Mapping[str, Any]) -> bool:
        """Tell whether what `used` gave (it may have been through JSON) is the same now.

        Raises KeyError for a fact that there is not, ConvergeError for a custom one that cannot be
        had.
        """
        from converge import jsontext

        for name, value in used.items():
            fact = self[name]
            if name in _NOTED:
                fact.recall_fingerprints(value)
        now: dict[str, Any] = jsontext.loads(jsontext.dumps(self.used()))
        return now == used

    def paths(self) -> list[str]:
        """Return the files of the custom facts that were asked for until now."""
        return list(self._found["custom"].paths) if "custom" in self._found else []

    def all(self) -> dict[str, Any]:
        """Return every fact but the custom ones, for people to read."""
        found = {name: self[name] for name in self if name != "custom"}
        return {name: dict(v) if name in _NOTED else v for name, v in found.items()}


def _names() -> tuple[str, ...]:
    from converge.facts.built_in import FACTS

    return (*FACTS, *_NOTED)
