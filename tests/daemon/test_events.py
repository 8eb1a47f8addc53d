"""Events: a ConfigMap's swap, no inotify to be had, and somebody who changes things back."""

from __future__ import annotations

import os
import subprocess
import threading
import time
from pathlib import Path

import pytest

from container.platforms import swap
from daemon.agent import Agent
from daemon.supervisor import PROFILE, until
from faults.needs import need, need_mounts

FILES = {"p.yaml": PROFILE, "other.yaml": "resources: []\n"}
LIMIT = "/proc/sys/user/max_inotify_{}"  # of a user namespace


def welcome(text: str) -> dict[str, str]:
    return {**FILES, "p.yaml": PROFILE.replace("welcome", text)}


@pytest.fixture
def volume(agent: Agent) -> Path:
    """Return a ConfigMap's volume that the agent sees mounted read-only, as a pod does."""
    need_mounts()
    mount = agent.folder / "config"
    mount.mkdir()
    volume = agent.folder / "volume"
    swap(volume, FILES)
    script = f'mount --bind -o ro {volume} {mount} && mount -o remount,bind,ro {mount} && exec "$@"'
    agent.wrapper = ["unshare", "-m", "sh", "-c", script, "sh"]
    agent.profile = mount / "p.yaml"
    return volume


def test_the_swap_of_a_config_map_is_followed(agent, volume):
    agent.start()
    assert agent.motd.read_text() == "welcome\n"
    for text in ("one", "two", "three", "four"):
        swap(volume, welcome(text))
        until(lambda text=text: agent.motd.read_text() == f"{text}\n")
    swap(volume, {**FILES, "p.yaml": "resources: [{fiel: /x}]\n"})
    until(lambda: "fiel" in agent.status()["report"]["error"])
    agent.motd.write_text("changed\n")
    until(lambda: agent.motd.read_text() == "four\n")
    swap(volume, FILES)
    until(lambda: agent.motd.read_text() == "welcome\n")
    until(lambda: not agent.status()["report"]["error"])
    assert agent.status()["agent"]["crashes"] == 0
    assert agent.end() == 0


def limited(**limits: int) -> list[str]:
    """Return what starts a program in a user namespace with these limits of inotify."""
    need(
        subprocess.run(["unshare", "-Ur", "true"], capture_output=True).returncode == 0,
        "no user namespace can be made here",
    )
    lines = [f"echo {most} >{LIMIT.format(name)}" for name, most in limits.items()]
    return ["unshare", "-Ur", "sh", "-c", " && ".join([*lines, 'exec "$@"']), "sh"]


def test_no_inotify_instance_is_left(agent: Agent, monkeypatch):
    """Paths are looked at every few seconds, and status says so, until there is one again."""
    monkeypatch.setenv("CONVERGE_POLL", "0.2")
    agent.wrapper = limited(instances=0)
    agent.start()
    told = agent.status()["agent"]
    assert told["events"] == "stat"
    assert told["trouble"] == "no inotify: Too many open files"
    assert "a look at every 0.2 s instead" in agent.call("status").stdout
    agent.motd.write_text("changed\n")
    until(lambda: agent.motd.read_text() == "welcome\n")
    assert agent.status()["agent"]["events"] == "stat"
    enter = ["nsenter", "--preserve-credentials", "-U", "-t", str(agent.process.pid)]
    subprocess.run([*enter, "sh", "-c", f"echo 128 >{LIMIT.format('instances')}"], check=True)
    assert agent.call("trigger", "--wait").returncode == 0
    assert agent.status()["agent"]["events"] == "inotify"
    assert agent.status()["agent"]["trouble"] == ""
    agent.motd.write_text("changed\n")
    until(lambda: agent.motd.read_text() == "welcome\n")


def test_not_all_can_be_watched(agent: Agent, monkeypatch):
    """One watch, where several are needed: the rest is looked at."""
    monkeypatch.setenv("CONVERGE_POLL", "0.2")
    agent.wrapper = limited(watches=1)
    agent.start()
    told = agent.status()["agent"]
    assert told["events"] == "inotify"
    assert told["trouble"].startswith("not all can be watched: ")
    assert told["trouble"].endswith(": No space left on device")
    for path in (agent.motd, agent.folder / "root/etc/issue"):
        before = path.read_text()
        path.write_text("changed\n")
        until(lambda path=path, before=before: path.read_text() == before)


@pytest.fixture
def fighter(agent: Agent):
    """Return how to start somebody who writes into a file all the time, until the test ends."""
    over = threading.Event()
    threads = []

    def fight(path: Path) -> None:
        while not over.wait(0.02):
            path.write_text(f"mine {os.urandom(4).hex()}\n")

    def start(path: Path) -> None:
        threads.append(threading.Thread(target=fight, args=[path]))
        threads[-1].start()

    yield start
    over.set()
    for thread in threads:
        thread.join()


def test_who_changes_it_back_again_and_again_starts_no_flood(agent: Agent, fighter):
    """After three repairs it is left to the timer; meanwhile all else is put right at once."""
    agent.start()
    issue = agent.folder / "root/etc/issue"
    fighter(agent.motd)
    until(lambda: agent.status()["contended"] == ["file:/etc/motd"])
    until(lambda: not agent.status()["agent"]["busy"])
    runs = agent.status()["agent"]["runs"]
    assert runs <= 20  # the start's, three repairs, and those that met the other's write
    for number in range(1, 3):
        issue.write_text("changed\n")
        until(lambda: issue.read_text() == "declared\n")
        until(lambda number=number: agent.status()["agent"]["runs"] == runs + number)
    assert agent.status()["contended"] == ["file:/etc/motd"]
    assert "converge_contended 1" in (agent.folder / "state/metrics.prom").read_text()
    assert "contended" in agent.call("status").stdout
    kept = list((agent.folder / "state/backups").rglob("*"))
    assert len(kept) < 60


@pytest.mark.parametrize("way", ["the same into a file", "files into a directory"])
def test_who_writes_what_is_no_drift_starts_no_flood(agent: Agent, way):
    """Each time such a path is left alone for longer; meanwhile all else is put right at once."""
    agent.profile.write_text(
        PROFILE + "  - directory: /etc/own\n    mode: '0755'\n    recurse: true\n"
    )
    agent.start()
    for number in range(200):
        if way == "the same into a file":
            agent.motd.write_text("welcome\n")
        else:
            (agent.folder / f"root/etc/own/{number % 5}").write_text(str(number))
        time.sleep(0.02)
    until(lambda: not agent.status()["agent"]["busy"])
    runs = agent.status()["agent"]["runs"]
    assert 2 <= runs <= 12  # after pauses of 0.1, 0.2, 0.4 seconds, …
    issue = agent.folder / "root/etc/issue"
    issue.write_text("changed\n")
    until(lambda: issue.read_text() == "declared\n")
    agent.motd.write_text("changed\n")
    (agent.folder / "root/etc/own").chmod(0o700)
    assert agent.call("trigger", "--wait").returncode == 0
    assert agent.motd.read_text() == "welcome\n"
    assert (agent.folder / "root/etc/own").stat().st_mode & 0o777 == 0o755
