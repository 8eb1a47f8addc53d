"""Counters over runs, and the text that Prometheus' own parser reads."""

from __future__ import annotations

import json
import math
import re

import pytest
from prometheus_client.parser import text_string_to_metric_families

from converge import __version__, outcome
from converge.engine import Run
from converge.notifications import Notifications
from converge.reports import metrics
from converge.reports.report import Stopwatch, make
from converge.system import System
from unit.sample import ThingState, catalog, install, resource

SOUND = {"contended": [], "unresolved": {}, "pending": {}}


def counts(**found):
    return dict.fromkeys(outcome.ALL, 0) | found


def entry(kind="file", result="changed", action="change", fields=()):
    return {"kind": kind, "outcome": result, "action": action, "fields": list(fields)}


def report(kinds=None, *entries, **more):
    return {
        "reason": "timer", "exit_code": 0, "started": 1000.0, "seconds": 0.03, "partial": [],
        "error": "", "kinds": {} if kinds is None else kinds, "resources": list(entries), **more,
    }  # fmt: skip


def samples(text):
    """Return (name, sorted labels) → value; the parser raises for what Prometheus would refuse."""
    found = {}
    for family in text_string_to_metric_families(text):
        assert family.documentation
        for sample in family.samples:
            key = (sample.name, *sorted(sample.labels.items()))
            assert key not in found
            found[key] = sample.value
    return found


def shown(counters, standing=SOUND, interval=1800.0):
    return samples(metrics.text(counters, standing, interval))


def test_the_report_of_a_real_run_is_counted(monkeypatch, tmp_path):
    thing = install(monkeypatch)[0]
    thing.live |= {"same": ThingState(value=1), "b": ThingState(value=9)}
    thing.tricks["c"] = "forbidden"
    declared = catalog(resource("same"), resource("b"), resource("c"))
    run = Run(declared, System(str(tmp_path)), Notifications(None))
    run.converge()
    made = make(declared, run, Stopwatch(), dry=False, detailed=False, reason="start")
    found = shown(metrics.update(None, made))
    assert found["converge_runs_total", ("exit_code", "4"), ("trigger", "start")] == 1
    for name in ("converge_resources", "converge_outcomes_total"):
        assert {
            key[2][1]: value for key, value in found.items() if key[0] == name and value
        } == {"in_sync": 1, "changed": 1, "unmanageable": 1}  # fmt: skip
    assert found["converge_drift_total", ("kind", "thing")] == 2  # b and c
    assert found[("converge_last_run_duration_seconds",)] == made["seconds"]


def test_runs_add_up_by_why_and_exit_code():
    counters = None
    for reason, code in (("timer", 0), ("timer", 0), ("event", 4), ("start", 0)):
        counters = metrics.update(counters, report(reason=reason, exit_code=code))
    found = shown(json.loads(json.dumps(counters)))
    assert found["converge_runs_total", ("exit_code", "0"), ("trigger", "timer")] == 2
    assert found["converge_runs_total", ("exit_code", "4"), ("trigger", "event")] == 1
    assert found["converge_runs_total", ("exit_code", "0"), ("trigger", "start")] == 1


@pytest.mark.parametrize("reason", ["", "forged\n", None])
def test_a_reason_that_nobody_knows_makes_no_series_of_its_own(reason):
    found = shown(metrics.update({}, report(reason=reason)))
    assert found["converge_runs_total", ("exit_code", "0"), ("trigger", "other")] == 1


def test_the_total_grows_and_the_gauge_is_of_the_last_whole_run():
    first = metrics.update({}, report({"file": counts(in_sync=3), "user": counts(changed=1)}))
    second = metrics.update(first, report({"file": counts(in_sync=2, changed=1)}))
    third = metrics.update(second, report({"file": counts(failed=1)}, partial=["file:/a"]))
    found = shown(third)
    total, now = "converge_outcomes_total", "converge_resources"
    assert found[total, ("kind", "file"), ("outcome", "in_sync")] == 5
    assert found[total, ("kind", "file"), ("outcome", "failed")] == 1
    assert found[total, ("kind", "user"), ("outcome", "changed")] == 1
    assert found[now, ("kind", "file"), ("outcome", "in_sync")] == 2
    assert found[now, ("kind", "file"), ("outcome", "failed")] == 0
    assert (now, ("kind", "user"), ("outcome", "changed")) not in found


