"""Reading the live state in batches and comparing it with what is declared. Changes nothing."""

from __future__ import annotations

from converge import kinds, outcome
from converge.diff import difference
from converge.errors import ConvergeError
from converge.provider import Change, Spec, Unmanageable
from converge.record import Record

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable, Sequence
    from typing import Any

    from converge.catalog import Catalog, Resource
    from converge.kinds import AnyProvider
    from converge.outcome import Outcome
    from converge.state.fingerprints import Fingerprints
    from converge.system import ReadOnlySystem


class Item(Record):
    """A resource with its provider and validated spec."""

    resource: Resource
    provider: AnyProvider
    spec: Spec


class Inspection:
    """Reads and compares; never changes anything."""

    def __init__(
        self,
        catalog: Catalog,
        tags: Sequence[str] = (),
        only: Collection[str] | None = None,
        before_reading: Callable[[Iterable[Item]], None] | None = None,
        phase: str = "",
        fingerprints: Fingerprints | None = None,
    ) -> None:
        self.phase = phase
        self.left: list[str] = []  # what is not part of this phase
        self._before_reading = before_reading
        self._fingerprints = fingerprints
        self.outcomes: dict[str, Outcome] = {}
        self.resources: dict[str, Resource] = {}  # that are looked at
        self._items: dict[str, Item] = {}
        self.recurring: list[str] = []  # what is refreshed in every run
        # Ids whose secret was not to be had when it was asked for last.
        self.waiting: set[str] = set()
        self._references = catalog.secrets
        self._secrets: Any = None
        for resource in catalog.resources:
            if tags and not set(tags) & set(resource.tags):
                continue
            if only is not None and resource.id not in only:
                continue
            if phase and resource.phase and phase not in resource.phase:
                self.left.append(resource.id)
                continue
            if not resource.selected:
                self.outcomes[resource.id] = outcome.skipped("`when` is false", blocks=False)
                continue
            self.resources[resource.id] = resource

    @property
    def full(self) -> bool:
        """True if nothing is taken for right by how it looks."""
        return self._fingerprints is None or self._fingerprints.full

    @property
    def items(self) -> dict[str, Item]:
        """All of it, with providers and specs, in the order of the catalog."""
        if len(self._items) < len(self.resources):
            self._items = {name: self.item(name) for name in self.resources}
        return self._items

    def item(self, name: str) -> Item:
        """Return a resource with its provider, which is imported by then, and its spec."""
        if name not in self._items:
            resource = self.resources[name]
            provider = kinds.load(resource.kind)
            spec = provider.spec.whole(resource.spec)
            if provider.recurring and provider.recurs(spec) and not resource.noop:
                self.recurring.append(name)
            self._items[name] = Item(resource=resource, provider=provider, spec=spec)
        return self._items[name]

    def inspect(self, names: Iterable[str], system: ReadOnlySystem) -> dict[str, Change[Any, Any]]:
        """Return what differs among these, by id; sets the outcome of each that is settled."""
        differing: dict[str, Change[Any, Any]] = {}
        names = list(names)
        if self._fingerprints:
            self._fingerprints.look_anew()
        if self._before_reading:
            self._before_reading([self.item(name) for name in names])
        items = [self.item(name) for name in names if not self._is_known(name, system)]
        if self.phase == "bake":
            items = self._in_image(items, system)
        if self._references:
            items = [one for item in items if (one := self._revealed(item, system))]
        for group in by_kind(items):
            self._inspect_kind(group, system, differing)
        return differing

    def _in_image(self, items: list[Item], system: ReadOnlySystem) -> list[Item]:
        """Return the items of a build that are part of the image; the outcome of others is settled."""
        from converge.state import image

        away = image.on_mounts(items, system)
        self.outcomes |= away
        return [item for item in items if item.resource.id not in away]

    def _revealed(self, item: Item, system: ReadOnlySystem) -> Item | None:
        """Return an item with its secrets filled in; None: one cannot be had, so it has failed."""
        name = item.resource.id
        if name not in self._references:
            return item
        from converge import secrets

        self._secrets = self._secrets or secrets.Secrets()
        self.waiting.discard(name)
        declared = item.provider.spec(**item.resource.spec)
        try:
            item = item.replace(spec=self._secrets.fill(declared, system))
        except (OSError, ConvergeError) as error:
            self.waiting.add(name)
            self.outcomes[name] = outcome.failed(explain(error), None, getattr(error, "remedy", ""))
            return None
        self._items[name] = item
        return item

    def _is_known(self, name: str, system: ReadOnlySystem) -> bool:
        """Tell whether something was right when it was read, and looks as it did then."""
        known = self._fingerprints is not None and self._fingerprints.hold(name, system)
        if known:
            self.outcomes[name] = outcome.in_sync()
        return known

    def _note(self, item: Item, system: ReadOnlySystem) -> None:
        """Note how what a resource rests on looks before it is read; what a secret is, nothing shows."""
        name = item.resource.id
        paths = None if name in self._references else item.provider.rests_on(item.spec)
        if self._fingerprints and paths is not None:
            self._fingerprints.before_reading(name, paths, system)

    def _inspect_kind(
        self, group: list[Item], system: ReadOnlySystem, differing: dict[str, Change[Any, Any]]
    ) -> None:
        provider = group[0].provider
        for item in group if self._fingerprints else ():
            self._note(item, system)
        try:
            live = provider.inspect([item.spec for item in group], system)
        except Exception as error:  # noqa: BLE001  a provider must not end the run
            for item in group:
                self.outcomes[item.resource.id] = outcome.failed(
                    f"cannot be read: {explain(error)}"
                )
            return
        found = []
        for item in group:
            change = self._compare(item, live.get(item.spec.name))
            if change:
                found.append((item, change))
        self._probe(found, system, differing)

    def _compare(self, item: Item, before: Any) -> Change[Any, Any] | None:
        resource = item.resource
        if isinstance(before, Unmanageable):
            self.outcomes[resource.id] = outcome.unmanageable(
                before.reason, before.remedy, resource.on_unmanageable
            )
            return None
        change = difference(resource.id, item.spec, before, item.provider.desired(item.spec))
        if change is None:
            self.outcomes[resource.id] = outcome.in_sync()
            if self._fingerprints:
                self._fingerprints.was_right(resource.id)
        return change

    def _probe(
        self,
        found: list[tuple[Item, Change[Any, Any]]],
        system: ReadOnlySystem,
        differing: dict[str, Change[Any, Any]],
    ) -> None:
        if not found:
            return
        try:
            obstacles = found[0][0].provider.obstacles([change for _, change in found], system)
        except (OSError, ConvergeError) as error:
            for item, change in found:
                self.outcomes[item.resource.id] = outcome.failed(explain(error), change)
            return
        for item, change in found:
            resource, obstacle = item.resource, obstacles.get(item.spec.name)
            withheld = "" if resource.phase else item.provider.withheld.get(self.phase, "")
            if withheld:
                remedy = (
                    f"name the phase (`phase: [start, {self.phase}]`), or start the container anew"
                )
                self.outcomes[resource.id] = outcome.withheld(withheld, remedy, change)
            elif obstacle:
                self.outcomes[resource.id] = outcome.unmanageable(
                    obstacle.reason, obstacle.remedy, resource.on_unmanageable, change
                )
            else:
                self.outcomes[resource.id] = outcome.would_change(change)
                differing[resource.id] = change


def by_kind(items: Iterable[Item], *, early: bool = False) -> list[list[Item]]:
    """Return the items grouped by kind, in order of appearance; `early`: what brings files first."""
    groups: dict[str, list[Item]] = {}
    for item in items:
        groups.setdefault(item.resource.kind, []).append(item)
    found = list(groups.values())
    return sorted(found, key=lambda g: not g[0].provider.brings_files) if early else found


def differs(item: Item, change: Change[Any, Any]) -> str:
    """Return what still differs after an apply that raised nothing."""
    if change.after is None:
        return "it is still there"
    from converge.textdiff import shown

    untold = item.provider.hidden(change) | change.after.text
    return "still differs: " + ", ".join(
        field.field
        if field.field in untold or field.before is None
        else f"{field.field} ({shown(field.before)})"
        for field in change.fields
    )


def explain(error: Exception) -> str:
    """Return an error in one line, as people say it."""
    if isinstance(error, ConvergeError):
        return str(error.args[0])
    if isinstance(error, OSError) and error.strerror:
        where = f"{error.filename}: " if error.filename else ""
        return f"{where}{error.strerror}"
    return f"{type(error).__name__}: {error}"
