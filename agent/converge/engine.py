"""The engine: inspect → diff → apply → verify, in waves, one kind at a time.

It reads everything first and stops there when nothing differs. What was applied is read again and
that reading is believed. See ARCHITECTURE.md for the walk-through.
"""

from __future__ import annotations

from converge import outcome, stopping
from converge.errors import ApplyError, BatchError, CannotManageError, ConvergeError, StoppedError
from converge.inspection import Inspection, Item, by_kind, differs, explain

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable, Sequence
    from typing import Any

    from converge.catalog import Catalog
    from converge.kinds import AnyProvider
    from converge.notifications import Notifications
    from converge.outcome import Outcome
    from converge.provider import Change
    from converge.state.fingerprints import Fingerprints
    from converge.system import System

_PASSES = 2  # what a later resource undid is put right once more


class TooManyDeletionsError(ConvergeError):
    """The run would delete more than `--allow-deletions` permits: nothing was touched."""


class Run:
    """One run over a catalog.

    `only` limits it to some ids. `tick(done, total)` is called as it goes on, `before_change()`
    once, before the first change, `before_reading(items)` before each reading of these. What holds
    by its `fingerprints` is not read.
    """

    def __init__(
        self,
        catalog: Catalog,
        system: System,
        notifications: Notifications,
        *,
        tags: Sequence[str] = (),
        only: Collection[str] | None = None,
        allow_deletions: int = 50,
        tick: Callable[[int, int], None] = lambda *_: None,
        before_change: Callable[[], None] = lambda: None,
        before_reading: Callable[[Iterable[Item]], None] | None = None,
        phase: str = "",
        fingerprints: Fingerprints | None = None,
    ) -> None:
        self.inspection = Inspection(catalog, tags, only, before_reading, phase, fingerprints)
        self.system = system
        self.notifications = notifications
        self.allow_deletions = allow_deletions
        self.tick = tick
        self.before_change = before_change
        self.refreshed: list[str] = []
        self._applied: dict[str, Change[Any, Any]] = {}
        self._done = self._count = self._deleted = 0
        self._changing = False

    @property
    def outcomes(self) -> dict[str, Outcome]:
        """The outcomes so far, by resource id."""
        return self.inspection.outcomes

    def plan(self) -> None:
        """Find what differs; change nothing (a dry run)."""
        self.inspection.inspect(self.inspection.resources, self.system.read_only())

    def converge(self) -> None:
        """Find what differs, put it right, read it again. Raises TooManyDeletionsError at first."""
        resources = self.inspection.resources
        differing = self.inspection.inspect(resources, self.system.read_only())
        self._check_deletions(differing.values())
        self.notifications.recur(self.inspection.recurring)
        due = set(differing) | (resources.keys() & self.notifications.pending.keys())
        for last in range(_PASSES):
            if not due:
                return
            before = self._count
            self._walk(differing, first=last == 0)
            if self._count == before or stopping.requested():
                return
            differing = self._look_again(give_up=last == _PASSES - 1)
            due = set(differing)

    def _check_deletions(self, changes: Iterable[Change[Any, Any]]) -> None:
        item = self.inspection.item
        count = sum(item(change.id).provider.deletions(change) for change in changes)
        if count > self.allow_deletions:
            raise TooManyDeletionsError(
                f"the run would delete {count} things; {self.allow_deletions} are allowed",
                f"look at `converge plan`; if it is meant, use --allow-deletions {count}",
            )

    def _walk(self, differing: dict[str, Change[Any, Any]], *, first: bool) -> None:
        """Go through the waves; what an earlier one changed is inspected again before the next."""
        dirty = False
        for wave in self._waves():
            for group in by_kind(wave, early=True):
                if dirty:
                    again = [i.resource.id for i in group if self._may_ask_again(i.resource.id)]
                    for name in again:
                        differing.pop(name, None)
                    differing.update(self._inspect_again(again))
                dirty |= self._converge_kind(group, differing)
            if first:
                self._done += len(wave)
                self.tick(self._done, len(self.inspection.resources))

    def _may_ask_again(self, name: str) -> bool:
        return self.outcomes[name].result != outcome.FAILED or name in self.inspection.waiting

    def _inspect_again(self, names: list[str]) -> dict[str, Change[Any, Any]]:
        """Inspect once more; what this run changed and still is right stays `changed`."""
        self.system.forget()
        differing = self.inspection.inspect(names, self.system.read_only())
        for name in names:
            if self.outcomes[name].result == outcome.IN_SYNC and name in self._applied:
                self.outcomes[name] = outcome.changed(self._applied[name])
        return differing

    def _waves(self) -> list[list[Item]]:
        waves: dict[int, list[Item]] = {}
        for item in self.inspection.items.values():
            waves.setdefault(item.resource.wave, []).append(item)
        return [waves[number] for number in sorted(waves)]

    def _converge_kind(self, group: list[Item], differing: dict[str, Change[Any, Any]]) -> bool:
        """Apply one kind of one wave, then its refreshes; return whether anything changed."""
        changes = []
        for item in group:
            name = item.resource.id
            change, blocker = differing.get(name), self._blocker(item)
            if blocker and change:
                self.outcomes[name] = outcome.skipped(blocker, blocks=True)
            elif blocker:
                self.outcomes[name] = self.outcomes[name].replace(blocks=True)
            elif change and stopping.requested():
                self.outcomes[name] = outcome.stopped(change)
            elif change and item.resource.noop:
                self.outcomes[name] = outcome.would_change(change, "`noop` is true")
            elif change and self._may_delete(item, change):
                changes.append(change)
        changed = self._apply(group[0].provider, changes) if changes else False
        return self._refresh(group) or changed

    def _may_delete(self, item: Item, change: Change[Any, Any]) -> bool:
        """Count a deletion that only came up in the course of the run."""
        self._deleted += item.provider.deletions(change)
        if self._deleted <= self.allow_deletions:
            return True
        reason = f"more than {self.allow_deletions} deletions in one run"
        self.outcomes[change.id] = outcome.failed(reason, change, "use --allow-deletions")
        return False

    def _blocker(self, item: Item) -> str:
        for name in item.resource.after:
            found = self.outcomes.get(name)
            if found and found.blocks:
                return f"{name} {found.result.replace('_', ' ')}"
        return ""

    def _apply(self, provider: AnyProvider, changes: list[Change[Any, Any]]) -> bool:
        errors: dict[str, Exception] = {}
        try:
            self._note(changes)
            provider.apply(changes, self.system)
        except BatchError as error:
            errors = error.errors
        except Exception as error:  # noqa: BLE001  a provider must not end the run
            errors = {change.spec.name: error for change in changes}
        self._verify(changes, errors)
        return any(self.outcomes[change.id].result == outcome.CHANGED for change in changes)

    def _note(self, changes: list[Change[Any, Any]]) -> None:
        """Note durably what these will owe: no note, no change. Raises ApplyError."""
        try:
            if not self._changing:
                self.before_change()
                self._changing = True
            resources = self.inspection.resources
            self.notifications.announce({c.id: resources[c.id].notify for c in changes})
        except OSError as error:
            why = f"nothing can be noted in the state directory: {error.strerror}"
            raise ApplyError(why, "make room there, or see why it cannot be written") from error

    def _verify(self, changes: list[Change[Any, Any]], errors: dict[str, Exception]) -> None:
        """Read again, and believe this reading rather than the provider."""
        self.system.forget()
        still = self.inspection.inspect([c.id for c in changes], self.system.read_only())
        right = {c.id for c in changes if self.outcomes[c.id].result == outcome.IN_SYNC}
        self.notifications.withdraw(c.id for c in changes if c.id not in right)
        for change in changes:
            name, error = change.id, errors.get(change.spec.name)
            if name in right:
                self.outcomes[name] = outcome.changed(change)
                self._applied[name] = change
                self._count += 1
            elif isinstance(error, StoppedError):
                self.outcomes[name] = outcome.stopped(change)
            elif isinstance(error, CannotManageError):
                policy, why = self.inspection.resources[name].on_unmanageable, error.args[0]
                self.outcomes[name] = outcome.unmanageable(why, error.remedy, policy, change)
            elif error is not None:
                remedy = getattr(error, "remedy", "")
                self.outcomes[name] = outcome.failed(explain(error), change, remedy)
            elif name in still:
                reason = differs(self.inspection.item(name), still[name])
                self.outcomes[name] = outcome.failed(reason, change)

    def _refresh(self, group: list[Item]) -> bool:
        """Refresh those of a kind that were notified; a refresh that fails stays pending."""
        refreshed = False
        for item in group:
            name = item.resource.id
            sources = self.notifications.pending.get(name)
            waits = self.outcomes[name].blocks or stopping.requested()
            if not sources or waits or item.resource.noop:
                continue
            created = name in self._applied and self._applied[name].before is None
            silent = created or sources == [name]  # what is done in every run is no news
            try:
                self.notifications.announce({name: () if silent else item.resource.notify})
                if not created:  # what was just started is not restarted
                    item.provider.refresh(self.inspection.item(name).spec, self.system)
                    self.refreshed.append(name)
                    refreshed = True
                self.notifications.done(name)
            except Exception as error:  # noqa: BLE001  a provider must not end the run
                self.notifications.withdraw([name])
                reason = f"refresh failed: {explain(error)}"
                self.outcomes[name] = outcome.failed(reason, self.outcomes[name].change)
        return refreshed

    def _look_again(self, *, give_up: bool) -> dict[str, Change[Any, Any]]:
        """Inspect what is right once more: a later resource may have undone an earlier one."""
        right = (outcome.IN_SYNC, outcome.CHANGED)
        names = [n for n in self.inspection.resources if self.outcomes[n].result in right]
        differing = self._inspect_again(names)
        reason = "something else in this run changes it back"
        for name, change in differing.items() if give_up else ():
            self.outcomes[name] = outcome.failed(reason, change)
        return differing
