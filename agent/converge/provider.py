"""The contract between the engine and a kind.

A kind is one module: a `Spec` (what may be declared), a `State` (what is, in canonical form) and a
`Provider` (reads and changes). Each method says whether it MUST, SHOULD or MAY be overridden.
Providers never compare, never order, never ask whether this is a dry run: the engine does.
"""

from __future__ import annotations

from abc import ABC, abstractmethod

from converge import stopping
from converge.errors import BatchError, StoppedError
from converge.record import Record

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
    from typing import Any, ClassVar, Generic, TypeVar

    from converge.declared import Asked, Declared
    from converge.system import ReadOnlySystem, System

    S = TypeVar("S", bound="Spec")
    T = TypeVar("T", bound="State")
else:

    class Generic:
        """As typing.Generic: `Generic[S, T]` is for type checkers."""

        def __class_getitem__(cls, _: object) -> type:
            return cls

    S = T = None


class Spec(Record):
    """What a profile declares of one resource. Subclass it per kind and annotate the attributes.

    Annotations are strings (`from __future__ import annotations`) that pydantic reads only when a
    profile is validated (converge.language.models); they may use any name of `converge.fields`, imported
    under TYPE_CHECKING. Values are plain data: str, int, float, bool, None, list, dict. A field of
    the type `Secret` is a text, or until a run fills it in (converge.secrets) a reference, a dict.
    """

    whole_secrets: ClassVar[frozenset[str]] = frozenset()  # whose last line break counts
    # An attribute that names a template below the profile's folder, and the one that it is rendered to.
    rendered: ClassVar[tuple[str, str] | None] = None

    name: str

    def problems(self) -> Iterable[tuple[str, str]]:
        """MAY be overridden: yield (attribute, message) for rules across attributes. Pure."""
        return ()

    def subject(self) -> str:
        """MAY be overridden. Return what a diff is one of: the path, where that is not the name."""
        return self.name


class State(Record):
    """What a resource is. Canonical and comparable; a field that is None is not managed.

    `text` names fields (str or bytes) that deserve a unified diff; `secret` those never shown.
    """

    text: ClassVar[frozenset[str]] = frozenset()
    secret: ClassVar[frozenset[str]] = frozenset()


class Unmanageable(Record):
    """Why a resource cannot be managed in this container, and what would allow it."""

    reason: str
    remedy: str = ""


class FieldChange(Record):
    """One field that differs: the value found (None if the resource is absent), the value wanted."""

    field: str
    before: Any
    after: Any


class Change(Record, Generic[S, T]):
    """A resource's difference. `before` None: to be created; `after` None: to be removed."""

    id: str
    spec: S
    before: T | None
    after: T | None
    fields: tuple[FieldChange, ...] = ()

    def wants(self, field: str) -> bool:
        """Tell whether this field differs and is wanted (never true of a removal)."""
        return self.after is not None and any(f.field == field for f in self.fields)


