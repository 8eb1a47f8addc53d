"""What people see, and the report behind it."""

from __future__ import annotations

import io
import sys

import pytest

from converge import textdiff
from converge.config import Settings
from converge.engine import Run
from converge.notifications import Notifications
from converge.reports import output
from converge.reports.report import Stopwatch, describe_change, exit_code, make
from converge.system import System
from unit.sample import ThingState, catalog, install, resource


@pytest.fixture
def thing(monkeypatch):
    return install(monkeypatch)[0]


def reported(tmp_path, *resources, dry=False, detailed=False):
    run = Run(catalog(*resources), System(str(tmp_path)), Notifications(None))
    run.plan() if dry else run.converge()
    return make(catalog(*resources), run, Stopwatch(), dry=dry, detailed=detailed)


def printed(found, capsys, **settings):
    output.print_report(found, Settings(**{"color": "never", **settings}))
    return capsys.readouterr().out


@pytest.mark.parametrize(
    ("changed", "would", "trouble", "dry", "detailed", "code"),
    [
        (0, 0, False, False, False, 0), (1, 0, False, False, False, 0),
        (1, 0, False, False, True, 2), (0, 0, True, False, False, 4),
        (1, 0, True, False, False, 4), (1, 0, True, False, True, 6),
        (0, 0, False, True, False, 0), (0, 1, False, True, False, 2),
        (0, 1, True, True, False, 6), (0, 0, True, True, False, 4),
        (0, 1, False, False, True, 0),
    ],
)  # fmt: skip
def test_exit_codes(changed, would, trouble, dry, detailed, code):
    counts = {"changed": changed, "would_change": would}
    assert exit_code(counts, trouble, dry=dry, detailed=detailed) == code


def test_a_report_counts_and_tells_what_is_not_in_sync(thing, tmp_path):
    thing.live |= {"same": ThingState(value=1), "b": ThingState(value=9)}
    thing.tricks["c"] = "forbidden"
    found = reported(tmp_path, resource("same"), resource("b"), resource("c"), detailed=True)
    assert found["version"] == 1
    assert found["exit_code"] == 6
    assert {k: n for k, n in found["counts"].items() if n} == {
        "in_sync": 1, "changed": 1, "unmanageable": 1,
    }  # fmt: skip
    assert found["kinds"]["thing"]["in_sync"] == 1
    changed, forbidden = found["resources"]
    assert changed["id"] == "thing:b"
    assert changed["fields"] == [{"field": "value", "before": 9, "after": 1}]
    assert changed["action"] == "change"
    assert forbidden["reason"] == "forbidden"
    assert forbidden["remedy"] == "ask"
    assert forbidden["fatal"] is True
    assert forbidden["fields"], "the difference is told even where it cannot be repaired"


def test_people_see_a_line_each_and_a_summary(thing, tmp_path, capsys):
    thing.live |= {"b": ThingState(value=9), "old": ThingState(value=1)}
    thing.tricks["c"] = "fail"
    found = reported(
        tmp_path, resource("a"), resource("b"), resource("c"), resource("old", state="absent")
    )
    text = printed(found, capsys)
    assert "changed thing:a: created\n    value: 1\n" in text
    assert "changed thing:b\n    value: 9 → 1\n" in text
    assert "failed thing:c: it broke (mend it)\n" in text
    assert "changed thing:old: removed\n" in text
    assert text.splitlines()[-1].startswith("sample: 4 resources: 3 changed, 1 failed, in ")


def test_a_dry_run_says_would(thing, tmp_path, capsys):
    thing.live["old"] = ThingState(value=1)
    found = reported(tmp_path, resource("a"), resource("old", state="absent"), dry=True)
    text = printed(found, capsys)
    assert "would change thing:a: would be created" in text
    assert "would change thing:old: would be removed" in text


def test_quiet_prints_only_what_is_fatal(thing, tmp_path, capsys):
    thing.tricks |= {"c": "fail", "d": "forbidden"}
    found = reported(tmp_path, resource("a"), resource("c"), resource("d", on_unmanageable="warn"))
    assert (
        printed(found, capsys, quiet=True) == "failed thing:c: it broke (mend it)\n    value: 1\n"
    )


