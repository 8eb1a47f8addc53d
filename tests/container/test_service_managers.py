"""The kind `service` below s6, runit and supervisord, and what PID 1 is told."""

from __future__ import annotations

import pytest

from container.resident import processes, until

RUN = "#!/bin/sh\nexec tail -f /dev/null\n"
# Says what it is sent; the signal reaches the shell at once, as `wait` ends by it.
TELLER = """#!/bin/sh
trap 'echo told >>/run/told' HUP
while :; do sleep 1000 & wait; done
"""
PROGRAM = "[program:{}]\ncommand={}\n"
SCANNERS = {
    "s6": ("/run/service", ("s6-svscan", "/run/service")),
    "runit": ("/etc/service", ("runsvdir", "/etc/service")),
    "supervisord": ("", ("supervisord", "-n", "-c", "/etc/supervisor/supervisord.conf")),
    "systemd": ("", ("/lib/systemd/systemd",)),
}
# Where systemd is PID 1: podman prepares the mounts by itself, docker has to be told.
SYSTEMD = {
    "podman": ("--systemd=always",),
    "docker": ("--privileged", "--cgroupns=host", "--volume=/sys/fs/cgroup:/sys/fs/cgroup:rw",
               "--tmpfs=/run", "--tmpfs=/run/lock"),
}  # fmt: skip
UNIT = "[Service]\nExecStart=/srv/{}\nRestart=always\nRestartSec=0\n"


@pytest.fixture(params=list(SCANNERS))
def box(container, programs_image, engine, request):
    """A container with a supervisor that has two services: `tail`, and `teller`."""
    place, command = SCANNERS[request.param]
    setup = f"mkdir -p {place or '/srv'} && exec {' '.join(command)}"
    if request.param == "systemd":
        options, start = (
            (*SYSTEMD[engine.program], "--stop-timeout=0"),
            {"entrypoint": command[0], "command": ()},
        )
    else:
        options, start = (), {"command": ("sh", "-c", setup)}
    made = container(*options, image=programs_image, profile={"resources": []}, **start)
    if request.param == "systemd":
        until(lambda: made.exec("systemctl", "is-active", "default.target").code == 0, "systemd")
    made.manager = request.param
    made.place = place
    return made


def declared(box, name, text):
    """Return the resources that make a service of a script."""
    if box.manager == "supervisord":
        script = {"file": f"/srv/{name}", "content": text, "mode": "0755"}
        config = f"/etc/supervisor/conf.d/{name}.conf"
        return [script, {"file": config, "content": PROGRAM.format(name, f"/srv/{name}")}]
    if box.manager == "systemd":
        script = {"file": f"/srv/{name}", "content": text, "mode": "0755"}
        return [
            script,
            {"file": f"/etc/systemd/system/{name}.service", "content": UNIT.format(name)},
        ]
    folder = f"{box.place}/{name}"
    return [
        {"directory": folder},
        {"file": f"{folder}/run", "content": text, "mode": "0755"},
    ]


def run(box, *resources):
    box.profile({"resources": [*resources]})
    return box.report("--once")


def outcomes(box, *resources):
    found = run(box, *resources)["resources"]
    return {one["id"]: one["outcome"] for one in found if one["kind"] == "service"}


def pid_of(box, text):
    return [one.pid for one in processes(box) if text in one.line and "<defunct>" not in one.line]


def test_a_service_of_a_supervisor(box):
    files = declared(box, "tail", RUN)
    new = {"service": "tail", "manager": box.manager}
    assert outcomes(box, *files, new) == {"service:tail": "changed"}
    service = {"service": "tail"}  # it is found out whose it is from here on
    assert outcomes(box, *files, service) == {}
    (first,) = pid_of(box, "tail -f")
    assert box.exec("kill", "-9", str(first)).code == 0
    until(lambda: pid_of(box, "tail -f") not in ([], [first]), "another process, by the supervisor")
    until(lambda: outcomes(box, *files, service) == {}, "a service in sync")
    assert outcomes(box, *files, {**service, "state": "stopped"}) == {"service:tail": "changed"}
    assert pid_of(box, "tail -f") == []
    assert outcomes(box, *files, {**service, "state": "stopped"}) == {}
    assert outcomes(box, *files, service) == {"service:tail": "changed"}
    (before,) = pid_of(box, "tail -f")
    note = {"file": "/etc/note", "content": "1", "notify": "service:tail"}
    assert run(box, *files, note, service)["refreshed"] == ["service:tail"]
    (after,) = pid_of(box, "tail -f")
    assert after != before


def test_a_signal_reaches_the_service(box):
    files = declared(box, "teller", TELLER)
    service = {"service": "teller", "manager": box.manager, "notify_signal": "HUP"}
    assert outcomes(box, *files, service) == {"service:teller": "changed"}
    note = {"file": "/etc/note", "content": "1", "notify": "service:teller"}
    assert run(box, *files, note, service)["refreshed"] == ["service:teller"]
    until(lambda: box.exec("cat", "/run/told").out == "told\n", "what was told")


def test_a_service_that_does_not_stay_has_failed(box):
    files = declared(box, "bad", "#!/bin/sh\nexit 3\n")
    service = {"service": "bad", "manager": box.manager, "timeout": 3}
    assert outcomes(box, *files, service) == {"service:bad": "failed"}


def test_a_supervisor_that_does_not_run(container, programs_image):
    box = container(image=programs_image, profile={"resources": []})
    resources = [{"service": name, "manager": name} for name in ("supervisord", "s6", "runit")]
    found = {one["id"]: one for one in run(box, *resources)["resources"]}
    assert found["service:supervisord"]["outcome"] == "unmanageable"
    assert "supervisord does not answer: " in found["service:supervisord"]["reason"]
    assert found["service:s6"]["reason"] == "there is no service directory /run/service/s6"
    assert box.exec("mkdir", "-p", "/etc/service/runit/supervise").code == 0
    assert box.exec("mkfifo", "/etc/service/runit/supervise/ok").code == 0
    (left,) = run(box, {"service": "runit"})["resources"]
    assert (left["outcome"], left["reason"]) == (
        "unmanageable", "/etc/service/runit has no supervisor of runit that answers",
    )  # fmt: skip