@pytest.mark.parametrize(
    ("found", "drift"),
    [
        (entry(), 1),
        (entry(action="create", fields=[{"field": "mode"}]), 1),
        (entry(action="remove"), 1),  # names no fields
        (entry(result="would_change"), 1),
        (entry(result="failed", fields=[{"field": "mode"}]), 1),
        (entry(result="unmanageable"), 1),
        (entry(result="failed", action=""), 0),
        (entry(result="unmanageable", action=""), 0),
        (entry(result="skipped", action=""), 0),
    ],
)
def test_drift_is_a_difference_that_was_seen(found, drift):
    counters = metrics.update({}, report({"file": counts(in_sync=1), "user": counts()}, found))
    read = shown(counters)
    assert read["converge_drift_total", ("kind", "file")] == drift
    assert read["converge_drift_total", ("kind", "user")] == 0


def test_durations_fall_into_buckets_that_add_up():
    counters = None
    for seconds in (0.01, 0.0101, 0.7, 5000.0):
        counters = metrics.update(counters, report(seconds=seconds))
    found = shown(counters)
    bucket = "converge_run_duration_seconds_bucket"
    assert found[bucket, ("le", "0.01")] == 1
    assert found[bucket, ("le", "0.025")] == 2
    assert found[bucket, ("le", "1.0")] == 3
    assert found[bucket, ("le", "1800.0")] == 3
    assert found[bucket, ("le", "+Inf")] == 4
    assert found[("converge_run_duration_seconds_count",)] == 4
    assert found[("converge_run_duration_seconds_sum",)] == pytest.approx(5000.7201)
    assert found[("converge_last_run_duration_seconds",)] == 5000.0
    assert list(metrics.BUCKETS) == sorted(metrics.BUCKETS)


@pytest.mark.parametrize(
    ("more", "success"),
    [
        ({"exit_code": 0}, True),
        ({"exit_code": 2}, True),
        ({"exit_code": 4}, False),
        ({"exit_code": 6}, False),
        ({"exit_code": 0, "error": "the profile is wrong"}, False),
        ({"exit_code": 0, "partial": ["file:/a"]}, False),
    ],
)
def test_only_a_whole_run_without_trouble_is_a_success(more, success):
    before = metrics.update({}, report(started=500.0, seconds=0.5))
    found = shown(metrics.update(before, report(started=1000.0, seconds=2.25, **more)))
    assert found[("converge_last_run_timestamp_seconds",)] == 1002.25
    wanted = 1002.25 if success else 500.5
    assert found[("converge_last_success_timestamp_seconds",)] == wanted


def test_a_container_that_never_converged_has_a_success_long_ago():
    found = shown(metrics.update({}, report(exit_code=4)))
    assert found[("converge_last_success_timestamp_seconds",)] == 0


def test_a_run_that_could_not_be_made_is_counted_alone():
    before = metrics.update({}, report({"file": counts(in_sync=1)}))
    failed = {"version": 1, "error": "no profile", "problems": [], "exit_code": 1}
    after = metrics.update(before, {**failed, "reason": "timer"})
    assert shown(after)["converge_runs_total", ("exit_code", "1"), ("trigger", "timer")] == 1
    assert {k: v for k, v in after.items() if k != "runs"} == {
        k: v for k, v in before.items() if k != "runs"
    }


def test_how_the_container_stands_is_told():
    standing = {"contended": ["file:/a", "file:/b"], "unresolved": {"x": {}}, "pending": {"s": []}}
    found = shown({}, standing, 60.0)
    assert found[("converge_contended",)] == 2
    assert found[("converge_unresolved",)] == 1
    assert found[("converge_pending_refreshes",)] == 1
    assert found[("converge_stale_after_seconds",)] == 120
    assert found["converge_info", ("version", __version__)] == 1


