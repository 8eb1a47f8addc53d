"""Signals: storms of them become one run, and what was set for us before does not matter."""

from __future__ import annotations

import os
import signal

import pytest

from converge.daemon.timer import FIRST_PAUSE, GROWTH
from daemon.supervisor import FINE, ORDERED, children, until

WAITS = "#!/bin/sh\nuntil test -e go; do sleep 0.02; done\n" + FINE
STORM = 500


@pytest.fixture
def busy(supervisor):
    """Return a supervisor at its first run, which ends when the file `go` is there."""
    one = supervisor(WAITS).start()
    until(lambda: one.status()["busy"] == "start")
    return one


def settle(one) -> int:
    """Let the run end; return how many workers there were when it has gone quiet."""
    (one.folder / "go").touch()
    until(lambda: one.idle() and not children(one.pid))
    for _ in range(20):
        one.status()
    return one.runs()


def test_a_storm_of_triggers_is_one_more_run(busy):
    for _ in range(STORM):
        busy.signal(signal.SIGUSR1)
    for _ in range(20):
        assert busy.ask(b"trigger\n") == b"ok\n"
    assert settle(busy) == 2


def test_a_storm_of_reloads_is_one(busy):
    for _ in range(STORM):
        busy.signal(signal.SIGHUP)
    assert settle(busy) == 2
    assert busy.log().count("the new settings are wrong; the old ones stay in force") == 1


def test_a_storm_of_both_is_one_of_each(busy):
    for _ in range(STORM):
        busy.signal(signal.SIGHUP)
        busy.signal(signal.SIGUSR1)
    assert settle(busy) == 3
    assert busy.trigger() == 0


def test_a_storm_while_idle_never_starts_two_at_once(supervisor):
    alone = "#!/bin/sh\nmkdir alone || echo two >>trouble\n" + FINE + "rmdir alone\n"
    one = supervisor(alone).start()
    until(one.idle)
    for number in range(STORM):
        one.signal((signal.SIGUSR1, signal.SIGHUP)[number % 2])
    assert one.trigger() == 0
    assert not (one.folder / "trouble").exists()


def test_settings_are_read_before_the_first_run_is_told(supervisor):
    """A hangup at the start: `converge exec` is told of the first run all the same."""
    read, write = os.pipe()
    one = supervisor().real()
    one.worker.write_text(one.worker.read_text().replace("exec", "test -e go || sleep 0.5\nexec"))
    one.options["ready"] = write
    process = one.spawn(ready=write)
    os.close(write)
    one.process = process
    until(lambda: process.poll() is None and "agent started" in one.log())
    one.signal(signal.SIGHUP)
    with open(read, encoding="ascii") as file:
        assert file.read() == "0\n"
    until(lambda: "settings read again" in one.log())


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGPWR])
def test_idle_it_stops_at_once(supervisor, number):
    one = supervisor().start()
    until(one.idle)
    one.signal(number)
    assert one.process.wait(5.0) == 0
    assert "agent stopped" in one.log()


def test_what_was_ignored_or_blocked_before_us_is_heard(supervisor):
    """nohup ignores hangups; whoever ignores SIGCHLD would hide a worker's end."""
    numbers = (signal.SIGHUP, signal.SIGUSR1, signal.SIGTERM, signal.SIGCHLD)

    def before():
        for number in numbers:
            signal.signal(number, signal.SIG_IGN)
        signal.pthread_sigmask(signal.SIG_BLOCK, signal.valid_signals())

    masks = "open('masks', 'w').write(open('/proc/self/status').read())\n"
    one = supervisor(ORDERED)
    (one.folder / "order").write_text(masks + "os.write(3, b'0\\0id\\0whole\\0\\0end\\0')")
    one.start(preexec_fn=before)
    until(one.idle)
    lines = dict(
        line.split(":\t", 1) for line in (one.folder / "masks").read_text().splitlines() if line
    )
    assert int(lines["SigBlk"], 16) == 0
    assert not int(lines["SigIgn"], 16) & sum(1 << number - 1 for number in numbers)
    one.signal(signal.SIGUSR1)
    until(lambda: one.runs() == 2)
    one.signal(signal.SIGHUP)
    until(lambda: "settings" in one.log())
    assert one.end() == 0


def test_back_off_after_failures_has_full_jitter_and_an_end(supervisor):
    one = supervisor(ORDERED, interval=3600.0)
    (one.folder / "order").write_text("sys.exit(1)")
    one.start()
    until(one.idle)
    waits = []
    for failures in range(2, 40):
        one.trigger()
        told = one.status()
        waits.append(float(told["next"]))
        assert int(told["failures"]) >= failures
        longest = FIRST_PAUSE * GROWTH ** (int(told["failures"]) - 1)
        assert waits[-1] <= min(3600.0, longest)
    late = waits[10:]  # each is any time up to the interval
    assert len(set(late)) == len(late)
    assert min(late) < 1800 < max(late)
    assert one.order("os.write(3, b'0\\0id\\0whole\\0\\0end\\0')") == 0
    assert one.status()["failures"] == "0"


def test_it_tries_again_by_itself(supervisor):
    one = supervisor(ORDERED, interval=0.3)
    (one.folder / "order").write_text("sys.exit(1)")
    one.start()
    until(lambda: int(one.status()["crashes"]) >= 5)
    (one.folder / "order").write_text("os.write(3, b'0\\0id\\0whole\\0\\0end\\0')")
    until(lambda: one.status()["failures"] == "0")
    assert one.status()["last_end"] == ""
