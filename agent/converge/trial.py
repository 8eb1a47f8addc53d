"""The first runs of a new bundle, which judge it: it proves itself, or the one before comes back.

A run that could not be made, failed a resource, or began three times and never ended (it crashes the
container, or the agent) refuses the bundle. A partial or a stopped run says nothing of it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from converge import loading, stopping
from converge.bundle import in_force
from converge.engine import TooManyDeletionsError
from converge.state import standing

if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    from converge.bundle.in_force import InForce
    from converge.config import Settings
    from converge.loading import Loaded
    from converge.state.directory import StateDirectory
    from converge.system import System


def run(
    once: Callable[..., dict[str, Any]],
    settings: Settings,
    system: System,
    state: StateDirectory,
    loaded: Loaded,
    *more: object,
) -> dict[str, Any]:
    """Return the report of `once(settings, system, state, LOADED, *more)`.

    LOADED is the new bundle, or the one before it in the end. Raises what that raises. Called under
    the run's lock.
    """
    found = loaded.found
    assert found is not None  # noqa: S101  which only a bundle has
    with loading.asking(state):
        back = in_force.begin(state, found, was_good=_was_good(state))
    if back is None:
        try:
            report = once(settings, system, state, loaded, *more)
        except TooManyDeletionsError as error:
            back = _conclude(state, found, str(error))
            if back is None:
                raise
        else:
            back = _conclude(state, found, _trouble(report))
            if back is None:
                return report
    instead = loading.of_bundle(settings, system, state, back)
    return once(settings, system, state, instead.replace(error=_said(back)), *more)


def _was_good(state: StateDirectory) -> bool:
    """Tell whether nothing is unresolved after the runs before this one."""
    before = standing.good(state.read_json(standing.NAME))
    return bool(before and before["whole"] and not before["unresolved"])


def _trouble(report: dict[str, Any]) -> str | None:
    """Return what a run says of its bundle: what is wrong, nothing (""), or None: no verdict."""
    if report["partial"] or stopping.requested():
        return None
    troubled = [entry["id"] for entry in report["resources"] if entry["fatal"]]
    return f"run {report['id']} failed: {', '.join(troubled)}" if troubled else ""


def _conclude(state: StateDirectory, found: InForce, trouble: str | None) -> InForce | None:
    with loading.asking(state):
        return in_force.conclude(state, found, trouble)


def _said(back: InForce) -> str:
    why = list(back.memory.refused.values())[-1]
    return f"{why}\nthis bundle is refused; the last good one is in force again"
