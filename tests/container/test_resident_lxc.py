"""The resident agent in containers of LXC: beside an app, alone, below LXC's own init."""

from __future__ import annotations

import pytest

from container.resident import APP, agents, break_and_wait, content, is_idle, until, zombies

PROFILE = """
resources:
  - file: /etc/app.conf
    content: "good\\n"
  - sysctl: kernel.domainname
    value: example.test
    on_unmanageable: warn
"""
STAY = "lxc.environment = CONVERGE_RESIDENT=1"
CONVERGE = "/usr/local/bin/converge"


@pytest.mark.parametrize("unprivileged", [False, True])
@pytest.mark.parametrize("program", ["lxc-start", "lxc-execute"])
def test_the_agent_beside_an_app(lxc_container, program, unprivileged):
    halt = "lxc.signal.halt = SIGTERM"
    box = lxc_container(PROFILE, f"{STAY}\n{halt}", unprivileged=unprivileged)
    box.start(CONVERGE, "exec", "--", "sh", "-c", APP, program=program)
    break_and_wait(box, "/etc/app.conf")
    (agent,) = agents(box)
    assert agent.parent == 1
    box.profile(PROFILE.replace("good", "new"))
    until(lambda: content(box, "/etc/app.conf") == "new\n", "what the new profile says")
    until(lambda: not zombies(box), "no zombies")
    if program == "lxc-execute":  # its init waits for all that it has, the agent included
        (app,) = [pid for pid, (name, _) in box.processes().items() if name == "sh"]
        assert box.exec("sh", "-c", f"kill {app}").code == 0
    else:
        box.stop(30)
    assert box.wait() == 3
    assert box.logs().out == "ready\nstopped\n"


@pytest.mark.parametrize("program", ["lxc-start", "lxc-execute"])
def test_the_agent_alone_which_understands_sigpwr(lxc_container, program):
    box = lxc_container(PROFILE)
    box.start(CONVERGE, program=program)
    break_and_wait(box, "/etc/app.conf")
    box.stop(30)
    assert box.wait() == 0
    assert "agent stopped" in box.logs().err


def test_where_proc_is_writable_the_agent_writes_it(lxc_container):
    box = lxc_container(PROFILE, f"{STAY}\nlxc.mount.auto = proc:rw")
    box.start(CONVERGE, "exec", "--", "sh", "-c", APP, program="lxc-execute")
    domain = "/proc/sys/kernel/domainname"
    until(lambda: content(box, domain) == "example.test\n", "the domain name")
    until(lambda: is_idle(box), "an agent that answers")
    assert not zombies(box)
