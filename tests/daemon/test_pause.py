"""A pause: nothing runs, whoever asks, until `resume`; it outlives the agent."""

from __future__ import annotations

import os
import signal

import pytest

from daemon.supervisor import FINE, children, until


@pytest.fixture
def paused(supervisor):
    one = supervisor(FINE, interval=0.05).start()
    until(lambda: one.runs() >= 2)
    one.fields(b"pause an experiment")
    until(lambda: not children(one.pid))
    return one


def test_nothing_runs_until_it_is_resumed(paused):
    runs = paused.runs()
    paused.signal(signal.SIGUSR1)
    until(lambda: "no run (trigger), as runs are paused: an experiment" in paused.log())
    paused.signal(signal.SIGHUP)
    until(lambda: "settings" in paused.log())
    assert paused.ask(b"trigger\n") == b"error\nmessage=paused: an experiment\n"
    assert paused.ask(b"trigger wait\n") == b"error\nmessage=paused: an experiment\n"
    assert paused.runs() == runs + 1  # the worker that read the settings
    paused.fields(b"resume")
    until(lambda: paused.runs() > runs + 2)
    assert paused.trigger() == 0


def test_it_outlives_the_agent_whose_start_may_go_on(paused):
    """A start makes no run either, and `converge exec`, which waits for one, is told at once."""
    runs = paused.runs()
    for number in (signal.SIGTERM, signal.SIGKILL):
        paused.signal(number)
        paused.process.wait()
        read, write = os.pipe()
        paused.options["ready"] = write
        paused.start(ready=write)
        os.close(write)
        with open(read, encoding="ascii") as file:
            assert file.read() == "0\n"
        assert paused.status()["paused"] == "an experiment"
        assert paused.runs() == runs
    paused.fields(b"resume")
    until(lambda: paused.runs() > runs)
    paused.end()
    del paused.options["ready"]
    assert paused.start().status()["paused"] == ""


def test_who_waits_for_the_next_run_is_told(supervisor):
    one = supervisor("#!/bin/sh\nuntil test -e go; do sleep 0.02; done\n" + FINE).start()
    with one.connection() as waiting:
        waiting.sendall(b"trigger wait\n")
        until(lambda: one.status()["busy"] == "start")
        one.fields(b"pause for now")
        (one.folder / "go").touch()
        assert waiting.recv(4096) == b"error\nmessage=paused: for now\n"
    assert one.runs() == 1


def test_without_a_state_directory_it_ends_with_the_agent(supervisor):
    one = supervisor(FINE, state="").start()
    told = one.fields(b"pause for now")
    assert told["message"] == "until the agent ends: there is no state directory"
    assert one.status()["paused"] == "for now"
    one.end()
    assert one.start().status()["paused"] == ""


@pytest.mark.parametrize("content", [b"", b"\n \n", b"\xff\xfe\0" * 1000, b"x" * (1 << 20)])
def test_a_damaged_note(supervisor, content):
    """It still pauses, if there is a word left in it, and can be resumed."""
    one = supervisor(FINE)
    (one.state / "paused").write_bytes(content)
    one.start()
    assert bool(one.status()["paused"]) == bool(content.strip())
    one.fields(b"resume")
    assert one.status()["paused"] == ""
    assert not (one.state / "paused").exists()


def test_a_note_that_is_no_file_holds_up_neither_the_start_nor_a_pause(supervisor):
    one = supervisor(FINE)
    os.mkfifo(one.state / "paused")
    one.start()
    assert one.status()["paused"] == ""
    assert "until the agent ends" in one.fields(b"pause for now")["message"]
    one.fields(b"resume")
    assert not (one.state / "paused").exists()
