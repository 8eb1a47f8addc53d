"""`converge --once` in containers of LXC."""

from __future__ import annotations

from pathlib import Path

import pytest

from container.lxc import LxcContainer, until

OFFLINE = """
resources:
  - directory: /etc/app
    owner: deploy
    group: operators
    mode: "0750"
  - file: /etc/app/app.conf
    content: "port = 8080\\n"
    mode: "0640"
    owner: deploy
    group: operators
    validate: /bin/grep -q port %
  - symlink: /etc/app/current
    target: app.conf
  - group: operators
    gid: 990
  - user: deploy
    uid: 2000
    gid: operators
    groups: [adm]
    shell: /bin/bash
    home: /home/deploy
    manage_home: true
  - file: [/etc/resolv.conf, /etc/hosts, /etc/hostname]
    content: "# kept by converge\\n"
  - sysctl: net.core.somaxconn
    value: 2048
    on_unmanageable: warn
  - sysctl: kernel.domainname
    value: example.test
    on_unmanageable: warn
"""
TWICE = "converge --once --json >/first && converge --once --json --detailed-exitcodes"
DOMAIN = "sysctl:kernel.domainname"
KINDS = ["privileged", "unprivileged"]


def told(report):
    return {one["id"]: one for one in report["resources"]}


@pytest.mark.parametrize("kind", KINDS)
def test_once_converges_and_the_second_run_changes_nothing(lxc_container, kind):
    box = lxc_container(OFFLINE, unprivileged=kind == "unprivileged")
    second = box.run("/bin/sh", "-c", TWICE)
    assert (second.code, second.err) == (0, ""), second
    assert {one["outcome"] for one in second.json["resources"]} == {"unmanageable"}
    assert list(told(second.json)) == [DOMAIN], "all else is in sync"
    first = box.run("/bin/cat", "/first").json
    outcomes = {name: one["outcome"] for name, one in told(first).items()}
    assert outcomes.pop(DOMAIN) == "unmanageable"
    assert len(outcomes) == 9
    assert set(outcomes.values()) == {"changed"}, "what is not /proc/sys/net can all be managed"
    assert "read-only" in told(first)[DOMAIN]["reason"]
    assert not any(one["in_place"] for one in first["resources"]), "nothing in /etc is a mount"
    seen = box.run("/usr/bin/stat", "-c", "%n %a %U:%G", "/etc/app/app.conf", "/home/deploy").out
    assert "/etc/app/app.conf 640 deploy:operators\n" in seen
    assert "/home/deploy 755 deploy:operators\n" in seen
    assert box.run("/usr/bin/id", "-nG", "deploy").out.split() == ["operators", "adm"]


@pytest.mark.parametrize("kind", KINDS)
def test_where_proc_is_writable_the_domain_name_takes_a_privileged_container(lxc_container, kind):
    host = Path("/proc/sys/kernel/domainname").read_text()
    profile = {"resources": [{"sysctl": "kernel.domainname", "value": "example.test"}]}
    box = lxc_container(profile, "lxc.mount.auto = proc:rw", unprivileged=kind == "unprivileged")
    box.start("/bin/sleep", "infinity")
    report = box.report("--once")
    if kind == "privileged":
        assert report["exit_code"] == 0, report["resources"]
        assert box.read("/proc/sys/kernel/domainname") == "example.test\n"
        assert box.report("--once", "--detailed-exitcodes")["exit_code"] == 0
    else:
        assert report["exit_code"] == 4, report["resources"]
        assert "root may not write it" in report["resources"][0]["reason"]
    assert Path("/proc/sys/kernel/domainname").read_text() == host


@pytest.mark.parametrize("kind", KINDS)
def test_drift_beside_a_running_init_is_repaired(lxc_container, kind):
    box = lxc_container(OFFLINE, unprivileged=kind == "unprivileged")
    box.start("/bin/sleep", "infinity")
    assert box.report("--once")["exit_code"] == 0
    assert box.exec("sh", "-c", "echo x >/etc/app/app.conf; userdel deploy").code == 0
    assert box.report("plan")["exit_code"] == 2
    assert box.report("--once", "--detailed-exitcodes")["exit_code"] == 2
    assert box.read("/etc/app/app.conf") == "port = 8080\n"
    assert box.stat("/etc/app/app.conf") == "640 deploy:operators"


def test_the_entrypoint_of_the_image_runs_below_the_init_of_lxc(lxc_container):
    box = lxc_container(OFFLINE)
    script = "cat /etc/app/current; exit 7"
    done = box.run("/usr/local/bin/converge", "exec", "--", "sh", "-c", script)
    assert (done.code, done.out) == (7, "port = 8080\n"), done
    assert "9 changed" in done.err


def test_a_user_without_rights_gets_reasons(lxc_container):
    box = lxc_container({"resources": [{"file": "/etc/motd", "content": "x\n"}]})
    box.start("/bin/sleep", "infinity")
    report = box.report("--once", user="2000")
    assert report["exit_code"] == 4
    assert "2000" in report["resources"][0]["reason"]
    assert report["resources"][0]["remedy"]


ORPHANS = (
    "(sleep 0 & exec sleep 3600) & trap 'echo got; exit 7' TERM; "
    "echo up; while :; do sleep 0.1; done"
)


def test_the_helper_signals_and_sees_what_runs(lxc_container):
    box = lxc_container()
    box.start("/bin/sh", "-c", ORPHANS)
    until(lambda: box.zombies() == 1, "to a zombie")
    assert box.processes()[1] == ("sh", "S")
    assert ("sleep", "Z") in box.processes().values()
    assert box.exec("sh", "-c", "cat; exit 5", stdin="beside\n")[:2] == (5, "beside\n")
    assert box.exec("/no/such").code == 127
    assert box.exec("sh", "-c", "echo $A; id -u", env={"A": "b"}, user="2000").out == "b\n2000\n"
    box.signal("TERM")
    assert box.wait() == 7
    assert box.logs().out == "up\ngot\n"
    assert box.state() != "RUNNING"


def test_the_helper_tells_how_it_ended(lxc_container):
    box = lxc_container(settings="lxc.signal.halt = SIGTERM")
    box.start("/bin/sh", "-c", ORPHANS)
    until(lambda: "up" in box.logs().out, "up")
    box.stop()
    assert box.wait() == 7
    box.start("/bin/sleep", "infinity")
    box.signal("KILL")
    assert box.wait() == 128 + 9
    assert box.run("/bin/sh", "-c", "echo out; echo err >&2; exit 3") == (3, "out\n", "err\n")
    assert box.run("/bin/sh", "-c", "kill -TERM $$").code == 128 + 15


def test_the_helper_leaves_nothing(lxc_root):
    box = LxcContainer(lxc_root)
    box.start("/bin/sleep", "infinity")
    box.exec("touch", "/etc/new")
    inside = Path(f"/proc/{box.pid}")
    assert (box.root / "etc/new").exists()
    box.remove()
    assert not inside.exists()
    assert not box.root.parent.exists()
    assert not (lxc_root / "etc/new").exists()
    assert box.name not in Path("/proc/self/mounts").read_text()
