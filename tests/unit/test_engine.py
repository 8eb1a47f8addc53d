"""The engine over a kind that is a dictionary."""

from __future__ import annotations

import errno
import os

import pytest

from converge import outcome
from converge.engine import Run, TooManyDeletionsError
from converge.notifications import Notifications
from converge.system import System
from unit.sample import ThingState, catalog, install, resource


@pytest.fixture
def thing(monkeypatch):
    return install(monkeypatch)[0]


@pytest.fixture
def both(monkeypatch):
    return install(monkeypatch)


def run(tmp_path, *resources, notifications=None, **options):
    made = Run(
        catalog(*resources), System(str(tmp_path)), notifications or Notifications(None), **options
    )
    made.converge()
    return made


def results(made):
    return {name.partition(":")[2]: found.result for name, found in made.outcomes.items()}


def test_in_sync_inspects_once_and_applies_nothing(thing, tmp_path):
    thing.live["a"] = ThingState(value=1)
    made = run(tmp_path, resource("a"))
    assert results(made) == {"a": "in_sync"}
    assert thing.applied == []
    assert thing.inspected == [["a"]]


def test_fields_that_are_not_declared_do_not_count(thing, tmp_path):
    thing.live["a"] = ThingState(value=1, size=99)
    assert results(run(tmp_path, resource("a"))) == {"a": "in_sync"}


def test_one_batch_for_a_wave(thing, tmp_path):
    made = run(tmp_path, resource("a"), resource("b"), resource("c", wave=1))
    assert results(made) == dict.fromkeys("abc", "changed")
    assert thing.applied == [["a", "b"], ["c"]]


def test_the_plan_changes_nothing(thing, tmp_path):
    made = Run(catalog(resource("a")), System(str(tmp_path)), Notifications(None))
    made.plan()
    assert results(made) == {"a": "would_change"}
    assert thing.applied == []
    assert thing.live == {}


def test_an_exit_code_is_not_believed(thing, tmp_path):
    thing.tricks["a"] = "lie"
    made = run(tmp_path, resource("a", value=3))
    assert made.outcomes["thing:a"].result == "failed"
    assert made.outcomes["thing:a"].reason == "still differs: value"


def test_a_raising_provider_fails_only_what_still_differs(thing, tmp_path):
    thing.tricks["b"] = "fail"
    made = run(tmp_path, resource("a"), resource("b"), resource("c"))
    assert results(made) == {"a": "changed", "b": "failed", "c": "changed"}
    assert made.outcomes["thing:b"].reason == "it broke"
    assert made.outcomes["thing:b"].remedy == "mend it"


def test_a_provider_that_raises_anything_fails_its_batch(thing, tmp_path):
    thing.tricks["apply"] = ZeroDivisionError("oops")
    made = run(tmp_path, resource("a"), resource("b"))
    assert results(made) == {"a": "failed", "b": "failed"}
    assert made.outcomes["thing:a"].reason == "ZeroDivisionError: oops"


def test_a_raising_inspect_fails_its_kind_and_no_other(both, tmp_path):
    thing, _other = both
    thing.tricks["inspect"] = OSError(5, "Input/output error", "/etc/x")
    made = run(tmp_path, resource("a"), resource("b", kind="other"))
    assert results(made) == {"a": "failed", "b": "changed"}
    assert made.outcomes["thing:a"].reason == "cannot be read: /etc/x: Input/output error"
    assert "a" not in thing.live


def test_what_depends_on_a_failure_is_skipped_and_so_on(thing, tmp_path):
    thing.tricks["a"] = "fail"
    made = run(
        tmp_path,
        resource("a"),
        resource("b", 1, after=("thing:a",)),
        resource("c", 2, after=("thing:b",)),
        resource("d", 2),
    )
    assert results(made) == {"a": "failed", "b": "skipped", "c": "skipped", "d": "changed"}
    assert made.outcomes["thing:b"].reason == "thing:a failed"
    assert made.outcomes["thing:c"].reason == "thing:b skipped"


def test_a_failure_reaches_over_what_is_in_sync(thing, tmp_path):
    thing.tricks["a"] = "fail"
    thing.live["b"] = ThingState(value=1)
    made = run(
        tmp_path,
        resource("a"),
        resource("b", 1, after=("thing:a",)),
        resource("c", 2, after=("thing:b",)),
    )
    assert results(made) == {"a": "failed", "b": "in_sync", "c": "skipped"}


def test_when_false_is_skipped_and_holds_nobody_up(thing, tmp_path):
    made = run(tmp_path, resource("a", selected=False), resource("b", 1, after=("thing:a",)))
    assert results(made) == {"a": "skipped", "b": "changed"}


