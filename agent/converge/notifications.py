"""Notifications that survive: a refresh that is due stays due until it was done.

A target is noted as pending, durably, before the change that notifies it is made, so that a kill
between the two can only make one refresh too many, never one too few.
"""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from converge.state.directory import StateDirectory


class Notifications:
    """What is to be refreshed: `pending` maps a target to the ids that notified it."""

    def __init__(self, state: StateDirectory | None) -> None:
        self._state = state
        self.pending: dict[str, list[str]] = dict(state.pending()) if state else {}
        self._fresh: dict[str, list[str]] = {}  # source → what was announced last

    def announce(self, notified: Mapping[str, Iterable[str]]) -> None:
        """Note that these will change, or be refreshed, and notify their targets. Raises OSError."""
        self._fresh = {
            source: [target for target in targets if source not in self.pending.get(target, ())]
            for source, targets in notified.items()
        }
        for source, targets in self._fresh.items():
            for target in targets:
                self.pending.setdefault(target, []).append(source)
        if any(self._fresh.values()):
            self._save()

    def recur(self, names: Iterable[str]) -> None:
        """Note that these are due in every run, which need not be remembered."""
        for name in names:
            self.pending.setdefault(name, [name])

    def withdraw(self, sources: Iterable[str]) -> None:
        """Take back what was announced last for these, which did not change after all."""
        taken = [(source, target) for source in sources for target in self._fresh.pop(source, ())]
        for source, target in taken:
            self.pending[target].remove(source)
            if not self.pending[target]:
                del self.pending[target]
        try:
            if taken:
                self._save()
        except OSError:
            return  # one refresh too many does no harm

    def done(self, target: str) -> None:
        """Note that a target was refreshed. Raises OSError."""
        del self.pending[target]
        self._save()

    def _save(self) -> None:
        if self._state:
            self._state.set_pending(self.pending)
