"""`converge health`: converged, lately, and nothing unresolved? Made to be asked every few seconds.

So it imports little, and reads what the last run left (converge.state.standing) and what the resident
agent says of itself.
"""

from __future__ import annotations

import sys

from converge import client
from converge.state import directory as states
from converge.state import standing

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from converge.config import Settings


def check(settings: Settings, *, start_only: bool = False) -> list[str]:
    """Return what is wrong; empty: healthy.

    With `start_only` a run need not be recent where no agent was asked to stay (CONVERGE_RESIDENT).
    """
    state = states.find(settings.state_dir, settings.root, create=False)
    found = standing.good(state.read_json(standing.NAME)) if state else None
    if found is None:
        return ["there was no run yet, or it left no state"]
    aging = settings.resident or not start_only
    wrong = standing.problems(found, standing.Clock(), settings.interval if aging else 0)
    agent = client.look(settings, wrong)
    if agent is None and settings.resident:
        wrong.append("an agent was asked to stay, but none is here")
    if agent and agent.get("paused"):
        wrong.append(f"paused: {agent['paused']}")
    return wrong


def show(wrong: list[str], settings: Settings) -> int:
    """Print the answer and return the exit code: 0 healthy, 1 not."""
    from converge.textdiff import escaped

    plain: dict[str, Any] = {"version": 1, "healthy": not wrong, "problems": wrong}
    if settings.json:
        import json

        sys.stdout.write(json.dumps(plain) + "\n")
    elif not settings.quiet:
        for line in wrong or ["healthy"]:
            sys.stdout.write(escaped(line, keep="\n") + "\n")
    return 1 if wrong else 0