@pytest.mark.parametrize(
    ("policy", "result", "later", "fatal"),
    [
        ("fail", "unmanageable", "skipped", True),
        ("warn", "unmanageable", "changed", False),
        ("skip", "skipped", "changed", False),
    ],
)
@pytest.mark.parametrize("trick", ["forbidden", "cannot", "unreadable"])
def test_unmanageable(thing, tmp_path, trick, policy, result, later, fatal):
    thing.tricks["a"] = trick
    made = run(
        tmp_path, resource("a", on_unmanageable=policy), resource("b", 1, after=("thing:a",))
    )
    assert results(made) == {"a": result, "b": later}
    assert made.outcomes["thing:a"].counts is fatal
    assert made.outcomes["thing:a"].remedy


def test_what_holds_already_is_in_sync_even_where_it_could_not_be_changed(thing, tmp_path):
    thing.tricks["a"] = "forbidden"
    thing.live["a"] = ThingState(value=1)
    assert results(run(tmp_path, resource("a"))) == {"a": "in_sync"}


def test_noop_is_left_and_notifies_nobody(thing, tmp_path):
    thing.live["b"] = ThingState(value=1)
    made = run(
        tmp_path,
        resource("a", noop=True, notify=("thing:b",)),
        resource("b", 1, after=("thing:a",)),
    )
    assert results(made) == {"a": "would_change", "b": "in_sync"}
    assert thing.refreshed == []


def test_tags_leave_the_others_alone(thing, tmp_path):
    made = run(tmp_path, resource("a", tags=("web",)), resource("b"), tags=("web", "db"))
    assert results(made) == {"a": "changed"}


def test_a_target_is_refreshed_once_after_all_that_notify_it(thing, tmp_path):
    thing.live["t"] = ThingState(value=1)
    made = run(
        tmp_path,
        resource("a", notify=("thing:t",)),
        resource("b", 1, notify=("thing:t",)),
        resource("t", 2, after=("thing:a", "thing:b")),
    )
    assert thing.refreshed == ["t"]
    assert made.refreshed == ["thing:t"]


def test_what_was_just_made_is_not_refreshed(thing, tmp_path):
    run(tmp_path, resource("a", notify=("thing:t",)), resource("t", 1, after=("thing:a",)))
    assert thing.refreshed == []


def chain():
    """a notifies b, and b notifies c."""
    return (
        resource("a", notify=("thing:b",)),
        resource("b", 1, notify=("thing:c",), after=("thing:a",)),
        resource("c", 2, after=("thing:b",)),
    )


def test_who_is_refreshed_notifies_in_turn(thing, tmp_path):
    thing.live["b"] = thing.live["c"] = ThingState(value=1)
    made = run(tmp_path, *chain())
    assert results(made) == {"a": "changed", "b": "in_sync", "c": "in_sync"}
    assert made.refreshed == ["thing:b", "thing:c"]


def test_a_refresh_that_failed_notifies_nobody(thing, tmp_path):
    state = Kept()
    thing.live["b"] = thing.live["c"] = ThingState(value=1)
    thing.tricks["refresh b"] = True
    run(tmp_path, *chain(), notifications=Notifications(state))
    assert state.kept == {"thing:b": ["thing:a"]}
    thing.tricks.clear()
    made = run(tmp_path, *chain(), notifications=Notifications(state))
    assert made.refreshed == ["thing:b", "thing:c"]
    assert state.kept == {}


class Kept:
    """A state directory's memory of what is pending."""

    def __init__(self):
        self.kept = {}

    def pending(self):
        return self.kept

    def set_pending(self, pending):
        self.kept = {name: list(sources) for name, sources in pending.items()}


def test_a_refresh_that_failed_is_due_in_the_next_run(thing, tmp_path):
    state = Kept()
    thing.live["t"] = ThingState(value=1)
    thing.tricks["refresh t"] = True
    resources = (
        resource("a", notify=("thing:t",)),
        resource("t", 1, after=("thing:a",)),
    )
    made = run(tmp_path, *resources, notifications=Notifications(state))
    assert results(made) == {"a": "changed", "t": "failed"}
    assert state.kept == {"thing:t": ["thing:a"]}
    thing.tricks.clear()
    made = run(tmp_path, *resources, notifications=Notifications(state))
    assert results(made) == {"a": "in_sync", "t": "in_sync"}
    assert thing.refreshed == ["t", "t"]
    assert state.kept == {}


def test_a_refresh_is_noted_before_the_change_and_withdrawn_if_there_was_none(thing, tmp_path):
    state = Kept()
    seen = []
    thing.tricks["a"] = lambda provider: seen.append(dict(state.kept))
    thing.tricks["b"] = "fail"
    thing.live["t"] = ThingState(value=1)
    thing.live["u"] = ThingState(value=1)
    run(
        tmp_path,
        resource("a", notify=("thing:t",)),
        resource("b", notify=("thing:u",)),
        resource("t", 1),
        resource("u", 1),
        notifications=Notifications(state),
    )
    assert seen == [{"thing:t": ["thing:a"], "thing:u": ["thing:b"]}]
    assert thing.refreshed == ["t"]
    assert state.kept == {}


