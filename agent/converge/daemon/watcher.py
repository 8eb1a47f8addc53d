"""The watcher's process: it waits at the source of a profile from afar, and ends when there is news.

The supervisor has no network; this process has nothing else (converge.sources.watcher).
"""

from __future__ import annotations

import os

from converge.daemon import kernel, timer
from converge.daemon.child import now
from converge.daemon.options import Options, memory_file

_WATCHER = "from converge.sources.watcher import main; raise SystemExit(main())"


class Watcher:
    """`pid` is 0 while none runs; `due` is when the next one may be started."""

    def __init__(self) -> None:
        self.pid = 0
        self.due = 0.0
        self._failures = 0

    def next_moment(self, options: Options) -> float | None:
        """Return when one is to be started; None: one runs, or none is wanted."""
        return self.due if options.watch and not self.pid else None

    def start(self, options: Options) -> None:
        """Start one, if it is wanted and due; what fails is tried again later."""
        moment = self.next_moment(options)
        if moment is None or now() < moment:
            return
        head = f"watch\0\0{os.getpid()}".encode()
        try:
            request = memory_file(b"%d\n" % len(head) + head + options.blob)
        except OSError:
            self._failed(options)
            return
        try:
            self.pid = os.posix_spawn(
                options.program, [options.program, "-I", "-c", _WATCHER], os.environ,
                setpgroup=0, setsigmask=(),
                setsigdef=(kernel.SIGTERM, kernel.SIGINT, kernel.SIGHUP, kernel.SIGUSR1, 13),
                file_actions=[(os.POSIX_SPAWN_DUP2, request, 0), (os.POSIX_SPAWN_DUP2, 2, 1)],
            )  # fmt: skip
        except OSError:
            self._failed(options)
        finally:
            os.close(request)

    def ended(self, status: int, options: Options) -> bool:
        """Take in that it has ended; return whether it brought news."""
        self.pid = 0
        if status != 0:
            self._failed(options)
            return False
        self._failures, self.due = 0, 0.0
        return True

    def stop(self) -> None:
        """End it; it holds nothing that would have to be put away."""
        if self.pid:
            os.kill(self.pid, kernel.SIGKILL)  # not reaped yet, so the number is still its own

    def _failed(self, options: Options) -> None:
        self._failures += 1
        self.due = timer.due(now(), options.interval, options.splay, self._failures)