def test_colours_are_a_choice(thing, tmp_path, capsys):
    found = reported(tmp_path, resource("a"))
    assert "\033[" not in printed(found, capsys, color="auto")
    assert "\033[32mchanged\033[0m" in printed(found, capsys, color="always")


def test_nothing_from_outside_reaches_the_terminal(thing, tmp_path, capsys):
    found = reported(tmp_path, resource("\033[2Jevil"))
    assert "\033" not in printed(found, capsys)


def test_secret_and_hidden_fields_are_not_in_the_report():
    from converge.provider import Change, FieldChange

    before, after = ThingState(value=1, size=3), ThingState(value=2, size=4)
    fields = tuple(FieldChange(field=n, before=1, after=2) for n in ("value", "size"))
    change = Change(id="x", spec=None, before=before, after=after, fields=fields)
    found = describe_change(change, frozenset({"value"}))
    assert found["fields"] == [
        {"field": "value", "before": "[hidden]", "after": "[hidden]"},
        {"field": "size", "before": 1, "after": 2},
    ]


def test_a_text_is_a_diff_and_is_printed_as_one(capsys):
    from converge.provider import Change, FieldChange, Spec
    from converge_resources.file import FileState

    after = FileState(type="file", content=b"new\n")
    field = FieldChange(field="content", before=b"old\n", after=b"new\n")
    change = Change(id="x", spec=Spec(name="/etc/motd"), before=after, after=after, fields=(field,))
    found = describe_change(change, frozenset())
    assert found["diff"].endswith("-old\n+new\n")
    told = {"outcome": "changed", "id": "file:/etc/motd", "reason": "", "remedy": "",
            "verb": "", "in_place": True, "fatal": False, **found}  # fmt: skip
    painter = output.Painter("never", sys.stdout)
    output._print_resource(painter, told, dry=False)
    text = capsys.readouterr().out
    assert text.startswith("changed file:/etc/motd: written in place, as it is a mount\n")
    assert "    -old\n    +new\n" in text
    output._print_resource(painter, told | {"verb": "created", "action": "create"}, dry=False)
    text = capsys.readouterr().out
    assert text.startswith("changed file:/etc/motd: created, written in place, as it is a mount\n")


def test_a_dry_run_tells_of_the_refreshes_that_a_run_would_make(thing, tmp_path, capsys):
    thing.live |= {name: ThingState(value=1) for name in "bcd"}
    resources = (
        resource("a", notify=("thing:b", "thing:new")),
        resource("b", 1, notify=("thing:c",), after=("thing:a",)),
        resource("new", 1, notify=("thing:d",), after=("thing:a",)),
        resource("still", noop=True, notify=("thing:e",)),
        resource("c", 2, after=("thing:b",)),
        resource("d", 2, after=("thing:new",)),
    )
    dry = reported(tmp_path, *resources, dry=True)
    assert dry["refreshed"] == ["thing:b", "thing:c", "thing:d"]
    assert "would refresh thing:b\nwould refresh thing:c\n" in printed(dry, capsys)
    assert sorted(reported(tmp_path, *resources)["refreshed"]) == dry["refreshed"]


def test_why_the_last_good_profile_was_taken_is_told(tmp_path, capsys, thing):
    found = reported(tmp_path) | {
        "error": "p.yaml:1:1: wrong\nthe last good profile stays in force"
    }
    assert printed(found, capsys, quiet=True).splitlines() == found["error"].splitlines()


def test_booleans_are_shown_as_a_profile_has_them():
    assert textdiff.in_words([True, False, None]) == "[true, false, none]"


def test_run_ids_differ(thing, tmp_path):
    assert reported(tmp_path)["id"] != reported(tmp_path)["id"]


class Terminal(io.StringIO):
    def isatty(self):
        return True


def test_a_progress_bar_only_on_a_terminal_and_after_a_second(monkeypatch):
    for stream, wait, shown in (
        (io.StringIO(), 9, False),
        (Terminal(), 0, False),
        (Terminal(), 9, True),
    ):
        monkeypatch.setattr(sys, "stderr", stream)
        now = [100.0]
        monkeypatch.setattr(output.time, "monotonic", lambda now=now: now[0])
        with output.Progress(Settings()) as progress:
            now[0] += wait
            progress.tick(1, 2)
            assert (progress._bar is not None) is shown