def test_what_a_change_owes_is_not_withdrawn_by_a_later_one_that_fails():
    owed = Notifications(None)
    owed.announce({"thing:a": ["thing:t"]})
    owed.announce({"thing:a": ["thing:t"]})  # once more, as something has changed it back
    owed.withdraw(["thing:a"])
    assert owed.pending == {"thing:t": ["thing:a"]}


def test_what_a_batch_owes_is_noted_in_one_go(thing, tmp_path):
    state, noted = Kept(), []
    state.set_pending = lambda pending: noted.append(
        {name: [*them] for name, them in pending.items()}
    )
    thing.live["t"] = ThingState(value=1)
    thing.tricks |= {"b": "fail", "c": "fail"}
    many = [resource(name, notify=("thing:t",)) for name in "abcd"]
    run(tmp_path, *many, resource("t", 1), notifications=Notifications(state))
    assert noted == [
        {"thing:t": [f"thing:{name}" for name in "abcd"]},
        {"thing:t": ["thing:a", "thing:d"]},
        {},
    ]


def test_without_room_for_notes_nothing_is_changed(thing, tmp_path):
    def full(*_):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    state = Kept()
    state.set_pending = full
    made = run(
        tmp_path, resource("a", notify=("thing:t",)), resource("t", 1),
        notifications=Notifications(state),
    )  # fmt: skip
    assert results(made) == {"a": "failed", "t": "changed"}
    assert "No space left" in made.outcomes["thing:a"].reason
    made = run(tmp_path, resource("b"), before_change=full)
    assert results(made) == {"b": "failed"}
    assert "b" not in thing.live


def test_a_pending_refresh_waits_for_a_target_that_is_skipped(thing, tmp_path):
    state = Kept()
    state.kept = {"thing:t": ["thing:z"]}
    thing.tricks["a"] = "fail"
    thing.live["t"] = ThingState(value=1)
    run(
        tmp_path,
        resource("a"),
        resource("t", 1, after=("thing:a",)),
        notifications=Notifications(state),
    )
    assert thing.refreshed == []
    assert state.kept == {"thing:t": ["thing:z"]}


def test_an_earlier_change_makes_the_next_wave_be_read_again(thing, tmp_path):
    def bring(provider):
        provider.live["b"] = ThingState(value=1)

    thing.tricks["a"] = bring
    made = run(tmp_path, resource("a"), resource("b", 1))
    assert results(made) == {"a": "changed", "b": "in_sync"}
    assert thing.applied == [["a"]]


def test_what_brings_files_goes_first_in_its_wave_and_the_rest_is_read_again(both, tmp_path):
    thing, other = both
    thing.live["f"] = ThingState(value=1)

    def spoil(provider):
        thing.live["f"] = ThingState(value=99)

    other.tricks["p"] = spoil
    made = run(tmp_path, resource("f"), resource("p", kind="other"))
    assert results(made) == {"p": "changed", "f": "changed"}
    assert thing.live["f"].value == 1


def test_what_a_later_resource_undid_is_put_right_once_more(thing, tmp_path):
    def spoil(provider):
        provider.live["a"] = ThingState(value=99)

    thing.tricks["b"] = spoil
    made = run(tmp_path, resource("a"), resource("b", 1))
    assert results(made) == {"a": "changed", "b": "changed"}
    assert thing.live["a"].value == 1


def test_two_resources_that_fight_fail(thing, tmp_path):
    thing.tricks["a"] = lambda provider: provider.live.pop("b", None)
    thing.tricks["b"] = lambda provider: provider.live.pop("a", None)
    made = run(tmp_path, resource("a"), resource("b", 1))
    assert "failed" in results(made).values()
    reasons = {found.reason for found in made.outcomes.values()}
    assert "something else in this run changes it back" in reasons


def test_too_many_deletions_touch_nothing(thing, tmp_path):
    thing.live |= {str(i): ThingState(value=1) for i in range(3)}
    gone = [resource(str(i), state="absent") for i in range(3)]
    with pytest.raises(TooManyDeletionsError, match="delete 3 things; 2 are allowed"):
        run(tmp_path, *gone, allow_deletions=2)
    assert len(thing.live) == 3
    assert set(results(run(tmp_path, *gone, allow_deletions=3)).values()) == {"changed"}


def test_absent_of_what_is_absent_is_in_sync(thing, tmp_path):
    assert results(run(tmp_path, resource("a", state="absent"))) == {"a": "in_sync"}


def test_progress_and_the_mark_before_the_first_change(thing, tmp_path):
    ticks, marks = [], []
    thing.tricks["a"] = lambda provider: marks.append("changing")
    run(
        tmp_path,
        resource("a"),
        resource("b", 1),
        tick=lambda done, total: ticks.append((done, total)),
        before_change=lambda: marks.append("marked"),
    )
    assert ticks == [(1, 2), (2, 2)]
    assert marks == ["marked", "changing"]


def test_every_outcome_is_known():
    assert set(outcome.ALL) == {
        "in_sync", "changed", "failed", "skipped", "unmanageable", "would_change",
    }  # fmt: skip
