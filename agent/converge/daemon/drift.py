"""What has drifted since the last run, and when it has been quiet for long enough to act on it."""

from __future__ import annotations

from converge.daemon.child import now
from converge.daemon.watches import Watches

SETTLE = 0.05  # seconds of quiet after an event before a run, so that one rename is one run
LONGEST_SETTLE = 0.5
MUTED = 1.0  # the longest time that a busy directory's events, none of ours, are left unread
LONGEST_REST = 60.0  # seconds that a path is left alone which has called for runs in vain
_MOST_DOUBLINGS = 20
_MOST_PATHS = 2000  # drifted at once: then everything is looked at


class Drift:
    """`paths` are those that look different from when a run read them last."""

    def __init__(self, *, events: bool, own: str = "") -> None:
        self.watches = Watches(events=events, own=own)
        self.paths: set[str] = set()
        self.waits_until = 0.0  # after runs that failed
        self._first = self._last = 0.0
        self._unread_until = self._muted = 0.0
        self._rests: dict[str, tuple[int, float]] = {}  # path → runs in vain, rests until
        self._later: set[str] = set()  # drifted, and resting

    def fds(self) -> list[int]:
        """Return the descriptor to wait for, if there is one and it shall be read now."""
        return [self.watches.fd] if self.watches.fd >= 0 and now() >= self._unread_until else []

    def read(self, *, look: bool) -> None:
        """Take in events. The more come that are none of ours, the longer the next are left."""
        concerns = self.watches.read()
        self._muted = SETTLE if concerns else min(MUTED, max(SETTLE, self._muted * 2))
        self._unread_until = now() + self._muted
        if look:
            self.find()

    def find(self) -> None:
        """Look at the paths that an event has raised a question about."""
        self._later |= self.watches.drifted()
        found = {path for path in self._later if self._rests_until(path) <= now()}
        self._later -= found
        if found and not self.paths:
            self._first = now()
        if found:
            self._last = now()
        self.paths |= found

    def recalls(self) -> float | None:
        """Return when `find` finds more: what has drifted and rests."""
        return min(map(self._rests_until, self._later), default=None)

    def ran(self, paths: tuple[str, ...], *, in_vain: bool) -> None:
        """A run has ended that these paths called for (none: a run of all), nothing being changed.

        Somebody writes the same again and again, or into a directory where nothing is amiss: such a
        path is left alone for longer each time.
        """
        if not paths:
            self._rests.clear()
            self._later.clear()
        for path in paths:
            times = self._rests.pop(path, (0, 0.0))[0] + 1
            if in_vain:
                rest = min(LONGEST_REST, SETTLE * 2.0 ** min(times, _MOST_DOUBLINGS))
                self._rests[path] = (times, now() + rest)

    def _rests_until(self, path: str) -> float:
        return self._rests.get(path, (0, 0.0))[1]

    def settled(self) -> float | None:
        """Return when a run may begin for what has drifted; None: nothing has."""
        if not self.paths:
            return None
        return max(min(self._last + SETTLE, self._first + LONGEST_SETTLE), self.waits_until)

    def reads_again(self) -> float | None:
        """Return when events are read again, if they are not read now."""
        return self._unread_until if self._unread_until > now() else None

    def touched(self) -> tuple[str, ...]:
        """Return the drifted paths; nothing if a whole run is called for."""
        if len(self.paths) > _MOST_PATHS or any(map(self.watches.is_profile, self.paths)):
            return ()
        return tuple(sorted(self.paths))
