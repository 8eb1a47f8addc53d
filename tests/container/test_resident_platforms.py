"""The resident agent under what platforms impose: start, drift, repair, stop, exit code, zombies."""

from __future__ import annotations

import itertools
import json
import shlex

import pytest

from container.platforms import PLATFORMS, swap
from container.resident import APP, agents, break_and_wait, content, is_idle, until

RESIDENT = "--env=CONVERGE_RESIDENT=1"
PORT = f'echo "port ${{PORT:-none}}"; {APP}'
PORTS = {"cloud-foundry": "8080", "hephy": "5000"}
USERS = {"openshift": "1000680000", "cloud-foundry": "2000", "hephy": "1000"}


def profile(path, text="good\n"):
    """A file that the user may write, and a key that none of them may."""
    sysctl = {"sysctl": "net.core.somaxconn", "value": 1234, "on_unmanageable": "warn"}
    return json.dumps({"resources": [{"file": path, "content": text}, sysctl]})


@pytest.fixture
def start(container, engine, image, tmp_path):
    """A function that starts a platform's container as its image says, with a ConfigMap volume."""

    count = itertools.count()

    def run(name, files, *, entrypoint="", command=("sh", "-c", PORT), options=()):
        platform = PLATFORMS[name]
        swap(tmp_path / "config", files)
        base = image
        if platform.image:
            base = engine.build("-", stdin=f"FROM {image}\n{platform.image}\n")
        return container(
            *platform.arguments(engine, tmp_path / f"volumes-{next(count)}"), RESIDENT, *options,
            f"--volume={tmp_path}/config:/etc/converge:ro",
            image=base, entrypoint=entrypoint, command=command,
        )  # fmt: skip

    return run


@pytest.mark.parametrize("name", PLATFORMS)
def test_the_agent_beside_an_app(start, engine, tmp_path, name):
    platform = PLATFORMS[name]
    path = f"{platform.writable}/app.conf"
    box = start(name, {"profile.yaml": profile(path)})
    until(lambda: is_idle(box), "an agent that answers")
    told = {one["id"]: one for one in box.converge("status", "--json").json["report"]["resources"]}
    assert told["sysctl:net.core.somaxconn"]["outcome"] == "unmanageable"
    assert told["sysctl:net.core.somaxconn"]["remedy"]
    break_and_wait(box, path)
    (agent,) = agents(box)
    assert agent.user == box.exec("id", "-u").out.strip()
    assert agent.user == USERS.get(name, agent.user)
    assert box.converge("health", "--start-only").code == 0
    swap(tmp_path / "config", {"profile.yaml": profile(path, "new\n")})
    until(lambda: content(box, path) == "new\n", "what the new version of the ConfigMap says")
    break_and_wait(box, path, "new\n")
    engine.must("stop", "--time", str(platform.grace), box.name)
    assert box.wait() == 3, "137 would be the platform's SIGKILL"
    assert box.logs().out == f"port {PORTS.get(name, 'none')}\nready\nstopped\n"


@pytest.mark.parametrize(("name", "shell"), [("cloud-foundry", "/bin/sh"), ("hephy", "/bin/bash")])
def test_a_start_command_takes_the_place_of_the_entrypoint(start, engine, name, shell):
    """A manifest's `command`, or a line of a Procfile: tini and converge are named there again."""
    path = f"{PLATFORMS[name].writable}/app.conf"
    line = f"exec tini -- converge exec -- sh -c {shlex.quote(PORT)}"
    files = {"profile.yaml": profile(path)}
    box = start(name, files, entrypoint=shell, command=("-c", line))
    break_and_wait(box, path)
    assert [one.parent for one in agents(box)] == [1]
    engine.must("stop", "--time", "10", box.name)
    assert box.wait() == 3
    assert box.logs().out == f"port {PORTS[name]}\nready\nstopped\n"


@pytest.mark.parametrize("name", ["openshift-read-only", "kubernetes-restricted"])
def test_the_agent_as_a_sidecars_own_process(start, engine, name):
    path = f"{PLATFORMS[name].writable}/app.conf"
    box = start(name, {"profile.yaml": profile(path)}, entrypoint="converge", command=())
    break_and_wait(box, path)
    engine.must("stop", "--time", str(PLATFORMS[name].grace), box.name)
    assert box.wait() == 0


def test_a_wrong_config_map_leaves_the_last_good_one_in_force(start, tmp_path):
    path = "/run/app.conf"
    good = {"profile.yaml": profile(path)}
    box = start("kubernetes", good)
    break_and_wait(box, path)
    swap(tmp_path / "config", {"profile.yaml": "resources:\n  - fiel: /x\n"})
    until(lambda: box.converge("health").code == 1, "a word of what is wrong")
    assert "did you mean `file`?" in box.converge("health").out + box.logs().err
    box.exec("sh", "-c", f"echo bad >{path}")
    until(lambda: content(box, path) == "good\n", "the repair by the last good profile")
    swap(tmp_path / "config", good)
    until(lambda: box.converge("health").code == 0, "health")


@pytest.mark.parametrize("name", ["kubernetes", "kubernetes-restricted"])
def test_state_is_not_kept_in_a_volume_that_is_for_all_to_write(start, name):
    box = start(name, {"profile.yaml": profile("/run/app.conf")})
    until(lambda: is_idle(box), "an agent that answers")
    user = box.exec("id", "-u").out.strip()
    assert box.exec("ls", "-A", "/var/lib/converge").out == "", "an emptyDir is not the agent's own"
    assert "standing.json" in box.exec("ls", f"/dev/shm/converge-{user}").out


def test_two_agents_in_a_pod_have_directories_of_their_own(start):
    """The containers of a pod share /dev/shm, as those of one IPC namespace do."""
    files = {"profile.yaml": profile("/run/app.conf")}
    app = start("kubernetes-restricted", files, options=(*own("app"), "--ipc=shareable"))
    ipc = f"--ipc=container:{app.name}"
    proxy = start("kubernetes-restricted", files, options=(*own("proxy"), ipc))
    for box in (app, proxy):
        break_and_wait(box, "/run/app.conf")
        assert len(agents(box)) == 1


def own(name):
    """Return the options that the page on Kubernetes names for a second agent in a pod."""
    return [
        f"--env=CONVERGE_{what}_DIR=/dev/shm/{name}-{what.lower()}" for what in ("STATE", "RUNTIME")
    ]
