"""The base image and its entrypoint."""

from __future__ import annotations

import json
import time

import pytest

from container.engine import REPOSITORY

BROKEN = {"resources": [{"file": "/no/such/folder/x", "content": "x\n"}]}
ARBITRARY = ("--user", "1000700000:0", "--cap-drop=ALL", "--security-opt", "no-new-privileges")
IMPORTS = "import yaml, pydantic, jinja2, requests, psutil, rich.progress, ssl, ctypes"
FINE = {"resources": [{"file": "/dev/shm/x", "content": "x\n"}]}


def until(condition):
    for _ in range(600):
        if condition():
            return
        time.sleep(0.1)
    raise AssertionError("it did not come to that in a minute")


def ended(container, command, *options, profile):
    box = container(*options, profile=profile, command=command, entrypoint="")
    return box.wait(), box.logs()


def test_the_command_runs_after_a_converged_start(container):
    code, logs = ended(container, ("sh", "-c", "cat /dev/shm/x; exit 7"), profile=FINE)
    assert code == 7
    assert logs.out == "x\n"
    assert "1 changed" in logs.err


def test_a_start_that_does_not_converge_is_stopped(container):
    code, logs = ended(container, ("echo", "started"), profile=BROKEN)
    assert code == 4
    assert "started" not in logs.out


def test_a_bad_profile_stops_the_start_with_its_place(container):
    code, logs = ended(container, ("echo", "started"), profile="resources:\n  - fiel: /x\n")
    assert code == 1
    assert "profile.yaml:2" in logs.err
    assert "did you mean `file`?" in logs.err


def test_on_failure_continue(container):
    code, logs = ended(
        container, ("echo", "started"), "--env", "CONVERGE_ON_FAILURE=continue", profile=BROKEN
    )
    assert code == 0
    assert logs.out == "started\n"


@pytest.mark.parametrize(
    "options",
    [
        ("--read-only",),
        ARBITRARY,
        ("--init",),
    ],
)
def test_it_starts_everywhere(container, options):
    code, logs = ended(container, ("cat", "/dev/shm/x"), *options, profile=FINE)
    assert (code, logs.out) == (0, "x\n"), logs.err


def test_a_command_that_is_not_there(container):
    code, _ = ended(container, ("/no/such/command",), profile=FINE)
    assert code == 127


def test_the_agent_belongs_to_root_and_nobody_else_may_write(container):
    box = container(profile=FINE)
    found = box.exec("find", "/opt/converge", "/etc/converge", "(", "!", "-user", "root", "-o",
                     "-perm", "/022", "!", "-type", "l", ")").out.splitlines()  # fmt: skip
    assert [path for path in found if path != "/etc/converge/profile.yaml"] == []


@pytest.mark.parametrize("options", [(), ("--read-only",), ARBITRARY])
def test_the_stock_profile_needs_no_network(container, options):
    code, logs = ended(container, ("echo", "started"), *options, profile=None)
    assert (code, logs.out) == (0, "started\n"), logs.err


def test_the_command_gets_stdin_and_the_agent_leaves_it_alone(engine, image, tmp_path):
    profile = tmp_path / "profile.yaml"
    profile.write_text("resources: []\n")
    mount = f"--volume={profile}:/etc/converge/profile.yaml:ro"
    done = engine.call("run", "--rm", "-i", "--network=none", mount, image, "cat", stdin="to you\n")
    assert (done.code, done.out) == (0, "to you\n"), done.err


def test_the_command_gets_the_signal_of_a_stop(container, engine):
    script = "trap 'echo stopped; exit 3' TERM; echo ready; while :; do sleep 0.1; done"
    box = container(profile=FINE, command=("sh", "-c", script), entrypoint="")
    until(lambda: "ready" in box.logs().out)
    engine.must("stop", "--time", "60", box.name)
    assert box.wait() == 3
    assert "stopped" in box.logs().out


def test_a_file_that_cannot_be_executed(container):
    code, logs = ended(container, ("/etc/passwd",), profile=FINE)
    assert code == 126
    assert "/etc/passwd" in logs.err


def test_it_needs_no_python_of_the_image_and_brings_no_tools(container):
    box = container(profile=FINE)
    assert box.exec("sh", "-c", "command -v python3 pip gcc").code != 0
    libraries = box.exec("/opt/converge/bin/python", "-I", "-c", IMPORTS)
    assert libraries.code == 0, libraries.err


def test_running_the_agent_leaves_its_installation_as_it_is(container):
    box = container(profile=FINE)
    listing = ("find", "/opt/converge", "-printf", "%p %s %C@\\n")
    before = box.exec(*listing).out
    assert "/opt/converge/bin/python " in before
    assert box.report("--once")["exit_code"] == 0
    assert box.exec(*listing).out == before


def test_the_image_has_a_health_check(engine):
    form = ("--format", "docker") if engine.program == "podman" else ()  # its own has none
    image = engine.build(*form, "-f", str(REPOSITORY / "Dockerfile.base"), str(REPOSITORY))
    config = json.loads(engine.must("image", "inspect", image))[0]
    check = config.get("Healthcheck") or config["Config"]["Healthcheck"]
    assert check["Test"] == ["CMD", "converge", "health", "--start-only"]
    assert check["Timeout"] == 5 * 10**9


@pytest.mark.parametrize("resident", ["", "1"])
def test_a_good_start_is_healthy(container, resident):
    box = container(f"--env=CONVERGE_RESIDENT={resident}", profile=FINE, entrypoint="")
    until(lambda: box.converge("health", "--start-only").code == 0)
    assert box.converge("health", "--start-only").out == "healthy\n"


def test_modules_and_programs_of_somebody_else_are_not_loaded(container, tmp_path):
    """CVE-2024-48990 of needrestart: variables that lead to a user's directory."""
    for name in ("sitecustomize.py", "json.py", "yaml.py", "converge.py", "python", "sh"):
        (tmp_path / name).write_text(
            "#!/bin/touch /dev/shm/hijacked\nopen('/dev/shm/hijacked', 'w')\n"
        )
        (tmp_path / name).chmod(0o755)
    tmp_path.chmod(0o755)
    names = ("PYTHONPATH", "PYTHONHOME", "PYTHONUSERBASE", "LD_LIBRARY_PATH")
    profile = {
        "resources": [
            {"command": "x", "argv": ["sh", "-c", ": >/dev/shm/x"], "creates": "/dev/shm/x"}
        ]
    }
    code, logs = ended(
        container, ("/bin/ls", "/dev/shm"), f"--volume={tmp_path}:/srv/evil:ro", "--workdir=/srv/evil",
        *(f"--env={name}=/srv/evil" for name in names), "--env=PATH=/srv/evil:/usr/bin:/bin",
        "--env=PYTHONSTARTUP=/srv/evil/json.py", "--env=BASH_ENV=/srv/evil/sh",
        profile=profile,
    )  # fmt: skip
    assert code == 0, logs
    assert "x" in logs.out.split()
    assert "hijacked" not in logs.out


def test_the_command_gets_no_variable_of_pythons(container):
    script = ("sh", "-c", "tr '\\0' '\\n' </proc/self/environ")
    code, logs = ended(container, script, "--env=LC_ALL=", profile=FINE)
    names = {line.partition("=")[0] for line in logs.out.splitlines()}
    assert code == 0
    assert names - {"container", "TERM"} == {"HOME", "HOSTNAME", "LC_ALL", "PATH"}  # podman's two
