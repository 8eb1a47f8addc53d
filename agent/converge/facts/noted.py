"""Mappings that note what was asked of them, so that a catalog depends on that and no more."""

from __future__ import annotations

from _collections_abc import Mapping  # collections costs a millisecond of every start
from abc import abstractmethod

from converge.files import digests

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import Any

_ALL = ""  # notes that the names were asked for


class Noted(Mapping[str, "Any"]):
    """Named values, found when they are asked for. What is noted of each is a digest, or None.

    The values may be secrets, and what is noted is kept in the state.
    """

    def __init__(self) -> None:
        self._raw: dict[str, bytes] = {}
        self._noted: dict[str, str | None] = {}

    @abstractmethod
    def missing(self, name: str) -> str:
        """Return what to tell somebody who asks for a name that is not there."""

    @abstractmethod
    def _names(self) -> list[str]:
        """Return all names, in order."""

    @abstractmethod
    def _find(self, name: str) -> bytes:
        """Return what a value is made of. Raises KeyError, ConvergeError."""

    @abstractmethod
    def _value(self, name: str, raw: bytes) -> Any:
        """Return the value that is made of it. Raises ConvergeError."""

    def __getitem__(self, name: str) -> Any:
        return self._value(name, self._asked(name))

    def __iter__(self) -> Iterator[str]:
        names = self._names()
        self._noted[_ALL] = digests.of("\0".join(names).encode(errors="surrogateescape"))
        return iter(names)

    def __len__(self) -> int:
        return sum(1 for _ in self)

    def __contains__(self, name: object) -> bool:
        return name in list(self)

    def fingerprints(self) -> dict[str, str | None]:
        """Return a digest of all that was asked for, by name."""
        return dict(self._noted)

    def recall_fingerprints(self, names: Mapping[str, Any]) -> None:
        """Ask for the same as somebody did whose `fingerprints` these are, but for no value."""
        for name in names:
            if name == _ALL:
                iter(self)
            else:
                self._missing_or(name)

    def _missing_or(self, name: str) -> None:
        try:
            self._asked(name)
        except KeyError:
            return

    def _asked(self, name: str) -> bytes:
        if name not in self._raw:
            self._noted[name] = None
            self._raw[name] = self._find(name)
            self._noted[name] = digests.of(self._raw[name])
        return self._raw[name]


class Environment(Noted):
    """The agent's environment variables."""

    def __init__(self, environment: Mapping[str, str]) -> None:
        super().__init__()
        self._environment = environment

    def missing(self, name: str) -> str:
        """Return the remedy, too: most variables are there in some containers only."""
        return (
            f"the environment has no `{name}`; "
            f"where it may be missing, write `facts.environment.{name} | default('…')`"
        )

    def _names(self) -> list[str]:
        return sorted(self._environment)

    def _find(self, name: str) -> bytes:
        return self._environment[name].encode(errors="surrogateescape")

    def _value(self, name: str, raw: bytes) -> str:
        return raw.decode(errors="surrogateescape")
