"""How a container stands after all runs so far."""

from __future__ import annotations

import pytest

from converge.state import standing

INTERVAL = 1800.0


def clock(seconds=0.0, *, wall=1.8e9, boot="this"):
    found = standing.Clock()
    found.wall, found.boottime, found.boot = wall + seconds, 1000.0 + seconds, boot
    return found


def report(*entries, partial=(), error="", code=0):
    return {
        "id": "run", "exit_code": code, "resources": list(entries), "partial": list(partial),
        "pending": {}, "error": error,
    }  # fmt: skip


def entry(name, outcome, *, fatal=False):
    return {"id": name, "outcome": outcome, "fatal": fatal, "reason": "why", "remedy": ""}


FAILED = entry("file:/a", "failed", fatal=True)
CHANGED = entry("file:/a", "changed")


def test_a_good_run_has_no_problems():
    found = standing.after_run(None, report(), "c", clock())
    assert standing.problems(found, clock(10), INTERVAL) == []
    assert found["success"] == found["last"] == found["whole"]


def test_it_is_stale_after_twice_the_interval():
    found = standing.after_run(None, report(), "c", clock())
    assert standing.problems(found, clock(2 * INTERVAL), INTERVAL) == []
    assert "stale" in standing.problems(found, clock(2 * INTERVAL + 1), INTERVAL)[0]
    assert standing.problems(found, clock(2 * INTERVAL + 1), 0) == []


@pytest.mark.parametrize("jump", [-1e9, 1e9])
def test_a_jump_of_the_wall_clock_does_not_make_it_stale(jump):
    found = standing.after_run(None, report(), "c", clock())
    assert standing.problems(found, clock(10, wall=1.8e9 + jump), INTERVAL) == []


def test_what_failed_stays_unresolved_until_it_is_touched_again():
    found = standing.after_run(None, report(FAILED, code=4), "c", clock())
    assert standing.problems(found, clock(), INTERVAL) == ["file:/a failed: why"]
    found = standing.after_run(found, report(partial=["file:/b"]), "c", clock(5))
    assert list(found["unresolved"]) == ["file:/a"]
    assert found["success"] is None
    found = standing.after_run(found, report(CHANGED, partial=["file:/a"]), "c", clock(9))
    assert found["unresolved"] == {}
    assert found["whole"]["boottime"] == 1000.0


def test_three_repairs_in_an_hour_are_contended():
    found = standing.after_run(None, report(CHANGED), "c", clock())  # the first is no repair
    for seconds in (60, 120, 180):
        assert found["contended"] == []
        found = standing.after_run(found, report(CHANGED), "c", clock(seconds))
    assert found["contended"] == ["file:/a"]
    later = standing.after_run(found, report(), "c", clock(3800))
    assert later["contended"] == []
    assert standing.after_run(found, report(), "other", clock(190))["contended"] == []
    assert standing.after_run(found, report(), "c", clock(190, boot="next"))["contended"] == []


def test_a_run_that_could_not_be_made_is_a_problem():
    found = standing.after_run(None, report(), "c", clock())
    wrong = standing.after_error(found, "no such profile", clock(5))
    assert standing.problems(wrong, clock(6), INTERVAL) == ["no such profile"]
    assert wrong["success"] == found["success"]
    never = standing.after_error(None, "no such profile", clock())
    assert "no run has ended yet" in standing.problems(never, clock(), INTERVAL)


@pytest.mark.parametrize("kept", [None, [], {}, {"version": 99}])
def test_what_this_agent_did_not_make_is_none(kept):
    assert standing.good(kept) is None
