"""A run that is asked to stop finishes the resource that it is at, and leaves the rest.

SIGTERM and SIGINT ask; a second signal ends the process at once, as it would have without us.
"""

from __future__ import annotations

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
    import signal

    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, request)


def _restore() -> None:
    import signal

    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, signal.SIG_DFL)
