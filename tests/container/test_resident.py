"""`converge` itself as a container's main process, with an engine's mounts, stops and crashes."""

from __future__ import annotations

import pytest

from container.resident import (
    agent_says,
    agents,
    break_and_wait,
    content,
    is_idle,
    processes,
    profile,
    until,
    zombies,
)

PATH = "/dev/shm/app.conf"


@pytest.mark.parametrize(
    ("options", "entrypoint", "command"),
    [
        ((), "converge", ()),
        (("--user=1000",), "converge", ()),
        ((), "/usr/bin/tini", ("converge",)),
        (("--init",), "converge", ()),
    ],
    ids=["pid-1", "user-pid-1", "tini", "init"],
)
def test_the_agent_alone_repairs_reaps_and_stops(container, engine, options, entrypoint, command):
    box = container(*options, profile=profile(PATH), entrypoint=entrypoint, command=command)
    break_and_wait(box, PATH, user="1000" if "--user=1000" in options else "")
    assert len(agents(box)) == 1
    box.exec("sh", "-c", "sleep 0.2 & exit")
    until(lambda: all("sleep" not in one.line for one in processes(box)), "the orphan's end")
    until(lambda: not zombies(box), "no zombies")
    assert box.report("trigger", "--wait")["reason"] == "trigger", "root may ask anybody's agent"
    engine.must("kill", "--signal", "USR1", box.name)
    runs = agent_says(box)["runs"]
    until(lambda: agent_says(box)["runs"] >= runs and is_idle(box), "a run")
    engine.must("stop", "--time", "30", box.name)
    assert box.wait() == 0, "137 would be the engine's SIGKILL"


@pytest.mark.parametrize("path", ["/etc/hosts", "/etc/hostname"])
def test_what_the_engine_mounts_is_watched_and_written_in_place(container, path):
    box = container(profile=profile(path, "# kept\n"), entrypoint="converge", command=())
    inode = box.stat(path, "%i")
    break_and_wait(box, path, "# kept\n")
    assert box.stat(path, "%i") == inode


@pytest.mark.parametrize("how", ["stop", "kill"])
def test_a_restart(container, engine, how):
    box = container(
        "--env=CONVERGE_RESIDENT=1", profile=profile("/etc/app.conf"), entrypoint="",
    )  # fmt: skip
    break_and_wait(box, "/etc/app.conf")
    assert box.converge("pause", "--reason", "a look around").code == 0
    engine.must(how, *(("--time", "30") if how == "stop" else ()), box.name)
    box.wait()
    engine.must("start", box.name)
    until(lambda: is_idle(box), "an agent that answers")
    assert agent_says(box)["paused"] == "a look around"
    assert len(agents(box)) == 1
    box.exec("sh", "-c", "echo bad >/etc/app.conf")
    assert box.converge("health", "--start-only").code == 1
    assert box.converge("resume").code == 0
    until(lambda: content(box, "/etc/app.conf") == "good\n", "the repair")
    break_and_wait(box, "/etc/app.conf")
    until(lambda: box.converge("health", "--start-only").code == 0, "health")


def test_a_run_for_which_memory_is_too_short_ends_alone(container):
    """The kernel ends what the worker started, or the worker: neither the agent nor the container."""
    box = container(
        "--memory=96m", "--memory-swap=96m", entrypoint="converge", command=(),
        profile={
            "resources": [
                {"file": PATH, "content": "good\n"},
                {
                    "command": "hungry",
                    "argv": ["/opt/converge/bin/python", "-c", "bytearray(1 << 29)"],
                    "creates": "/dev/shm/never",
                },
            ]
        },
    )  # fmt: skip
    until(lambda: is_idle(box), "the first run")
    (agent,) = agents(box)
    box.converge("trigger", "--wait")
    box.exec("sh", "-c", f"echo bad >{PATH}")
    until(lambda: content(box, PATH) == "good\n", "the repair")
    assert agents(box)[0].pid == agent.pid
    told = box.logs()
    assert "signal 9" in told.out + told.err


def test_a_start_that_clears_run_is_survived(container):
    box = container("--env=CONVERGE_RESIDENT=1", profile=profile("/etc/app.conf"), entrypoint="")
    break_and_wait(box, "/etc/app.conf")
    assert box.exec("sh", "-ec", "rm -rf /run/*").code == 0, "nothing is put back in between"
    until(lambda: box.converge("health").code == 0, "an agent that can be asked")
    second = box.converge()
    assert "another agent is resident here" in second.err
    break_and_wait(box, "/etc/app.conf")


# A syslog that takes what fits into its queue and reads none of it.
_DEAF = "import socket, time; s = socket.socket(1, 2); s.bind('/dev/log'); time.sleep(1e6)"


def test_a_syslog_that_has_stopped_reading_stops_neither_runs_nor_the_end(container, engine):
    script = f'/opt/converge/bin/python -Ic "{_DEAF}" & exec converge --log-to syslog'
    box = container(profile=profile(PATH), entrypoint="sh", command=("-c", script))
    until(lambda: is_idle(box), "an agent")
    for _ in range(5):
        assert box.exec("sh", "-c", f"rm {PATH}; kill -HUP 1").code == 0
        assert box.converge("trigger", "--wait").code == 0
    assert content(box, PATH) == "good\n"
    engine.must("stop", "--time", "10", box.name)
    assert box.wait() == 0, "137 would be the engine's SIGKILL"
