"""When a drifted path leads to a run: after it went quiet, and ever later if runs are in vain."""

from __future__ import annotations

import itertools

import pytest

from converge.daemon import drift as drifts
from converge.daemon.drift import LONGEST_REST, LONGEST_SETTLE, MUTED, SETTLE, Drift


class Watches:
    """Stands for converge.daemon.watches: what the kernel has told, and which paths drifted."""

    fd = 5

    def __init__(self):
        self.found, self.concerns, self.profiles = set(), True, set()

    def drifted(self):
        found, self.found = self.found, set()
        return found

    def read(self):
        return self.concerns

    def is_profile(self, path):
        return path in self.profiles


@pytest.fixture
def clock(monkeypatch):
    """Return a clock that stands still: [now]."""
    now = [1000.0]
    monkeypatch.setattr(drifts, "now", lambda: now[0])
    return now


@pytest.fixture
def drift(clock):
    found = Drift(events=False)
    found.watches = Watches()
    return found


def tell(drift, *paths):
    drift.watches.found = set(paths)
    drift.find()


def test_nothing_has_drifted(drift):
    drift.find()
    assert drift.settled() is None
    assert drift.recalls() is None
    assert drift.touched() == ()


def test_it_waits_for_quiet(drift, clock):
    tell(drift, "/a")
    assert drift.settled() == clock[0] + SETTLE
    clock[0] += SETTLE / 2
    tell(drift, "/b")
    assert drift.settled() == clock[0] + SETTLE
    assert drift.touched() == ("/a", "/b")


def test_but_not_for_ever(drift, clock):
    first = clock[0]
    for _ in range(100):
        tell(drift, "/a")
        clock[0] += SETTLE / 2
    assert drift.settled() == first + LONGEST_SETTLE


def test_after_runs_that_failed_it_waits_longer(drift, clock):
    drift.waits_until = clock[0] + 30
    tell(drift, "/a")
    assert drift.settled() == clock[0] + 30


def test_a_profile_or_very_much_calls_for_a_run_of_all(drift):
    drift.watches.profiles = {"/etc/converge/profile.yaml"}
    tell(drift, "/a", "/etc/converge/profile.yaml")
    assert drift.touched() == ()
    drift.paths.clear()
    tell(drift, *(f"/{number}" for number in range(2000)))
    assert len(drift.touched()) == 2000
    tell(drift, "/one more")
    assert drift.touched() == ()


def test_events_that_are_none_of_ours_are_left_unread_for_longer(drift, clock):
    drift.watches.concerns = False
    waits = []
    for _ in range(10):
        assert drift.fds() == [5]
        drift.read(look=True)
        assert drift.fds() == []
        waits.append(drift.reads_again() - clock[0])
        clock[0] = drift.reads_again()
        assert drift.reads_again() is None
    assert waits == pytest.approx([min(MUTED, SETTLE * 2**n) for n in range(10)])
    drift.watches.concerns = True
    drift.read(look=True)
    assert drift.reads_again() == pytest.approx(clock[0] + SETTLE)


def test_while_a_run_is_under_way_nothing_is_looked_at(drift):
    drift.watches.found = {"/a"}
    drift.read(look=False)
    assert drift.paths == set()
    drift.find()
    assert drift.paths == {"/a"}


def test_a_path_that_calls_for_runs_in_vain_is_left_alone_for_longer(drift, clock):
    rests = []
    for _ in range(20):
        tell(drift, "/chatty")
        assert drift.touched() == ("/chatty",)
        drift.paths.clear()
        drift.ran(("/chatty",), in_vain=True)
        tell(drift, "/chatty", "/other")
        assert drift.paths == {"/other"}, "others are acted on at once"
        drift.paths.clear()
        rests.append(drift.recalls() - clock[0])
        clock[0] = drift.recalls()
        drift.find()
        assert drift.paths == {"/chatty"}, "what drifted while it was left alone is not lost"
        assert drift.recalls() is None
        drift.paths.clear()
    assert rests == pytest.approx([min(LONGEST_REST, SETTLE * 2**n) for n in range(1, 21)])
    assert all(one <= two + 1e-9 for one, two in itertools.pairwise(rests))


def test_a_run_that_changed_something_is_not_in_vain(drift):
    for _ in range(5):
        drift.ran(("/a", "/b"), in_vain=True)
    drift.ran(("/a", "/b"), in_vain=False)
    tell(drift, "/a")
    assert drift.paths == {"/a"}


def test_a_run_of_all_forgets_who_rests(drift):
    drift.ran(("/a", "/b"), in_vain=True)
    tell(drift, "/a")
    assert drift.recalls() is not None
    drift.ran((), in_vain=True)
    assert drift.recalls() is None
    tell(drift, "/b")
    assert drift.paths == {"/b"}
