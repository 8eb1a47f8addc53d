"""What became of each resource in a run."""

from __future__ import annotations

from converge.record import Record

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Final

IN_SYNC: Final = "in_sync"
CHANGED: Final = "changed"
FAILED: Final = "failed"
SKIPPED: Final = "skipped"
UNMANAGEABLE: Final = "unmanageable"
WOULD_CHANGE: Final = "would_change"
ALL = (IN_SYNC, CHANGED, FAILED, SKIPPED, UNMANAGEABLE, WOULD_CHANGE)


class Outcome(Record):
    """The outcome of one resource: what, why, what would help, and the change that was found."""

    result: str
    reason: str = ""
    remedy: str = ""
    change: Any = None  # converge.provider.Change
    blocks: bool = False  # resources that depend on it are skipped
    counts: bool = False  # it makes the run's exit code 4


def in_sync() -> Outcome:
    """Return the outcome of what was right already."""
    return _RIGHT


def changed(change: Any) -> Outcome:
    """Return the outcome of what was changed and read again."""
    return Outcome(result=CHANGED, change=change)


def would_change(change: Any, reason: str = "") -> Outcome:
    """Return the outcome of what differs and was left (dry run, `noop`)."""
    return Outcome(result=WOULD_CHANGE, change=change, reason=reason)


def failed(reason: str, change: Any = None, remedy: str = "") -> Outcome:
    """Return the outcome of what could not be read or put right."""
    return Outcome(
        result=FAILED, reason=reason, remedy=remedy, change=change, blocks=True, counts=True
    )


def skipped(reason: str, *, blocks: bool) -> Outcome:
    """Return the outcome of what was not tried; `blocks` if what depends on it is not either."""
    return Outcome(result=SKIPPED, reason=reason, blocks=blocks)


def stopped(change: Any) -> Outcome:
    """Return the outcome of what differs and was left, as the run was asked to stop."""
    reason = "the run was asked to stop"
    return Outcome(result=SKIPPED, reason=reason, change=change, blocks=True, counts=True)


def withheld(reason: str, remedy: str, change: Any) -> Outcome:
    """Return the outcome of what is not done in this phase; what depends on it is skipped."""
    return Outcome(result=UNMANAGEABLE, reason=reason, remedy=remedy, change=change, blocks=True)


def unmanageable(reason: str, remedy: str, policy: str, change: Any = None) -> Outcome:
    """Return the outcome of what this container does not allow, by the `on_unmanageable` policy."""
    if policy == "skip":
        return Outcome(result=SKIPPED, reason=reason, remedy=remedy, change=change)
    fatal = policy == "fail"
    return Outcome(
        result=UNMANAGEABLE, reason=reason, remedy=remedy, change=change, blocks=fatal, counts=fatal
    )


_RIGHT = Outcome(result=IN_SYNC)  # one for all: a run may have ten thousand
