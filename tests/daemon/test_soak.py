"""Thousands of runs: the supervisor holds as much at the end as at the beginning.

`make soak` lets the real workers run 10,000 times.
"""

from __future__ import annotations

import os
import signal
import time

import pytest

from daemon.supervisor import FINE, Held, Supervisor, children, until

WARM = 50  # runs until everything is imported and grown
MOST_GROWTH = 2048  # KiB
SHORTEST = 0.01  # seconds: the shortest interval that there is
LONG = int(os.environ.get("CONVERGE_SOAK_RUNS", "2000"))


def runs(one: Supervisor) -> int:
    return int(one.status()["runs"])


def quiet(one: Supervisor) -> Held:
    """Return what it holds between two runs."""
    one.fields(b"pause to look at it")
    until(lambda: not children(one.pid))
    return Held(one.pid)


def soak(one: Supervisor, most: int, meanwhile=lambda number: None) -> tuple[Held, Held]:
    """Let it run so often; return what it held before and what it holds after."""
    while runs(one) < WARM:
        time.sleep(0.05)
    before, number = quiet(one), 0
    one.fields(b"resume")
    while runs(one) < WARM + most:
        number += 1
        meanwhile(number)
        time.sleep(0.05)
    return before, quiet(one)


def check(before: Held, after: Held) -> None:
    assert after.descriptors == before.descriptors
    assert after.zombies == 0
    assert after.resident < before.resident + MOST_GROWTH


def test_2000_runs_of_a_worker_that_does_nothing(supervisor, capsys):
    one = supervisor(FINE, interval=SHORTEST, splay=0.3).start()
    before, after = soak(one, 2000)
    told = one.status()
    with capsys.disabled():
        print(f"\n{told['runs']} runs: {after.since(before)}")
    check(before, after)
    assert told["crashes"] == told["failures"] == "0"
    assert one.runs() == int(told["runs"])
    assert one.end() == 0


@pytest.mark.parametrize("most", [400, pytest.param(LONG, marks=pytest.mark.slow)])
def test_real_runs_with_drift_kills_and_new_settings(supervisor, capsys, most):
    one = supervisor(interval=SHORTEST, splay=0.3, events="on").real(interval=SHORTEST).start()
    motd = one.folder / "root/etc/motd"

    def meanwhile(number: int) -> None:
        if number % 5 == 0:
            motd.write_text("changed\n")
        if number % 7 == 0:
            one.ask(b"what\n")
        if number % 11 == 0:
            for child in children(one.pid):
                os.kill(child, signal.SIGKILL)
        if number % 13 == 0:
            one.trigger()
        if number % 17 == 0:
            one.signal(signal.SIGHUP)

    before, after = soak(one, most, meanwhile)
    told = one.status()
    with capsys.disabled():
        print(
            f"\n{told['runs']} real runs, {told['crashes']} of them killed: {after.since(before)}"
        )
    check(before, after)
    one.fields(b"resume")
    assert one.trigger() == 0
    assert motd.read_text() == "welcome\n"
    assert one.end() == 0
