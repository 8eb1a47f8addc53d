"""When runs are due, and how 500 agents are spread over an interval."""

from __future__ import annotations

import pytest

from converge.config import Settings
from converge.daemon.timer import FIRST_PAUSE, GROWTH, due
from converge.resident import share

INTERVAL = 1800.0


@pytest.mark.parametrize("splay", [0.0, 0.25, 0.999])
@pytest.mark.parametrize("now", [0.0, 17.0, 1e6 + 0.5])
def test_a_run_is_due_within_an_interval_at_the_own_place(now, splay):
    found = due(now, INTERVAL, splay, 0)
    assert now < found <= now + INTERVAL * 1.1
    assert (found - splay * INTERVAL) % INTERVAL == pytest.approx(0, abs=1e-3)


def test_without_splay_it_is_an_interval_after_the_last_run():
    assert due(100.0, INTERVAL, -1.0, 0) == 1900.0


def test_after_a_suspend_of_days_there_is_one_run():
    planned = due(1000.0, INTERVAL, 0.5, 0)
    woken = planned + 3 * 86400.0
    following = due(woken, INTERVAL, 0.5, 0)
    assert woken < following <= woken + INTERVAL * 1.1


@pytest.mark.parametrize("failures", [1, 2, 5, 1000])
def test_back_off_has_full_jitter_and_an_end(failures):
    waits = [due(50.0, INTERVAL, 0.5, failures) - 50.0 for _ in range(300)]
    longest = min(INTERVAL, FIRST_PAUSE * GROWTH ** min(failures - 1, 20))
    assert 0 < min(waits) < longest / 4
    assert longest * 3 / 4 < max(waits) <= longest


def test_500_agents_are_spread_evenly(tmp_path):
    (tmp_path / "etc").mkdir()
    file = tmp_path / "etc/machine-id"
    tenths = [0] * 10
    for number in range(500):
        file.write_text(f"{number:032x}\n")
        found = share(Settings(root=str(tmp_path)))
        assert found == share(Settings(root=str(tmp_path)))
        tenths[int(found * 10)] += 1
    assert all(25 <= count <= 75 for count in tenths), tenths
