"""Two agents that are started at once: one is resident and applies, the other says so and ends."""

from __future__ import annotations

import json
import signal
import subprocess

from daemon.agent import Agent
from daemon.supervisor import PATIENCE, children, until

STARTS = 100
ALONE = "another agent is resident here"


def test_100_double_starts(supervisor):
    one = supervisor()
    for number in range(1, STARTS + 1):
        pair = [one.spawn() for _ in range(2)]
        until(lambda pair=pair: sum(process.poll() is None for process in pair) == 1)
        (stays,) = [process for process in pair if process.poll() is None]
        (ended,) = [process for process in pair if process is not stays]
        one.process = stays
        assert ended.returncode == 1
        until(one.answers)
        assert one.status()["pid"] == str(stays.pid)
        until(lambda number=number: one.runs() == number)
        until(lambda stays=stays: not children(stays.pid))
        assert one.end() == 0
        assert one.runs() == number
    assert one.log().count(ALONE) == STARTS


def test_five_at_once_as_users_start_them(agent: Agent):
    """Whoever comes first applies; the others, too late by a moment or by much, do not."""
    with open(agent.folder / "log", "ab") as log:
        several = [
            subprocess.Popen(agent.argv("--log-format", "json"), stdout=log, stderr=log)
            for _ in range(5)
        ]
    until(lambda: sum(process.poll() is None for process in several) == 1)
    (agent.process,) = [process for process in several if process.poll() is None]
    until(lambda: agent.status().get("agent") and agent.status()["agent"]["runs"] > 0)
    others = [process for process in several if process is not agent.process]
    assert [process.wait(PATIENCE) for process in others] == [1, 1, 1, 1]
    said = [json.loads(line)["msg"] for line in agent.log().splitlines()]
    assert sum(ALONE in text for text in said) == 4
    assert said.count("changed file:/etc/motd") == 1
    assert agent.motd.read_text() == "welcome\n"


def test_one_that_was_killed_leaves_no_lock(supervisor):
    one = supervisor().start()
    for _ in range(5):
        one.signal(signal.SIGKILL)
        one.process.wait()
        one.start()


def test_a_lock_that_cannot_be_had_is_said(supervisor):
    one = supervisor()
    (one.run_directory / "agent.lock").symlink_to("/dev/null")
    process = one.spawn()
    assert process.wait(PATIENCE) == 1
    assert "the agent cannot start: [Errno 40] Too many levels of symbolic links" in one.log()
    assert one.runs() == 0
