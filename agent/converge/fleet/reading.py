"""Members of a fleet from a directory of reports (`report_to: file:/…`), or from Prometheus."""

from __future__ import annotations

import json
import os
from typing import TYPE_CHECKING, Any
from urllib.parse import urlencode

from converge.errors import UsageError
from converge.fleet.members import DEFAULT_INTERVAL, Member, of_envelope

if TYPE_CHECKING:
    from collections.abc import Iterator

    from converge.config import Settings

_MOST_REPORT = 1 << 20  # bytes
_MOST_ANSWER = 64 << 20
_LABELS = ("pod", "container", "instance")  # what tells containers apart, best first
_GAUGES = (
    *("last_run_timestamp_seconds", "last_success_timestamp_seconds", "unresolved", "contended"),
    *("stale_after_seconds", "bundle_sequence", "source_stale_since_timestamp_seconds"),
)
_QUERY = f'{{__name__=~"converge_({"|".join(_GAUGES)})"}}'
_DRIFT = "sum without (kind) (increase(converge_drift_total[1h]))"


def read(source: str, settings: Settings) -> list[Member]:
    """Return the members of a fleet. Raises UsageError, FetchError."""
    if source.startswith(("http://", "https://")):
        return _from_prometheus(source, settings)
    return list(_from_directory(source))


def _from_directory(path: str) -> Iterator[Member]:
    try:
        names = sorted(name for name in os.listdir(path) if name.endswith(".json"))
    except OSError as error:
        raise UsageError(f"{path}: {error.strerror}", "a directory of reports, or a URL") from error
    for name in names:
        yield _member(os.path.join(path, name))


def _member(path: str) -> Member:
    """Return the member of one file; what is no report is a member that failed."""
    try:
        fd = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
        with open(fd, "rb") as file:
            return of_envelope(json.loads(file.read(_MOST_REPORT)))
    except Exception as error:  # noqa: BLE001  whoever can write there may have put anything there
        name = os.path.basename(path).removesuffix(".json")
        return Member(name=name, failed=True, detail=f"no report: {type(error).__name__}")


def _from_prometheus(url: str, settings: Settings) -> list[Member]:
    """Return the members by the series that Prometheus holds now (its HTTP API, /api/v1/query)."""
    found: dict[str, dict[str, float]] = {}
    try:
        for name, query in (("", _QUERY), ("drift", _DRIFT)):
            for sample in _query(url, query, settings):
                labels = sample["metric"]
                key = next((labels[label] for label in _LABELS if label in labels), "?")
                what = name or labels["__name__"].removeprefix("converge_")
                found.setdefault(key, {})[what] = float(sample["value"][1])
        return [_of_series(name, values) for name, values in found.items()]
    except (LookupError, TypeError, ValueError, AttributeError, ArithmeticError, RecursionError):
        raise UsageError(f"{url} did not answer as Prometheus does") from None


def _query(url: str, query: str, settings: Settings) -> Any:
    from converge.sources import asking
    from converge.web.fetch import get

    address = f"{url.rstrip('/')}/api/v1/query?{urlencode({'query': query})}"
    answer = get(asking.request(settings, address, most_bytes=_MOST_ANSWER))
    return json.loads(answer.body)["data"]["result"]


def _of_series(name: str, values: dict[str, float]) -> Member:
    unresolved = int(values.get("unresolved", 0))
    contended = int(values.get("contended", 0))
    heard = values.get("last_run_timestamp_seconds", 0.0)
    success = values.get("last_success_timestamp_seconds", 0.0)
    return Member(
        name=name, heard=heard, success=success,
        interval=values.get("stale_after_seconds", 2 * DEFAULT_INTERVAL) / 2,
        unresolved=(f"{unresolved} resources",) if unresolved else (),
        contended=(f"{contended} resources",) if contended else (),
        drift=round(values.get("drift", 0)), sequence=int(values.get("bundle_sequence", 0)),
        stale_since=values.get("source_stale_since_timestamp_seconds", 0.0),
    )  # fmt: skip
