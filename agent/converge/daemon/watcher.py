"""The watcher's process: it waits at the source of a profile from afar, and ends when there is news.

The supervisor has no network; this process has nothing else (converge.sources.watcher).
"""

from __future__ import annotations

import os

from converge.daemon import kernel, timer
from converge.daemon.child import now, spawn

TYPE_CHECKING = False  # typing costs a megabyte that would be held for ever
if TYPE_CHECKING:
    from collections.abc import Callable

    from converge.daemon.options import Options

_WATCHER = "from converge.sources.watcher import main; raise SystemExit(main())"
_HASTE = 2.0  # seconds
_LONGEST_PAUSE = 300.0


class Watcher:
    """`pid` is 0 while none runs; `due` is when the next one may be started."""

    def __init__(self, say: Callable[[str, str], None]) -> None:
        self._say = say
        self.pid = 0
        self.due = 0.0
        self._failures = 0
        self._began = 0.0
        self._hasty = 0  # times that there were news at once
        self._unwanted = False  # it was told to end
        self._life = -1  # the end of a pipe: with us it ends, and so does the watcher

    def next_moment(self, options: Options) -> float | None:
        """Return when one is to be started; None: one runs, or none is wanted."""
        return self.due if options.watch and not self.pid else None

    def start(self, options: Options) -> None:
        """Start one, if it is wanted and due; what fails is tried again later."""
        moment = self.next_moment(options)
        if moment is None or now() < moment:
            return
        life = -1
        self._began = now()
        try:
            life, self._life = os.pipe2(os.O_CLOEXEC)
            self.pid = spawn(options, _WATCHER, ("watch", ""), life)
        except OSError:
            self._failed(options)
        finally:
            if life >= 0:
                os.close(life)

    def ended(self, status: int, options: Options) -> bool:
        """Take in that it has ended; return whether it brought news."""
        self.pid = 0
        self._close()
        if self._unwanted:
            self._unwanted = False
            return False
        if status != 0:
            self._failed(options)
            return False
        self._failures = 0
        # A source that always has news at once must not make us run without a pause.
        self._hasty = self._hasty + 1 if now() - self._began < _HASTE else 0
        self.due = now() + min(2.0**self._hasty - 1, _LONGEST_PAUSE)
        return True

    def stop(self) -> None:
        """End it; it holds nothing that would have to be put away. Another may be started at once."""
        self._failures, self.due = 0, 0.0
        if self.pid:
            self._unwanted = True
            os.kill(self.pid, kernel.SIGKILL)  # not reaped yet, so the number is still its own

    def _close(self) -> None:
        if self._life >= 0:
            os.close(self._life)
            self._life = -1

    def _failed(self, options: Options) -> None:
        self._close()
        if self._failures == 0:
            self._say("warning", "the profile's source cannot be watched now; it is tried again")
        self._failures += 1
        self.due = timer.due(now(), options.interval, options.splay, self._failures)
