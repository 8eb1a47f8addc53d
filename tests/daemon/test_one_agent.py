"""The resident agent as a real process: what it does by itself, when asked, and how it ends."""

from __future__ import annotations

import os
import signal
import subprocess
import time

import pytest

from daemon.supervisor import PATIENCE, PROFILE, until


def test_it_converges_repairs_drift_and_stops(agent):
    agent.start()
    assert agent.motd.read_text() == "welcome\n"
    agent.motd.write_text("changed\n")
    until(lambda: agent.motd.read_text() == "welcome\n")
    # Not while the run still reads again what it wrote: that would be a failure of it.
    until(lambda: agent.status()["agent"]["runs"] == 2)
    agent.motd.unlink()
    until(agent.motd.exists)
    until(lambda: agent.status()["report"]["reason"] == "event")
    assert agent.status()["report"]["partial"] == ["file:/etc/motd"]
    assert agent.call("health").returncode == 0
    assert agent.end() == 0
    assert "agent stopped" in agent.log()


def test_its_own_changes_start_no_run(agent):
    agent.start()
    time.sleep(1)  # longer than the longest wait for quiet
    assert agent.status()["agent"]["runs"] == 1


def test_a_changed_profile_is_followed(agent):
    agent.start()
    agent.profile.write_text(PROFILE.replace("welcome", "good morning"))
    until(lambda: agent.motd.read_text() == "good morning\n")
    agent.profile.write_text("resources:\n  - fiel: /x\n")
    until(lambda: agent.status()["report"]["error"])
    assert agent.call("health").returncode == 1
    agent.motd.write_text("changed\n")  # the last good profile stays in force
    until(lambda: agent.motd.read_text() == "good morning\n")


def test_without_events_it_waits_to_be_asked(agent):
    agent.start("--events", "off")
    agent.motd.write_text("changed\n")
    time.sleep(1)
    assert agent.motd.read_text() == "changed\n"
    answer = agent.call("trigger", "--wait")
    assert answer.returncode == 0
    assert agent.motd.read_text() == "welcome\n"
    agent.motd.write_text("changed\n")
    agent.signal(signal.SIGUSR1)
    until(lambda: agent.motd.read_text() == "welcome\n")


def test_a_pause_outlives_the_agent(agent):
    agent.start()
    assert agent.call("pause", "--reason", "an experiment").returncode == 0
    agent.motd.write_text("changed\n")
    assert agent.call("trigger").returncode == 1
    assert agent.call("health").returncode == 1
    agent.end()
    agent.process = subprocess.Popen(agent.argv(), stderr=subprocess.DEVNULL)
    until(lambda: (agent.status().get("agent") or {}).get("paused") == "an experiment")
    assert agent.call("resume").returncode == 0
    until(lambda: agent.motd.read_text() == "welcome\n")


def test_the_timer_runs_by_itself(agent):
    agent.start("--interval", "0.3", "--events", "off")
    agent.motd.write_text("changed\n")
    until(lambda: agent.motd.read_text() == "welcome\n")


def test_who_keeps_changing_something_is_left_to_the_timer(agent):
    agent.start()
    for repairs in (1, 2, 3):
        agent.motd.write_text("changed\n")
        until(lambda: agent.motd.read_text() == "welcome\n")
        # Not while the run still reads again what it wrote: that would be a failure of it.
        until(lambda done=1 + repairs: agent.status()["agent"]["runs"] >= done)
    assert agent.status()["contended"] == ["file:/etc/motd"]
    agent.motd.write_text("changed\n")
    time.sleep(1)
    assert agent.motd.read_text() == "changed\n"
    assert agent.call("trigger", "--wait").returncode == 0
    assert agent.motd.read_text() == "welcome\n"


def test_only_one_agent_is_resident(agent):
    agent.start()
    second = agent.call("--interval", "5")
    assert second.returncode == 1
    assert "another agent is resident here" in second.stderr


def test_a_killed_agent_takes_its_worker_along_and_can_be_replaced(agent):
    agent.start()
    agent.process.kill()
    agent.process.wait()
    agent.motd.write_text("changed\n")
    agent.start()
    assert agent.motd.read_text() == "welcome\n"


def test_it_ends_with_the_process_that_it_is_beside(agent):
    with subprocess.Popen(["sleep", "infinity"]) as app:
        agent.start("--beside", str(app.pid))
        agent.signal(signal.SIGHUP)
        until(lambda: "settings read again" in agent.log())
        app.kill()
    assert agent.process.wait(PATIENCE) == 0
    assert agent.call("--beside", str(app.pid)).returncode == 0, "that has ended before"


def test_the_settings_are_read_again(agent):
    agent.start()
    agent.signal(signal.SIGHUP)
    until(lambda: "settings read again" in agent.log())
    until(lambda: agent.status()["report"]["reason"] == "reload")


@pytest.mark.parametrize("closed", ["2>&-", "<&- >&- 2>&-"])
def test_started_without_stderr_it_runs_all_the_same(agent, closed):
    agent.wrapper = ["sh", "-c", f'exec "$@" {closed}', "sh"]
    agent.start()
    assert agent.motd.read_text() == "welcome\n"
    assert agent.status()["agent"]["crashes"] == 0
    held = f"/proc/{agent.process.pid}/fd"
    assert os.readlink(f"{held}/2") == "/dev/null"
    assert agent.end() == 0
