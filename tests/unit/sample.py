"""A tiny kind over a dictionary, and catalogs of it, to try the engine with no machine."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from converge import kinds
from converge.catalog import Catalog, Resource
from converge.errors import ApplyError, CannotManageError
from converge.provider import Change, Provider, Spec, State, Unmanageable, each
from converge.system import System


class ThingSpec(Spec):
    """A thing with a value."""

    name: str
    state: str = "present"
    value: int = 1
    size: int | None = None


class ThingState(State):
    value: int | None = None
    size: int | None = None


class ThingProvider(Provider[ThingSpec, ThingState]):
    """Keeps things in `live`; does what `tricks` says for a name."""

    kind = "thing"
    spec = ThingSpec

    def __init__(self) -> None:
        self.live: dict[str, ThingState] = {}
        self.tricks: dict[str, Any] = {}
        self.applied: list[list[str]] = []
        self.inspected: list[list[str]] = []
        self.refreshed: list[str] = []

    def desired(self, spec: ThingSpec) -> ThingState | None:
        if spec.state == "absent":
            return None
        return ThingState(value=spec.value, size=spec.size)

    def inspect(self, specs: Sequence[ThingSpec], system: Any) -> Mapping[str, Any]:
        self.inspected.append([spec.name for spec in specs])
        if self.tricks.get("inspect"):
            raise self.tricks["inspect"]
        found: dict[str, Any] = {s.name: self.live[s.name] for s in specs if s.name in self.live}
        for spec in specs:
            if self.tricks.get(spec.name) == "unreadable":
                found[spec.name] = Unmanageable(reason="cannot be read", remedy="look elsewhere")
        return found

    def obstacles(self, changes: Sequence[Change[Any, Any]], system: Any) -> dict[str, Any]:
        return {
            c.spec.name: Unmanageable(reason="forbidden", remedy="ask")
            for c in changes
            if self.tricks.get(c.spec.name) == "forbidden"
        }

    def apply(self, changes: Sequence[Change[Any, Any]], system: System) -> None:
        self.applied.append([change.spec.name for change in changes])
        if self.tricks.get("apply"):
            raise self.tricks["apply"]
        each(changes, self._apply)

    def _apply(self, change: Change[Any, Any]) -> None:
        trick, name = self.tricks.get(change.spec.name), change.spec.name
        if trick == "fail":
            raise ApplyError("it broke", "mend it")
        if trick == "cannot":
            raise CannotManageError("the kernel says no", "be privileged")
        if trick == "lie":
            return
        if change.after is None:
            del self.live[name]
        else:
            self.live[name] = change.after
        if callable(trick):
            trick(self)

    def refresh(self, spec: ThingSpec, system: System) -> None:
        self.refreshed.append(spec.name)
        if self.tricks.get(f"refresh {spec.name}"):
            raise ApplyError("it does not start")


class OtherProvider(ThingProvider):
    """The same as another kind, whose resources bring files."""

    kind = "other"
    brings_files = True


def install(monkeypatch: Any) -> tuple[ThingProvider, OtherProvider]:
    """Make the kinds `thing` and `other` known for one test."""
    thing, other = ThingProvider(), OtherProvider()
    monkeypatch.setitem(kinds._loaded, "thing", thing)
    monkeypatch.setitem(kinds._loaded, "other", other)
    return thing, other


def resource(name: str, wave: int = 0, kind: str = "thing", **options: Any) -> Resource:
    """Return a resource whose spec takes what is no common attribute."""
    spec = {"name": name, **{k: options.pop(k) for k in ("state", "value", "size") if k in options}}
    return Resource(
        id=f"{kind}:{name}", kind=kind, spec=spec, file="p.yaml", line=1, wave=wave, **options
    )


def catalog(*resources: Resource) -> Catalog:
    """Return a catalog of these resources."""
    return Catalog(profile="sample", source="/etc/converge", resources=resources, inputs={})
