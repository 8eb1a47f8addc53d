"""Lines of the log: what they tell, how long they are, and that nobody can forge one."""

from __future__ import annotations

import json
import re

import pytest

from converge.engine import Run
from converge.notifications import Notifications
from converge.reports import logline
from converge.reports.report import Stopwatch, make
from converge.system import System
from unit.sample import ThingState, catalog, install, resource

FORMS = ("logfmt", "json")
HOSTILE = [
    "a\nlevel=error msg=forged", "a\r\n", "\x1b[31mred\x1b[0m", "tab\t", "nul\0", "\x7f", "\x85",
    'quo"te', "back\\slash", "\\", '\\"', "a=b", "two words", "é", "漢字", "\U0001f600", "\u202eevil",
    "\u2028", "\ufeff", "\u061c", '","level":"error', "'", "{}", "=",
]  # fmt: skip


def read(line):
    """Return the pairs of a line, as a strict reader of its format has them."""
    if line.startswith("{"):
        found = json.loads(line, object_pairs_hook=list)
    else:
        pair = r'([a-z_]+)=("(?:[^"\\\x00-\x1f]|\\(?:["\\nrt]|u[0-9a-f]{4}))*"|[^\s"=]+)'
        assert re.fullmatch(rf"{pair}( {pair})*", line)
        found = [
            (key, json.loads(value) if value.startswith('"') else value)
            for key, value in re.findall(pair, line)
        ]
    assert len(dict(found)) == len(found)
    return dict(found)


def entry(**more):
    return {
        "id": "file:/etc/motd", "kind": "file", "outcome": "changed", "action": "change",
        "fields": [], "reason": "", "remedy": "", "fatal": False, **more,
    }  # fmt: skip


def report(*entries, **more):
    return {
        "id": "20260101T000000Z-abcdef", "reason": "timer", "started": 1767225600.0,
        "seconds": 0.25, "exit_code": 0, "counts": {"in_sync": 9, "changed": len(entries)},
        "resources": list(entries), "messages": [], "error": "", **more,
    }  # fmt: skip


@pytest.mark.parametrize("form", FORMS)
def test_a_real_run_is_told(form, monkeypatch, tmp_path):
    thing = install(monkeypatch)[0]
    thing.live |= {"same": ThingState(value=1), "b": ThingState(value=9)}
    thing.tricks["c"] = "forbidden"
    declared = catalog(resource("same"), resource("b"), resource("c"))
    run = Run(declared, System(str(tmp_path)), Notifications(None))
    run.converge()
    made = make(declared, run, Stopwatch(), dry=False, detailed=False, reason="event")
    first, second, last = map(read, logline.lines(made, form))
    assert first["resource"] == "thing:b"
    assert (first["level"], first["outcome"], first["fields"]) == ("info", "changed", "value")
    assert (second["level"], second["outcome"]) == ("error", "unmanageable")
    assert second["reason"] == made["resources"][1]["reason"]
    assert (last["level"], last["msg"]) == ("error", "run ended")
    assert {str(last[key]) for key in ("in_sync", "changed", "unmanageable")} == {"1"}
    for line in (first, second, last):
        assert (line["run"], line["trigger"]) == (made["id"], "event")


@pytest.mark.parametrize("form", FORMS)
def test_a_run_in_sync_is_told_only_if_asked(form):
    assert logline.lines(report(), form) == []
    assert logline.lines(report(entry(outcome="skipped")), form) == []
    (line,) = logline.lines(report(), form, always=True)
    assert read(line) == {
        "time": "2026-01-01T00:00:00.250Z", "level": "info", "msg": "run ended",
        "exit_code": 0 if form == "json" else "0", "seconds": 0.25 if form == "json" else "0.25",
        "in_sync": 9 if form == "json" else "9", "run": "20260101T000000Z-abcdef",
        "trigger": "timer",
    }  # fmt: skip


def test_the_exact_line_of_a_resource():
    fields = [{"field": "mode", "before": "0600", "after": "0644"}, {"field": "owner"}]
    line = logline.lines(report(entry(fields=fields)), "logfmt")[0]
    assert line == (
        'time=2026-01-01T00:00:00.250Z level=info msg="changed file:/etc/motd" '
        "resource=file:/etc/motd kind=file outcome=changed action=change fields=mode,owner "
        "run=20260101T000000Z-abcdef trigger=timer"
    )


def test_values_of_fields_and_diffs_are_not_in_the_log():
    fields = [{"field": "password", "before": "old-canary", "after": "new-canary"}]
    for form in FORMS:
        text = "\n".join(logline.lines(report(entry(fields=fields, diff="+canary")), form))
        assert "canary" not in text


