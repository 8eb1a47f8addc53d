"""Frozen records that cost nothing to import.

The in-sync path must not pay for dataclasses (15 ms) or pydantic (75 ms), so specs, states and
changes are these. Type checkers treat a subclass as a frozen keyword-only dataclass. See ADR 0002.
"""

from __future__ import annotations

# Importing typing costs 2 ms of every start, and this is what type checkers take for it.
TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, ClassVar, Self, dataclass_transform
else:

    def dataclass_transform(**_: object) -> object:
        """Return a decorator that does nothing: it is for type checkers."""
        return lambda found: found


@dataclass_transform(kw_only_default=True, frozen_default=True, eq_default=True)
class Record:
    """A frozen record whose fields are the annotated names of the class, inherited ones first.

    Takes keywords only; raises TypeError for a name that is unknown or missing.
    """

    field_names: ClassVar[tuple[str, ...]] = ()
    required_names: ClassVar[frozenset[str]] = frozenset()
    _known_names: ClassVar[frozenset[str]] = frozenset()

    def __init_subclass__(cls) -> None:
        super().__init_subclass__()
        own = [
            name
            for name, kind in cls.__dict__.get("__annotations__", {}).items()
            if not str(kind).startswith("ClassVar")
        ]
        cls.field_names = tuple(dict.fromkeys((*cls.field_names, *own)))
        cls._known_names = frozenset(cls.field_names)
        cls.required_names = frozenset(n for n in cls.field_names if not hasattr(cls, n))

    def __init__(self, **values: Any) -> None:
        if not (values.keys() <= self._known_names and self.required_names <= values.keys()):
            unknown = sorted(values.keys() - self._known_names)
            missing = sorted(self.required_names - values.keys())
            raise TypeError(f"{type(self).__name__}: unknown {unknown}, missing {missing}")
        self.__dict__.update(values)

    @classmethod
    def whole(cls, values: dict[str, Any]) -> Self:
        """Return the record that `as_dict` or `declared` gave these for; they are not checked again."""
        made = cls.__new__(cls)
        made.__dict__.update(values)
        return made

    def __setattr__(self, name: str, value: object) -> None:
        raise AttributeError(f"{type(self).__name__} is frozen")

    def __delattr__(self, name: str) -> None:
        raise AttributeError(f"{type(self).__name__} is frozen")

    def __eq__(self, other: object) -> bool:
        if type(self) is not type(other):
            return NotImplemented
        return self.as_dict() == other.as_dict()

    def __hash__(self) -> int:
        return hash(tuple(getattr(self, name) for name in self.field_names))

    def __repr__(self) -> str:
        fields = ", ".join(f"{name}={value!r}" for name, value in self.as_dict().items())
        return f"{type(self).__name__}({fields})"

    def as_dict(self) -> dict[str, Any]:
        """Return every field and its value, in the order of the class."""
        return {name: getattr(self, name) for name in self.field_names}

    def declared(self) -> dict[str, Any]:
        """Return the fields that differ from their defaults: what `whole` makes this record of."""
        needed, kind = self.required_names, type(self)
        found = self.as_dict().items()
        return {name: v for name, v in found if name in needed or v != getattr(kind, name)}

    def replace(self, **values: Any) -> Self:
        """Return a copy with some fields changed."""
        return type(self)(**{**self.as_dict(), **values})

    __replace__ = replace  # as in copy.replace(); a spec may have a field named `replace`
