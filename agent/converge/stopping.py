"""A run that is asked to stop finishes the resource that it is at, and leaves the rest.

SIGTERM and SIGINT ask; a second signal ends the process at once, as it would have without us.
"""

from __future__ import annotations

import _signal  # type: ignore[import-not-found]  # signal.py makes enums of all, 3 ms of every start
import os
import sys

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import NoReturn

_asked = False


def requested() -> bool:
    """Tell whether the run shall go no further."""
    return _asked


def request(*_: object) -> None:
    """Ask the run to stop: a signal handler, which the second signal does not meet any more."""
    global _asked  # noqa: PLW0603  a process has one run
    _asked = True
    _restore()


def on_signals() -> None:
    """Let SIGTERM and SIGINT ask from now on, in the main thread."""
    for number in (_signal.SIGTERM, _signal.SIGINT):
        _signal.signal(number, request)


def _restore() -> None:
    for number in (_signal.SIGTERM, _signal.SIGINT):
        _signal.signal(number, _signal.SIG_DFL)


def leave(code: int) -> NoReturn:
    """End here and now: what Python would tidy up, the kernel does at once (2 to 50 ms)."""
    for stream in (sys.stdout, sys.stderr):
        stream.flush()
    os._exit(code)
