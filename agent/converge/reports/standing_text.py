"""What `converge status` shows: the last run, the next one, the agent, what stands unresolved."""

from __future__ import annotations

import time

from converge import client
from converge.errors import UsageError
from converge.state import directory as states
from converge.state import standing
from converge.textdiff import escaped

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from converge.config import Settings

_NUMBERS = {"pid", "runs", "crashes", "failures", "watches", "paths", "poll", "next", "interval"}


def gather(settings: Settings) -> dict[str, Any]:
    """Return it all as plain data. Raises UsageError if there was no run."""
    state = states.find(settings.state_dir, settings.root, create=False)
    report = state.last_report() if state else None
    found = standing.good(state.read_json(standing.NAME)) if state else None
    if report is None or found is None or found["whole"] is None:
        raise UsageError("there is no report of a run here", "run `converge --once` first")
    clock = standing.Clock()
    age = clock.since(found["whole"])
    problems = standing.problems(found, clock, settings.interval)
    agent = client.look(settings, problems)
    return {
        "version": 1,
        "report": report,
        "age": round(age, 3),
        "stale": age > 2 * settings.interval,
        "problems": problems,
        "unresolved": found["unresolved"],
        "pending": found["pending"],
        "contended": found["contended"],
        "last_success": found["success"]["wall"] if found["success"] else None,
        "agent": _typed(agent),
    }


def _typed(agent: dict[str, str] | None) -> dict[str, Any] | None:
    return agent and {
        name: (float(value) if "." in value else int(value)) if name in _NUMBERS else value
        for name, value in agent.items()
    }


def lines(found: dict[str, Any]) -> list[str]:
    """Return lines for people, what is wrong among them."""
    report = found["report"]
    when = time.strftime("%Y-%m-%d %H:%M:%S UTC", time.gmtime(report["started"]))
    told = [
        f"last run {report['id']} ({report['reason']}) at {when}, exit code {report['exit_code']}",
        _agent_line(found["agent"]),
    ]
    if found["agent"] and found["agent"]["trouble"]:
        agent = found["agent"]
        told.append(f"events: {agent['trouble']}; a look at every {agent['poll']:g} s instead")
    if found["contended"]:
        told.append(
            "contended (somebody else keeps changing it back; left to the timer): "
            + ", ".join(found["contended"])
        )
    told += _bundle_lines(report.get("bundle"))
    told += [f"unresolved: {problem}" for problem in found["problems"]]
    return [escaped(line.replace("\n", "\n  "), keep="\n") for line in told]


def _bundle_lines(bundle: dict[str, Any] | None) -> list[str]:
    """Return what is in force of a profile from afar, and why it may not be the newest."""
    if bundle is None:
        return []
    told = [f"bundle {bundle['name']}, sequence {bundle['sequence']}, from {bundle['url']}"]
    if bundle["stale_since"]:
        hours = (time.time() - bundle["stale_since"]) / 3600
        told.append(f"stale for {hours:.1f} h: {bundle['error']}")
    if bundle["waiting"]:
        told.append(f"a new bundle waits: {bundle['waiting']}")
    told += [f"refused {digest[:12]}: {why}" for digest, why in bundle["refused"].items()]
    return told


def _agent_line(agent: dict[str, Any] | None) -> str:
    if agent is None:
        return "no agent is resident"
    if not agent:
        return "the agent does not answer"
    if agent["paused"]:
        return f"agent: process {agent['pid']}, paused: {agent['paused']}"
    following = "running now" if agent["busy"] else f"next run in {agent['next']:.0f} s"
    events = {
        "inotify": f"watching {agent['paths']} paths", "off": "events off", "stat": "no inotify",
    }[agent["events"]]  # fmt: skip
    return f"agent: process {agent['pid']}, {following}, {events}, {agent['runs']} runs"
