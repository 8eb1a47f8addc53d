"""Where no inotify instance is left, paths are looked at every few seconds, and status says so."""

from __future__ import annotations

import ctypes
import os

import pytest

from daemon.agent import Agent
from daemon.supervisor import until


@pytest.fixture
def none_left():
    """Take every inotify instance that this user may have."""
    libc = ctypes.CDLL(None)
    taken = []
    while (fd := libc.inotify_init1(os.O_CLOEXEC)) >= 0:
        taken.append(fd)
        if len(taken) > 4096:
            break
    yield
    for fd in taken:
        os.close(fd)


@pytest.mark.usefixtures("none_left")
def test_it_polls_instead(agent: Agent, monkeypatch):
    monkeypatch.setenv("CONVERGE_POLL", "0.2")
    agent.start()
    told = agent.status()["agent"]
    assert told["events"] == "stat"
    assert "no inotify" in told["trouble"]
    assert "a look at every 0.2 s instead" in agent.call("status").stdout
    agent.motd.write_text("changed\n")
    until(lambda: agent.motd.read_text() == "welcome\n")