def test_without_a_timer_nothing_goes_stale():
    assert "stale_after" not in metrics.text({}, SOUND, 0)


def test_counters_that_were_given_are_not_changed():
    first = metrics.update({}, report({"file": counts(in_sync=1)}, entry()))
    kept = json.dumps(first)
    metrics.update(first, report({"file": counts(in_sync=1), "user": counts()}, entry()))
    assert json.dumps(first) == kept


def damaged():
    good = metrics.update({}, report({"file": counts(in_sync=1)}, entry()))
    yield from (None, [], "text", 7, {"runs": {}}, {**good, "more": 1}, {**good, "version": 2})
    for name, value in good.items():
        yield {k: v for k, v in good.items() if k != name}
        for wrong in (
            None,
            "x",
            True,
            -1,
            math.nan,
            math.inf,
            10**400,
            {"a": "b"},
            {"a": {"b": None}},
        ):
            if wrong != value:
                yield {**good, name: wrong}
    yield {**good, "buckets": good["buckets"][:-1]}
    yield {**good, "buckets": [*good["buckets"][:-1], "1"]}


@pytest.mark.parametrize("counters", list(damaged()))
def test_damaged_counters_start_again(counters):
    new = report({"file": counts(in_sync=1)}, entry())
    assert metrics.update(counters, new) == metrics.update({}, new)
    assert metrics.text(counters, SOUND, 1800.0) == metrics.text({}, SOUND, 1800.0)


@pytest.mark.parametrize(
    "kind", ['a"b', "a\\b", "a\nb", "a\\nb", '"} 1\nforged 1', "ä{}=,", "a\rb"]
)
def test_a_label_comes_back_as_it_was(kind):
    found = shown(metrics.update({}, report({kind: counts(in_sync=1)})))
    assert found["converge_resources", ("kind", kind), ("outcome", "in_sync")] == 1
    assert all(key[0].startswith("converge_") for key in found)


def test_half_a_surrogate_pair_can_still_be_written():
    counters = metrics.update({}, report({"a\udc80": counts(in_sync=1)}))
    assert b'kind="a?"' in metrics.text(counters, SOUND, 1800.0).encode()


def test_every_line_keeps_to_the_grammar_and_every_metric_is_described_once():
    counters = metrics.update({}, report({"file": counts(in_sync=1)}, entry(), seconds=1e-7))
    text = metrics.text(counters, SOUND, 1800.0)
    name = r"converge_[a-z_]+"
    value = r"\d+(\.\d+)?(e[+-]\d+)?"
    labels = r"(\{[a-z_]+=\"[^\"\\\n]*\"(,[a-z_]+=\"[^\"\\\n]*\")*\})?"
    line = rf"# HELP {name} [^\n]+|# TYPE {name} (counter|gauge|histogram)|{name}{labels} {value}"
    assert re.fullmatch(rf"(({line})\n)+", text)
    described = re.findall(r"# TYPE (\S+) (\S+)", text)
    # In OpenMetrics a counter's family goes without `_total`, and no two share a name.
    assert len(described) == len({name.removesuffix("_total") for name, _ in described})
    assert all(name.endswith("_total") == (kind == "counter") for name, kind in described)


def test_the_source_of_a_profile_from_afar():
    bundle = {"stale_since": 1.7e9, "sequence": 12, "refused": {"d": "why"}}
    found = shown(None, {**SOUND, "bundle": bundle})
    assert found["converge_source_stale_since_timestamp_seconds",] == 1.7e9
    assert found["converge_bundle_sequence",] == 12
    assert found["converge_bundles_refused",] == 1
    fresh = shown(None, {**SOUND, "bundle": {**bundle, "stale_since": None}})
    assert fresh["converge_source_stale_since_timestamp_seconds",] == 0
    assert not [key for key in shown(None, {**SOUND, "bundle": None}) if "bundle" in key[0]]
