"""Reports out: after each run, by choice, to a web server, a Pushgateway, a directory or syslog.

Nobody has to listen: what cannot be sent is kept in a bounded spool and sent with the next run's, and
a run never fails for it. The settings `report_to` name the targets:

    https://HOST/PATH               POST of a JSON list of envelopes
    pushgateway+https://HOST:PORT   PUT of the metrics, by host name
    file:/DIRECTORY                 the newest envelope of each container, in a file of its own
    syslog                          one line a run
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

from converge.errors import ConvergeError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from converge.config import Settings
    from converge.state.directory import StateDirectory

VERSION = 1
_PATIENCE = 3.0  # seconds that a receiver has while a start waits
_LEFT_OUT = ("diff",)  # may be long, and what it shows stays here


def deliver(settings: Settings, report: Mapping[str, Any], deadline: float = 10.0) -> list[str]:
    """Send the report of a run that has ended to every target; return what went wrong, for the log.

    A web server has `deadline` seconds; what it has not taken by then is sent after the next run.
    That of a run that could not be made is `reports.report.failed`.
    """
    if not settings.report_to:
        return []
    from converge.state import directory as states

    state = states.find(settings.state_dir, settings.root)
    made = envelope(settings, state, report)
    troubles = []
    for target in settings.report_to:
        try:
            _send(settings, state, target, made, deadline)
        except (ConvergeError, OSError) as error:
            troubles.append(f"the report could not be sent to {_shown(target)}: {error}")
    return troubles


def around(settings: Settings, run: Callable[[], dict[str, Any]]) -> dict[str, Any]:
    """Run, and send the report, briefly: a container's start may wait for us. Raises as `run`."""
    from converge.reports.report import failed

    try:
        report = run()
    except ConvergeError as error:
        deliver(settings, failed(str(error), "once"), _PATIENCE)
        raise
    report["messages"] += deliver(settings, report, _PATIENCE)
    return report


def envelope(
    settings: Settings, state: StateDirectory | None, report: Mapping[str, Any]
) -> dict[str, Any]:
    """Return a report with whose it is, and how that container stands after all runs so far."""
    import hashlib
    import os

    from converge import __version__
    from converge.bundle.identity import identity
    from converge.state import standing

    own = identity(settings.root).encode(errors="surrogateescape")
    stands = (standing.good(state.read_json(standing.NAME)) if state else None) or {}
    success = stands.get("success")
    told = dict(report)
    if "resources" in told:
        told["resources"] = [
            {key: value for key, value in entry.items() if key not in _LEFT_OUT}
            for entry in told["resources"]
        ]
    return {
        "version": VERSION,
        "host": os.uname().nodename,
        "container": hashlib.sha256(own).hexdigest()[:16],
        "groups": list(settings.groups),
        "agent": __version__,
        "interval": settings.interval,
        "time": time.time(),
        "last_success": success["wall"] if success else None,
        "unresolved": sorted(stands.get("unresolved", ())),
        "contended": stands.get("contended", []),
        "report": told,
    }


def _send(
    settings: Settings,
    state: StateDirectory | None,
    target: str,
    made: dict[str, Any],
    deadline: float,
) -> None:
    if target == "syslog":
        from converge.reports import logline

        logline.write([_line(settings, made)], "syslog")
    elif target.startswith("file:"):
        from converge.delivery import folder

        folder.put(target.removeprefix("file:"), made)
    elif target.startswith("pushgateway+"):
        from converge.delivery import web

        web.push(settings, state, target.removeprefix("pushgateway+"), made, deadline)
    else:
        from converge.delivery import web

        web.post(settings, state, target, made, deadline)


def _line(settings: Settings, made: Mapping[str, Any]) -> str:
    from converge.reports import logline

    report = made["report"]
    counts = {name: number for name, number in report.get("counts", {}).items() if number}
    return logline.event(
        settings.log_format, "report", "error" if report["exit_code"] & 5 else "info",
        container=made["container"], host=made["host"], run=report.get("id", ""),
        exit_code=report["exit_code"], unresolved=made["unresolved"], error=report["error"],
        **counts,
    )  # fmt: skip


def _shown(target: str) -> str:
    from converge.web import weblink

    return weblink.shown(target)
