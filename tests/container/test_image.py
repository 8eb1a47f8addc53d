"""The base image and its entrypoint."""

from __future__ import annotations

import pytest

BROKEN = {"resources": [{"file": "/no/such/folder/x", "content": "x\n"}]}
FINE = {"resources": [{"file": "/dev/shm/x", "content": "x\n"}]}


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
        ("--user", "1000700000:0", "--cap-drop=ALL", "--security-opt", "no-new-privileges"),
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
