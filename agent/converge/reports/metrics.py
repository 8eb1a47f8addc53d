"""What the agent counts, as Prometheus reads it: pure functions, called by the worker of a run.

The counters are plain data in the state directory; the resident process holds none of it. Counters
that cannot be right are started again, which Prometheus takes for a restart. The text is format
0.0.4 of https://prometheus.io/docs/instrumenting/exposition_formats/. See ADR 0006, docs/metrics.md.
"""

from __future__ import annotations

from itertools import accumulate

from converge import __version__

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from typing import Any

    Sample = tuple[str, Mapping[str, str], float]  # what is added to the name, labels, value

NAME, TEXT_NAME = "counters.json", "metrics.prom"
VERSION = 1
REASONS = ("start", "timer", "event", "trigger", "source", "once")
# Seconds, from a run that finds nothing to do to one that installs packages.
BUCKETS = (0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 300.0, 1800.0)
_NUMBERS = ("seconds", "last_seconds", "last_run", "last_success")
_TABLES = ("runs", "outcomes", "last")  # two keys → number
_MOST = 2**53  # above it a float does not count by one any more
_NO_LABELS: Mapping[str, str] = {}


def update(counters: Any, report: Mapping[str, Any]) -> dict[str, Any]:
    """Return the counters after a run.

    `counters` are those kept so far, None or anything else that this agent did not make at first;
    they are not changed. `report` is that of `converge.reports.report.make`; one of a run that could not
    be made (docs/report.md) is counted by its exit code alone.
    """
    new = _kept(counters)
    reason = report.get("reason")
    _add(new["runs"], reason if reason in REASONS else "other", str(report["exit_code"]), 1)
    if "kinds" not in report:
        return new
    for kind, outcomes in report["kinds"].items():
        new["drift"].setdefault(kind, 0)  # a counter that is there from 0 on has a rate
        for name, number in outcomes.items():
            _add(new["outcomes"], kind, name, number)
    for entry in report["resources"]:
        if entry["action"] or entry["fields"]:  # a difference was seen, whatever became of it
            new["drift"][entry["kind"]] = new["drift"].get(entry["kind"], 0) + 1
    _add_time(new, report)
    return new


def text(counters: Any, standing: Mapping[str, Any], interval: float) -> str:
    """Return the exposition text.

    `standing` is that of `state.standing`, `interval` the timer's in seconds, 0 if there is none.
    """
    kept = _kept(counters)
    gauges = {
        "last_run_duration_seconds": ("How long the last run took.", kept["last_seconds"]),
        "last_run_timestamp_seconds": ("When the last run ended.", kept["last_run"]),
        "last_success_timestamp_seconds": (
            "When the last run of all resources that had no trouble ended.", kept["last_success"],
        ),
        "contended": (
            "Resources that something else keeps changing back.", len(standing["contended"]),
        ),
        "unresolved": (
            "Resources that failed and have not been right since.", len(standing["unresolved"]),
        ),
        "pending_refreshes": ("Refreshes that are still owed.", len(standing["pending"])),
    }  # fmt: skip
    if bundle := standing.get("bundle"):
        gauges["source_stale_since_timestamp_seconds"] = (
            "Since when the profile's source gives nothing to believe; 0: it does.",
            bundle["stale_since"] or 0,
        )
        gauges["bundle_sequence"] = ("The sequence of the bundle in force.", bundle["sequence"])
        gauges["bundles_refused"] = ("Bundles that failed here.", len(bundle["refused"]))
    if interval:
        gauges["stale_after_seconds"] = (
            "The age of the last success from which the container counts as stale.", 2 * interval,
        )  # fmt: skip
    info = _family("info", "gauge", "The agent.", [("", {"version": __version__}, 1)])
    told = [
        _family(name, "gauge", about, [("", _NO_LABELS, number)])
        for name, (about, number) in gauges.items()
    ]
    return "".join((info, *_counted(kept), *told))


def _add(table: dict[str, dict[str, float]], first: str, second: str, number: float) -> None:
    row = table.setdefault(first, {})
    row[second] = row.get(second, 0) + number