class Provider(ABC, Generic[S, T]):
    """Reads and changes one kind, in batches."""

    kind: ClassVar[str]
    spec: type[S]
    brings_files: ClassVar[bool] = False  # True (package): goes first in its wave
    # The phases that it is part of where the profile names none; empty: all.
    phases: ClassVar[tuple[str, ...]] = ()
    # Phases in which nothing is changed unless the profile says so, and why. May be looked at.
    withheld: ClassVar[Mapping[str, str]] = {}
    needed: ClassVar[bool] = True  # False (mount): where it is absent, what depends on it may stay
    recurring: ClassVar[bool] = False  # True (command): ask `recurs`
    verbs: ClassVar[tuple[str, str]] = ("created", "removed")  # what people are told of a change

    @abstractmethod
    def desired(self, spec: S) -> T | None:
        """MUST be overridden. Return the state that the spec declares, None for absent. Pure."""

    @abstractmethod
    def inspect(self, specs: Sequence[S], system: ReadOnlySystem) -> Mapping[str, T | Unmanageable]:
        """MUST be overridden. Read the live state of all these, by name, in one pass.

        What is absent is left out. Fields come in the same canonical form as `desired` gives; a
        value that is declared in several spellings (a mode `u+x`) is returned in the declared
        spelling where it holds. OSError for one resource: leave it to `reading` (below).
        """

    @abstractmethod
    def apply(self, changes: Sequence[Change[S, T]], system: System) -> None:
        """MUST be overridden. Make all these changes; touch no more than the fields that differ.

        Raise BatchError (see `each`) for those that failed; any other exception counts for all.
        The engine reads again afterwards and believes that reading alone.
        """

    def obstacles(
        self, changes: Sequence[Change[S, T]], system: ReadOnlySystem
    ) -> Mapping[str, Unmanageable]:
        """SHOULD be overridden. Say, by name, which of these changes this container forbids.

        Asked only of resources that differ. Probe (try, errno, mountinfo, capabilities); never
        guess from the name of a runtime.
        """
        return {}

    def depends(self, spec: S) -> Iterable[str]:
        """SHOULD be overridden. Yield ids (`kind:name`) that go first if they are in the catalog.

        Where the other is to be absent, the engine turns the order round. Pure.
        """
        return ()

    def claims(self, spec: S) -> Iterable[str]:
        """MAY be overridden. Yield what this resource owns alone; two owners are a profile error.

        `path:PATH` is a file system object, `content:PATH` the whole content of a file, and
        `part:PATH\\0WHICH` a part of one, which no other resource may declare the whole of.
        """
        return (f"{self.kind}:{spec.name}",)

    def watches(self, spec: S) -> Iterable[str]:
        """MAY be overridden. Yield the paths whose change may mean drift of this resource.

        A slash at the end means the directory and all below it. Default: the paths it claims. Pure.
        """
        for claim in self.claims(spec):
            if claim.startswith("path:"):
                yield claim.removeprefix("path:")

    def rests_on(self, spec: S) -> Iterable[str] | None:
        """MAY be overridden. Return the paths by whose stat(2) a change of all that is read shows.

        While they look as they did, what was right is not read again (converge.state.fingerprints). Of a
        directory only its owner and mode count, with a slash at the end also which names are in it.
        None (the default): it is read in every run, as it has to be if it recurs. Pure.
        """
        return None

    def resolve(self, spec: S, read: Callable[[str], tuple[str, bytes]]) -> S:
        """MAY be overridden. Take in files of the profile's folder when the catalog is compiled.

        `read` maps a relative path to (real path, content) and raises ConvergeError.
        """
        return spec

    def adopt(self, spec: S, claimed: Collection[str]) -> S:
        """MAY be overridden. Learn which paths the whole catalog manages. Pure."""
        return spec

    def declare(self, asked: Asked, system: ReadOnlySystem) -> Iterable[Declared] | None:
        """MAY be overridden. Yield what is there as it would be declared, never a secret.

        It is checked: it has to be valid, and in sync. None (the default): ask `inspect`, by name.
        """
        return None

    def hidden(self, change: Change[S, T]) -> frozenset[str]:
        """MAY be overridden. Name the fields whose values must not be shown for this change."""
        state = change.after or change.before
        return state.secret if state else frozenset()

    def deletions(self, change: Change[S, T]) -> int:
        """MAY be overridden. Count the things that this change deletes (the run has a cap)."""
        return 1 if change.after is None else 0

    def recurs(self, spec: S) -> bool:
        """MAY be overridden, with `recurring`. Tell whether it is refreshed in every run. Pure."""
        return False

    def refresh(self, spec: S, system: System) -> None:
        """MAY be overridden. Do what a notification asks for (restart, reload). Default: nothing."""
        return


def each(changes: Sequence[Change[S, T]], action: Callable[[Change[S, T]], None]) -> None:
    """Run `action` on every change of a batch; raise BatchError at the end for those that failed.

    A run that is asked to stop leaves those that it has not come to.
    """
    errors: dict[str, Exception] = {}
    for change in changes:
        try:
            if stopping.requested():
                raise StoppedError("the run was asked to stop")
            action(change)
        except Exception as error:  # noqa: BLE001  one bad resource must not stop its neighbours
            errors[change.spec.name] = error
    if errors:
        raise BatchError(errors)


def reading(
    specs: Sequence[S], read: Callable[[S], T | Unmanageable | None]
) -> dict[str, T | Unmanageable]:
    """Run `read` on every spec; an OSError makes that one unmanageable, never absent."""
    found: dict[str, T | Unmanageable] = {}
    for spec in specs:
        try:
            state = read(spec)
        except OSError as error:
            state = Unmanageable(reason=f"cannot be read: {error.strerror or error}")
        if state is not None:
            found[spec.name] = state
    return found
