"""The command that `converge exec` has left the agent beside: it may start now, or it has ended."""

from __future__ import annotations

import os


class Command:
    """`fd` can be read when it has ended (-1: nothing to wait for), `ended`: it had before us."""

    def __init__(self, process: int, ready: int) -> None:
        self.fd, self.ended = -1, False
        self._ready = ready
        if ready >= 0:
            os.set_inheritable(ready, False)  # or it would not end with us
        try:
            self.fd = os.pidfd_open(process) if process else -1
        except ProcessLookupError:
            self.ended = True
        except OSError:
            return  # an old kernel, or a filter of system calls

    def tell(self, code: int) -> None:
        """Tell the start, once, how the first run ended; nobody may be there any more."""
        if self._ready < 0:
            return
        fd, self._ready = self._ready, -1
        try:
            os.write(fd, b"%d\n" % code)
        except OSError:
            return  # it was killed
        finally:
            os.close(fd)