@pytest.mark.parametrize(
    ("found", "level"),
    [
        ({"outcome": "changed"}, "info"),
        ({"outcome": "would_change"}, "info"),
        ({"outcome": "unmanageable"}, "warning"),
        ({"outcome": "unmanageable", "fatal": True}, "error"),
        ({"outcome": "failed", "fatal": True}, "error"),
        ({"outcome": "skipped", "fatal": True}, "error"),
    ],
)
def test_levels(found, level):
    line = read(logline.lines(report(entry(**found)), "logfmt")[0])
    assert line["level"] == level
    assert line["msg"] == f"{found['outcome'].replace('_', ' ')} file:/etc/motd"


def test_messages_and_the_error_of_a_run_are_lines():
    made = logline.lines(report(messages=["swept"], error="bad profile", exit_code=4), "logfmt")
    assert [(line["level"], line["msg"]) for line in map(read, made)] == [
        ("warning", "swept"), ("error", "bad profile"), ("error", "run ended"),
    ]  # fmt: skip


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("value", HOSTILE)
def test_a_value_comes_back_and_stays_one_printable_line(form, value):
    line = logline.event(form, value, "warning", reason=value)
    assert line.isprintable()
    found = read(line)
    assert (found["level"], found["msg"], found["reason"]) == ("warning", value, value)
    told = logline.lines(report(entry(id=value, reason=value, remedy=value)), form)
    assert read(told[0])["resource"] == value
    assert all(line.isprintable() for line in told)


@pytest.mark.parametrize("form", FORMS)
def test_half_a_surrogate_pair_is_escaped(form):
    assert "\\udc80" in logline.event(form, "a\udc80").encode().decode()


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        ("/etc/a:b,c", "x=/etc/a:b,c"), ("back\\slash", "x=back\\slash"), ("a b", 'x="a b"'),
        ("a=b", 'x="a=b"'), ('a"b', 'x="a\\"b"'), ("a\nb", 'x="a\\nb"'), ("é", 'x="é"'),
        ("\x1b", 'x="\\u001b"'), (True, "x=true"), (3, "x=3"), (0, "x=0"), (1.5, "x=1.5"),
        (["a", "b"], "x=a,b"), ("c:\\a b", 'x="c:\\\\a b"'),
    ],
)  # fmt: skip
def test_logfmt_quotes_what_needs_it(value, shown):
    assert logline.event("logfmt", "m", x=value).split("msg=m ")[1] == shown


@pytest.mark.parametrize("form", FORMS)
def test_empty_fields_are_left_out(form):
    assert set(read(logline.event(form, "m", a="", b=None, c=[], d=()))) == {"time", "level", "msg"}


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("unit", ["x", "é", "\U0001f600", "\x1b", "\n", '"', "\\", "two words "])
@pytest.mark.parametrize("size", [900, 3900, 4000, 5000, 300_000])
def test_a_line_is_never_longer_than_a_pipe_takes_at_once(form, unit, size):
    long = (unit * size)[:size]
    for line in (
        logline.event(form, long), logline.event(form, "m", reason=long, run="r"),
        *logline.lines(report(entry(id=long, reason=long, remedy=long)), form),
    ):  # fmt: skip
        assert len(line.encode()) + 1 <= logline.MOST_BYTES < 4096
        found = read(line)
        assert {"time", "level", "msg"} <= set(found)
        if "reason" in found:
            assert found["reason"] == long or found["reason"].endswith("…")


@pytest.mark.parametrize("form", FORMS)
def test_the_longest_line_that_fits_is_not_cut(form):
    empty = len(logline.event(form, "x")) - 1
    fits = logline.MOST_BYTES - 1 - empty
    assert read(logline.event(form, "x" * fits))["msg"] == "x" * fits
    assert read(logline.event(form, "x" * (fits + 1)))["msg"].endswith("x…")


def test_the_long_value_is_cut_and_the_others_are_kept():
    line = logline.lines(report(entry(reason="x" * 9000, remedy="mount it rw")), "logfmt")[0]
    found = read(line)
    assert found["reason"].endswith("x…")
    assert (found["remedy"], found["trigger"]) == ("mount it rw", "timer")
    assert len(line) > 2000


def test_too_many_fields_are_left_out_from_the_end():
    line = logline.event("json", "m", **{f"field_{n}": "v" * 30 for n in range(500)})
    assert len(line) < logline.MOST_BYTES
    assert "field_0" in read(line)
    assert "field_499" not in read(line)
