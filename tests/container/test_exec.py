"""`converge exec -- COMMAND` beside all that may be PID 1, with the agent left resident."""

from __future__ import annotations

import json
from typing import NamedTuple

import pytest

from container.resident import (
    APP,
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
FINE = profile(PATH)
RESIDENT = "--env=CONVERGE_RESIDENT=1"
EXEC = ("exec", "--")
# A run that takes two seconds, and then fails.
SLOW = profile(PATH, validate="/usr/bin/timeout 2 /usr/bin/tail -f %")
# What a process sees of itself; the agent's own variable is left out.
SEEN = r"""
cat; id; pwd; umask; ls /proc/self/fd
grep -E '^(Sig(Blk|Ign)|Cap|NoNewPrivs|Groups|oom)' /proc/self/status; cat /proc/self/oom_score_adj
tr '\0' '\n' </proc/self/environ | grep -v CONVERGE_RESIDENT
ulimit -a; nice
"""


class Way(NamedTuple):
    """How a container is started; `bare` is the same without converge, `user` who it runs as."""

    options: tuple[str, ...]
    entrypoint: str
    words: tuple[str, ...]
    bare: tuple[str, tuple[str, ...]]
    user: str = "0"


TINI = ("/usr/bin/tini", ("--",))
ENV = ("/usr/bin/env", ())
WAYS = {
    "tini": Way((), "", (), TINI),
    "pid-1": Way((), "converge", EXEC, ENV),
    "init": Way(("--init",), "converge", EXEC, ENV),
    "user": Way(("--user=1000",), "", (), TINI, "1000"),
    "user-pid-1": Way(("--user=1000:1000",), "converge", EXEC, ENV, "1000"),
}
ways = pytest.mark.parametrize("way", WAYS.values(), ids=list(WAYS))


@pytest.fixture
def start(container):
    """A function that starts a command in one of the ways, with the agent left beside it."""

    def run(way, *command, options=(), made=FINE):
        words = (*way.words, *command)
        return container(
            *way.options, RESIDENT, *options, profile=made, command=words, entrypoint=way.entrypoint
        )

    return run


@ways
def test_the_agent_stays_and_repairs_and_the_container_ends_with_the_app(start, engine, way):
    box = start(way, "sh", "-c", APP)
    break_and_wait(box, PATH, user=way.user)
    (agent,) = agents(box)
    assert (agent.parent, agent.user) == (1, way.user)
    until(lambda: not zombies(box), "no zombies")
    beside = box.exec("converge", "exec", "--", "sh", "-c", "echo beside; exit 5")
    assert (beside.code, beside.out) == (5, "beside\n"), beside.err
    assert agents(box) == [agent]
    engine.must("stop", "--time", "30", box.name)
    assert box.wait() == 3, "137 would be the engine's SIGKILL"
    assert box.logs().out == "ready\nstopped\n"


@pytest.mark.parametrize(
    ("name", "code"),
    [("tini", 0), ("tini", 7), ("pid-1", 0), ("pid-1", 7), ("init", 7), ("user", 7)],
)
def test_the_apps_exit_code_is_the_containers_and_the_agent_does_not_keep_it(start, name, code):
    box = start(WAYS[name], "sh", "-c", f"cat {PATH}; exit {code}")
    assert box.wait() == code
    assert box.logs().out == "good\n"


@pytest.mark.parametrize("name", ["tini", "init", "user"])
def test_an_app_that_a_signal_ends(start, engine, name):
    box = start(WAYS[name], "sleep", "infinity")
    until(lambda: is_idle(box), "an agent")
    engine.must("stop", "--time", "30", box.name)
    assert box.wait() == 143


@pytest.mark.parametrize("name", ["tini", "pid-1", "user"])
def test_what_the_command_is_given_is_what_it_would_have_been_given(engine, image, mounts, name):
    way = WAYS[name]
    common = ("run", "--rm", "-i", "--network=none", "--hostname=x", "--workdir=/usr", RESIDENT)
    common = (*common, *mounts, "--env=CONVERGE_ON_FAILURE=continue", *way.options)
    entrypoint = (f"--entrypoint={way.entrypoint}",) if way.entrypoint else ()
    command = ("sh", "-c", SEEN)
    done = engine.call(*common, *entrypoint, image, *way.words, *command, stdin="to you\n")
    program, words = way.bare
    bare = engine.call(
        *common, f"--entrypoint={program}", image, *words, *command, stdin="to you\n"
    )
    assert (done.code, bare.code) == (0, 0), done.err
    assert done.out == bare.out
    assert f"to you\nuid={way.user}" in done.out


@pytest.mark.parametrize("name", ["tini", "pid-1"])
def test_a_terminal_stays_the_apps(start, name):
    script = (
        'read -r a b c d group session tty front rest </proc/$$/stat; tty; echo "$group $front"'
    )
    box = start(WAYS[name], "sh", "-c", script, options=("--tty",))
    assert box.wait() == 0
    lines = box.logs().out.replace("\r", "").splitlines()
    terminal = next(line for line in lines if line.startswith("/dev/"))
    group, front = lines[lines.index(terminal) + 1].split()
    assert group == front, "the app is in the foreground"


@pytest.mark.parametrize(("name", "resident"), [("tini", "1"), ("pid-1", "1"), ("pid-1", "")])
def test_a_stop_during_the_first_run_is_passed_on(container, engine, name, resident):
    way = WAYS[name]
    box = container(
        f"--env=CONVERGE_RESIDENT={resident}", "--env=CONVERGE_ON_FAILURE=continue",
        profile=SLOW, command=(*way.words, "sh", "-c", APP), entrypoint=way.entrypoint,
    )  # fmt: skip
    until(lambda: any("tail -f" in one.line for one in processes(box)), "the first run")
    engine.must("stop", "--time", "30", box.name)
    assert box.wait() == 143, "137 would be the engine's SIGKILL"
    assert "ready" not in box.logs().out


@pytest.mark.parametrize("name", ["tini", "pid-1"])
def test_an_agent_that_is_killed_does_not_end_the_app(start, engine, name):
    box = start(WAYS[name], "sh", "-c", APP)
    until(lambda: is_idle(box), "an agent")
    (agent,) = agents(box)
    assert box.exec("sh", "-c", f"kill -9 {agent.pid}").code == 0
    until(lambda: not agents(box), "no agent")
    assert box.converge("health", "--start-only").code == 1
    again = box.exec("converge", "exec", "--", "true")
    assert again.code == 0, again.err
    assert len(agents(box)) == 1
    engine.must("stop", "--time", "30", box.name)
    assert box.wait() == 3


def test_without_the_variable_no_agent_stays(container):
    box = container(profile=FINE, entrypoint="")
    until(lambda: content(box, PATH) == "good\n", "a first run")
    until(lambda: any(one.line == "sleep infinity " for one in processes(box)), "the app")
    assert [one.line for one in processes(box) if "converge" in one.line and one.pid != 1] == []


# Two services, as Debian's s6 starts them, or one that leaves an agent beside it.
S6 = r"""
FROM {image}
RUN apt-get update && apt-get install -y --no-install-recommends s6
RUN mkdir -p /etc/s6/app /etc/s6/agent /etc/s6-one/app \
 && printf '#!/bin/sh\nexec converge exec -- sleep infinity\n' >/etc/s6/app/run \
 && printf '#!/bin/sh\nexec converge\n' >/etc/s6/agent/run \
 && cp /etc/s6/app/run /etc/s6-one/app/run && chmod 755 /etc/s6*/*/run
ENTRYPOINT ["/usr/bin/s6-svscan", "/etc/s6"]
"""


@pytest.fixture(scope="module")
def s6_image(engine, image):
    """The id of the base image with s6 in it."""
    return engine.build("-", stdin=S6.format(image=image))


def app_of(box):
    found = [one for one in processes(box) if one.line == "sleep infinity "]
    return found[0] if found else None


def test_a_service_of_s6_beside_the_app(container, engine, s6_image):
    box = container(profile=FINE, image=s6_image, entrypoint="/usr/bin/s6-svscan",
                    command=("/etc/s6",))  # fmt: skip
    until(lambda: app_of(box), "an app")
    break_and_wait(box, PATH)
    (agent,) = agents(box)
    assert box.exec("sh", "-c", f"kill -9 {agent.pid}").code == 0
    until(lambda: agents(box) and agents(box) != [agent], "another agent, by s6")
    break_and_wait(box, PATH)
    engine.must("stop", "--time", "30", box.name)
    assert box.wait() != 137


def test_a_service_of_s6_that_leaves_an_agent_and_is_restarted(container, engine, s6_image):
    box = container(RESIDENT, profile=FINE, image=s6_image, entrypoint="/usr/bin/s6-svscan",
                    command=("/etc/s6-one",))  # fmt: skip
    until(lambda: app_of(box), "an app")
    break_and_wait(box, PATH)
    (agent,) = agents(box)
    assert agent.parent == 1
    app = app_of(box)
    assert box.exec("sh", "-c", f"kill {app.pid}").code == 0
    until(lambda: app_of(box) not in (None, app), "another app, by s6")
    assert agents(box) == [agent], "the agent that is here is company enough"
    until(lambda: not zombies(box), "no zombies")
    engine.must("stop", "--time", "30", box.name)
    assert box.wait() != 137


@pytest.fixture
def shared(tmp_path):
    """A volume for two containers."""
    folder = tmp_path / "shared"
    folder.mkdir(mode=0o755)
    return f"--volume={folder}:/srv/shared"


def test_a_sidecar_that_shares_the_processes_and_a_volume(container, engine, shared):
    app = container(shared, profile=FINE, command=("sh", "-c", APP))
    path = "/srv/shared/app.conf"
    beside = container(
        shared, f"--pid=container:{app.name}", profile=profile(path), entrypoint="converge",
        command=(),
    )  # fmt: skip
    until(lambda: is_idle(beside), "an agent")
    assert app.exec("sh", "-c", f"echo bad >{path}").code == 0
    until(lambda: content(app, path) == "good\n", "the repair of what the app sees")
    until(lambda: not zombies(app), "no zombies")
    engine.must("stop", "--time", "30", beside.name)
    assert beside.wait() == 0
    assert agents(app) == []
    engine.must("stop", "--time", "30", app.name)
    assert app.wait() == 3


def test_the_agent_of_a_sidecars_app_ends_with_the_sidecar(container, engine, shared):
    app = container(shared, profile=FINE, command=("sh", "-c", APP))
    path = "/srv/shared/app.conf"
    beside = container(
        shared, RESIDENT, f"--pid=container:{app.name}", profile=profile(path),
        entrypoint="converge", command=(*EXEC, "sh", "-c", APP),
    )  # fmt: skip
    break_and_wait(beside, path)
    assert len(agents(app)) == 1
    engine.must("stop", "--time", "30", beside.name)
    assert beside.wait() == 3
    until(lambda: agents(app) == [], "no agent")
    until(lambda: not zombies(app), "no zombies")
    assert app.exec("true").code == 0


def test_two_agents_that_share_a_volume_do_not_fight(container, shared, tmp_path):
    path = "/srv/shared/app.conf"
    boxes = [
        container(shared, RESIDENT, profile=profile(path, mode="0640"), entrypoint="")
        for _ in range(2)
    ]
    for box in boxes:
        break_and_wait(box, path)
    contended = [json.loads(box.converge("status", "--json").out)["contended"] for box in boxes]
    assert contended == [[], []]