def _add_time(new: dict[str, Any], report: Mapping[str, Any]) -> None:
    """Note how long a run took, when it ended and, of a run of all resources, how."""
    seconds = report["seconds"]
    new["seconds"] += seconds
    new["buckets"][sum(seconds > bound for bound in BUCKETS)] += 1
    new["last_seconds"] = seconds
    new["last_run"] = round(report["started"] + seconds, 3)
    if report["partial"]:
        return  # it has seen too little to tell how the container stands
    new["last"] = _copied(report["kinds"])
    if report["exit_code"] in (0, 2) and not report["error"]:
        new["last_success"] = new["last_run"]


def _fresh() -> dict[str, Any]:
    return {
        "version": VERSION,
        "drift": {},
        "buckets": [0] * (len(BUCKETS) + 1),  # the last one: longer than all
        **{name: {} for name in _TABLES},
        **dict.fromkeys(_NUMBERS, 0.0),
    }


def _kept(counters: Any) -> dict[str, Any]:
    """Return a copy of the counters, fresh ones if these are none of ours."""
    fresh = _fresh()
    sound = (
        isinstance(counters, dict)
        and counters.keys() == fresh.keys()
        and counters["version"] == VERSION
        and all(_is_number(counters[name]) for name in _NUMBERS)
        and _is_table(counters["drift"])
        and all(
            isinstance(counters[name], dict) and all(map(_is_table, counters[name].values()))
            for name in _TABLES
        )
        and isinstance(counters["buckets"], list)
        and len(counters["buckets"]) == len(fresh["buckets"])
        and all(map(_is_number, counters["buckets"]))
    )
    return {name: _copied(value) for name, value in counters.items()} if sound else fresh


def _is_number(value: Any) -> bool:
    return type(value) in (int, float) and 0 <= value < _MOST  # neither a bool nor NaN


def _is_table(value: Any) -> bool:
    return isinstance(value, dict) and all(map(_is_number, value.values()))


def _copied(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _copied(item) for key, item in value.items()}
    return list(value) if isinstance(value, list) else value


def _counted(kept: dict[str, Any]) -> Iterator[str]:
    """Yield what is counted, and what the last run of all resources found."""
    runs = _rows(kept["runs"], "trigger", "exit_code")
    yield _family("runs_total", "counter", "Runs, by why and by exit code.", runs)
    yield _family(
        "outcomes_total", "counter", "Outcomes of resources in all runs, by kind and outcome.",
        _rows(kept["outcomes"], "kind", "outcome"),
    )  # fmt: skip
    yield _family(
        "resources", "gauge", "Resources of the last run of all of them, by kind and outcome.",
        _rows(kept["last"], "kind", "outcome"),
    )  # fmt: skip
    drift: list[Sample] = [("", {"kind": kind}, number) for kind, number in kept["drift"].items()]
    yield _family("drift_total", "counter", "Resources that were found to differ.", drift)
    yield _family("run_duration_seconds", "histogram", "How long runs took.", _histogram(kept))


def _rows(table: dict[str, dict[str, float]], first: str, second: str) -> list[Sample]:
    return [
        ("", {first: one, second: two}, number)
        for one, row in table.items()
        for two, number in row.items()
    ]


def _histogram(kept: dict[str, Any]) -> list[Sample]:
    bounds = [*map(repr, BUCKETS), "+Inf"]
    upto = list(accumulate(kept["buckets"]))
    samples: list[Sample] = [
        ("_bucket", {"le": bound}, number) for bound, number in zip(bounds, upto, strict=True)
    ]
    return [*samples, ("_sum", _NO_LABELS, kept["seconds"]), ("_count", _NO_LABELS, upto[-1])]


def _family(name: str, kind: str, about: str, samples: list[Sample]) -> str:
    """Return one metric with its samples; nothing while there are none."""
    if not samples:
        return ""
    lines = [f"# HELP converge_{name} {about}", f"# TYPE converge_{name} {kind}"]
    for more, labels, number in samples:
        pairs = ",".join(f'{label}="{_escaped(value)}"' for label, value in labels.items())
        lines.append(f"converge_{name}{more}{f'{{{pairs}}}' if pairs else ''} {number!r}")
    return "\n".join(lines) + "\n"


def _escaped(value: str) -> str:
    """Return a label's value as the format wants it: UTF-8, three characters escaped."""
    value = value.encode(errors="replace").decode()
    return value.replace("\\", r"\\").replace('"', r"\"").replace("\n", r"\n")
