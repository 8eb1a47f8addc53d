"""Suspended, stopped, and with a wall clock that jumps by years: runs keep to their places."""

from __future__ import annotations

import os
import signal
import time
from itertools import pairwise
from pathlib import Path

import pytest

from daemon.supervisor import FINE, ORDERED, children, until
from faults.needs import need

HOUR = 3600.0
# Notes the time by the clock that the timer goes by, and finds nothing to do.
TIMED = """
import time
open("times", "a").write(f"{time.clock_gettime(time.CLOCK_BOOTTIME)}\\n")
os.write(3, b"0\\0id\\0whole\\0\\0end\\0")
"""
JUMPS = ["+10y", "-10y", "+70y", "-40y", "+1h", "+0"]


@pytest.fixture
def clock(tmp_path: Path, monkeypatch):
    """Return how to set the clock of what is started from now on; at first it is right."""
    libraries = sorted(Path("/usr/lib").glob("*/faketime/libfaketime.so.1"))
    need(bool(libraries), "libfaketime is missing: apt-get install faketime")
    file = tmp_path / "clock"

    def put(offset: str) -> None:
        (tmp_path / "clock.new").write_text(offset + "\n")
        (tmp_path / "clock.new").rename(file)

    put("+0")
    for name, value in {
        "LD_PRELOAD": str(libraries[0]),
        "FAKETIME_TIMESTAMP_FILE": str(file),
        "FAKETIME_NO_CACHE": "1",
        "NO_FAKE_STAT": "1",
    }.items():
        monkeypatch.setenv(name, value)
    return put


def test_a_suspend_of_ten_hours_is_caught_up_with_by_one_run(supervisor, clock):
    """The clock of the timer goes on while a machine is suspended; here libfaketime moves it."""
    one = supervisor(FINE, interval=HOUR, splay=0.5).start()
    until(one.idle)
    for hours in (10, 20, 20_000):
        before = one.runs()
        clock(f"+{hours}h")
        until(lambda before=before: one.idle() and one.runs() == before + 1)
        assert 0.1 * HOUR < float(one.status()["next"]) <= 1.1 * HOUR
        for _ in range(20):
            one.status()  # each wakes it up
        assert one.runs() == before + 1


def test_stopped_for_many_intervals_it_catches_up_with_one_run(supervisor):
    interval, splay = 0.5, 0.3
    one = supervisor(ORDERED, interval=interval, splay=splay)
    (one.folder / "order").write_text(TIMED)
    one.start()
    until(lambda: one.runs() >= 3)
    one.signal(signal.SIGSTOP)
    before = one.runs()
    time.sleep(6 * interval)
    one.signal(signal.SIGCONT)
    until(lambda: one.runs() >= before + 4)
    times = [float(line) for line in (one.folder / "times").read_text().split()][1:]
    slots = [(moment - splay * interval) // interval for moment in times]
    assert len(slots) == len(set(slots)), "two runs have the same place"
    assert max(new - old for old, new in pairwise(slots)) >= 5, "it was stopped"


@pytest.fixture
def by_the_wrong_clock(supervisor, clock, monkeypatch):
    """Return a supervisor with real workers whose wall clock alone can be set."""
    monkeypatch.setenv("DONT_FAKE_MONOTONIC", "1")
    return supervisor(interval=0.2, splay=0.3, events="on").real(interval=0.2).start()


@pytest.mark.parametrize("jump", JUMPS)
def test_a_jump_of_the_wall_clock_is_harmless(by_the_wrong_clock, clock, jump):
    one = by_the_wrong_clock
    motd = one.folder / "root/etc/motd"
    until(motd.exists)
    clock(jump)
    before = int(one.status()["runs"])
    until(lambda: int(one.status()["runs"]) >= before + 3)
    motd.write_text("changed\n")
    until(lambda: motd.read_text() == "welcome\n")
    clock("+0")
    before = int(one.status()["runs"])
    until(lambda: int(one.status()["runs"]) >= before + 3)
    told = one.status()
    assert told["crashes"] == told["failures"] == "0", one.log()
    assert float(told["next"]) <= 0.2 * 1.1
    for command, code in (("status", 0), ("health", 0)):
        assert one.call(command) == code, one.log()


def test_by_events_alone_a_jump_is_harmless_too(supervisor, clock, monkeypatch):
    """Drift is found, and the agent's own changes start nothing, though files are of the future."""
    monkeypatch.setenv("DONT_FAKE_MONOTONIC", "1")
    one = supervisor(events="on").real().start()
    motd = one.folder / "root/etc/motd"
    until(one.idle)
    for number, jump in enumerate(("-10y", "+10y"), 2):
        clock(jump)
        motd.write_text("changed\n")
        until(lambda: motd.read_text() == "welcome\n")
        until(lambda number=number: one.status()["runs"] == str(number) and one.idle())
    time.sleep(1.0)  # longer than the longest wait for quiet
    assert not children(one.pid)
    assert one.status()["runs"] == "3"
    os.utime(motd, (2**31, 2**31))
    until(lambda: int(one.status()["runs"]) == 4 and one.idle())
    time.sleep(1.0)
    assert one.status()["runs"] == "4"
