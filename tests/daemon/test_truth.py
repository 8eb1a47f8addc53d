"""What health and status say, where the state or the agent cannot tell."""

from __future__ import annotations

import os
import socket
import subprocess

import pytest

from converge import client
from converge.config import Settings
from daemon.supervisor import until
from faults.needs import need_mounts


@pytest.fixture
def full(tmp_path):
    """A small disk for the state, and what fills it."""
    need_mounts()
    state = tmp_path / "state"
    state.mkdir(exist_ok=True)
    mount = ("mount", "-t", "tmpfs", "-o", "size=64k,mode=0700", "none", str(state))
    subprocess.run(mount, check=True)
    yield lambda: subprocess.run(("dd", "if=/dev/zero", f"of={state}/fill"), capture_output=True)
    subprocess.run(("umount", "-l", str(state)), check=True)


def test_runs_that_fail_as_the_state_is_full(agent, full):
    agent.start()
    assert agent.call("health").returncode == 0
    full()
    agent.motd.write_text("bad\n")
    until(lambda: agent.call("health").returncode == 1)
    assert "the agent's last run failed" in agent.call("health").stdout
    assert "the agent's last run failed" in agent.status()["problems"][0]
    os.unlink(agent.folder / "state/fill")
    assert agent.call("trigger", "--wait").returncode == 0
    assert agent.call("health").returncode == 0
    assert agent.status()["problems"] == []


def test_an_agent_that_does_not_answer_is_one_all_the_same(tmp_path, monkeypatch):
    monkeypatch.setattr(client, "_SECONDS", 0.05)
    settings = Settings(runtime_dir=str(tmp_path))
    problems = []
    assert client.look(settings, problems) is None
    with socket.socket(socket.AF_UNIX) as listening:
        listening.bind(str(tmp_path / client.SOCKET))
        listening.listen()
        assert client.look(settings, problems) == {}
    assert "the agent does not answer: timed out" in problems[0]
