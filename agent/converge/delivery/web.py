"""Reports to a web server: batched, and kept in a bounded spool while it is away; and a Pushgateway."""

from __future__ import annotations

import json
import time
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from converge.reports import metrics
from converge.sources import asking
from converge.state.store import drop_oldest
from converge.web.fetch import FetchError, get

if TYPE_CHECKING:
    from collections.abc import Mapping

    from converge.config import Settings
    from converge.state.directory import StateDirectory
    from converge.web.fetch import Request

SPOOL = "spool"
MOST_SPOOLED = 200  # reports; the oldest go first
MOST_BYTES = 4 << 20  # of the spool
MOST_REPORT = 256 << 10  # bytes; of a larger one only how it ended is sent
_BATCH = 50
_KEEP = (401, 403, 404, 407, 408, 425, 429)  # answers after which the same reports are sent again


def post(
    settings: Settings,
    state: StateDirectory | None,
    url: str,
    made: Mapping[str, Any],
    deadline: float,
) -> None:
    """Send an envelope, and before it those that could not be sent. Raises FetchError, OSError."""
    body = _encoded(made)
    if state is None:
        _post(settings, url, [body], deadline)
        return
    # A name that sorts by time, whatever the wall clock does between two boots of one container.
    state.write(f"{SPOOL}/{time.time_ns():020d}.json", body, durable=False)
    _trim(state)
    ends = time.monotonic() + deadline
    while names := _spooled(state)[:_BATCH]:
        left = ends - time.monotonic()
        if left <= 0:
            return
        _send_batch(settings, state, url, names, left)


def _send_batch(
    settings: Settings, state: StateDirectory, url: str, names: list[str], deadline: float
) -> None:
    found = [state.read(f"{SPOOL}/{name}") for name in names]
    try:
        _post(settings, url, [body for body in found if body], deadline)
    except FetchError as error:
        if 400 <= error.status < 500 and error.status not in _KEEP:
            _drop(state, names)  # it does not want them, and never will
        raise
    _drop(state, names)


def _spooled(state: StateDirectory) -> list[str]:
    """Return the names of what waits, the oldest first; what is damaged is set aside beside it."""
    return [name for name in state.names(SPOOL) if name.endswith(".json")]


def _drop(state: StateDirectory, names: list[str]) -> None:
    for name in names:
        state.remove(f"{SPOOL}/{name}")


def _trim(state: StateDirectory) -> None:
    """Drop the oldest reports that are too many or too much."""
    folder = f"{state.path}/{SPOOL}"
    drop_oldest(folder, _spooled(state), MOST_SPOOLED)
    left = MOST_BYTES
    for name in reversed(_spooled(state)):
        left -= len(state.read(f"{SPOOL}/{name}") or b"")
        if left < 0:
            state.remove(f"{SPOOL}/{name}")


def _encoded(made: Mapping[str, Any]) -> bytes:
    body = json.dumps(made).encode()
    if len(body) <= MOST_REPORT:
        return body
    report = {**made["report"], "resources": [], "truncated": True}
    return json.dumps({**made, "report": report, "unresolved": made["unresolved"][:100]}).encode()


def _post(settings: Settings, url: str, bodies: list[bytes], deadline: float) -> None:
    data = b"[" + b",".join(bodies) + b"]"
    get(_request(settings, url, data, "application/json", deadline))


def push(
    settings: Settings,
    state: StateDirectory | None,
    base: str,
    made: Mapping[str, Any],
    deadline: float,
) -> None:
    """Give a Pushgateway the metrics of this container (PUT: all of its group). Raises FetchError.

    https://github.com/prometheus/pushgateway#put-method
    """
    text = state.read(metrics.TEXT_NAME) if state else None
    if not text:
        return
    name = quote(f"{made['host']}-{made['container']}", safe="")
    url = f"{base.rstrip('/')}/metrics/job/converge/instance/{name}"
    kind = "text/plain; version=0.0.4"
    get(_request(settings, url, text, kind, deadline).replace(method="PUT"))


def _request(settings: Settings, url: str, data: bytes, kind: str, deadline: float) -> Request:
    own = settings.replace(token_file=settings.report_token_file)
    return asking.request(
        own, url, data=data, headers={"Content-Type": kind}, deadline=deadline,
        most_bytes=1 << 20,
    )  # fmt: skip
