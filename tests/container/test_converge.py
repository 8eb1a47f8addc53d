"""`converge --once` in real containers, with the real programs."""

from __future__ import annotations

import time

import pytest

from container import debs
from container.strace import mutations

STATE = ("/var/lib/converge", "/run/converge", "/tmp/converge-0", "/dev/shm")
ARBITRARY = ("--user", "1000700000:0", "--cap-drop=ALL", "--security-opt", "no-new-privileges")

EVERYTHING = """
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
    require: package:web
  - symlink: /etc/app/current
    target: app.conf
  - package: web
  - group: operators
    gid: 990
  - user: deploy
    uid: 2000
    gid: operators
    groups: [adm]
    shell: /bin/bash
    home: /home/deploy
    manage_home: true
    comment: Deploys
    password: "$6$abcdefgh$01234567890123456789012345678901234567890123456789012345678901234567890"
    expires: "2031-01-31"
  - sysctl: net.core.somaxconn
    value: 2048
  - file: [/etc/resolv.conf, /etc/hosts, /etc/hostname]
    content: "# kept by converge\\n"
"""


@pytest.fixture(scope="session")
def repository(tmp_path_factory):
    """A folder with a tiny apt repository, and the source list that names it."""
    folder = tmp_path_factory.mktemp("debs")
    debs.build(folder / "debs")
    folder.chmod(0o755)
    (folder / "debs").chmod(0o755)
    (folder / "lab.list").write_text(debs.SOURCE.format(folder="/srv/debs"))
    (folder / "lab.list").chmod(0o644)
    (folder / "none").write_text("")
    return [
        f"--volume={folder}/debs:/srv/debs:ro",
        f"--volume={folder}/lab.list:/etc/apt/sources.list.d/lab.list:ro",
        f"--volume={folder}/none:/etc/apt/sources.list.d/debian.sources:ro",
    ]


def outcomes(report):
    return {one["id"]: one["outcome"] for one in report["resources"]}


def test_all_seven_kinds_converge_and_the_second_run_changes_nothing(
    container, repository, strace_image
):
    box = container(
        *repository, "--sysctl", "net.core.somaxconn=2048", "--cap-add", "SYS_PTRACE",
        profile=EVERYTHING, image=strace_image,
    )  # fmt: skip
    first = box.report("--once", "--detailed-exitcodes")
    assert first["exit_code"] == 2, first["resources"]
    assert set(outcomes(first).values()) == {"changed"}
    told = {one["id"]: one for one in first["resources"]}
    assert told["file:/etc/hosts"]["in_place"] is True
    assert told["file:/etc/app/app.conf"]["in_place"] is False
    assert box.stat("/etc/app/app.conf") == "640 deploy:operators"
    assert box.stat("/home/deploy", "%U") == "deploy"
    assert box.exec("id", "-nG", "deploy").out.split() == ["operators", "adm"]
    assert "2031" in box.exec("chage", "-l", "deploy").out
    assert box.exec("dpkg-query", "-W", "-f", "${Version}", "web").out == "1.0"
    second, calls = box.strace("/opt/converge/bin/converge", "--once", "--detailed-exitcodes")
    assert second.code == 0, second.out
    assert mutations(calls, STATE) == []
    plan, calls = box.strace("/opt/converge/bin/converge", "plan")
    assert plan.code == 0
    assert mutations(calls, ("/dev/shm",)) == []


DRIFT = [
    ("echo x > /etc/app/app.conf", "file:/etc/app/app.conf"),
    ("chmod 600 /etc/app/app.conf", "file:/etc/app/app.conf"),
    ("chown root /etc/app/app.conf", "file:/etc/app/app.conf"),
    ("chgrp root /etc/app/app.conf", "file:/etc/app/app.conf"),
    ("rm /etc/app/app.conf", "file:/etc/app/app.conf"),
    ("chmod 777 /etc/app", "directory:/etc/app"),
    ("chown root:root /etc/app", "directory:/etc/app"),
    ("ln -sfn elsewhere /etc/app/current", "symlink:/etc/app/current"),
    ("rm /etc/app/current", "symlink:/etc/app/current"),
    ("echo '1.2.3.4 evil' >> /etc/hosts", "file:/etc/hosts"),
    ("apt-get -qq remove web", "package:web"),
    ("usermod -s /bin/sh deploy", "user:deploy"),
    ("usermod -c other deploy", "user:deploy"),
    ("usermod -u 2345 deploy", "user:deploy"),
    ("usermod -g adm deploy", "user:deploy"),
    ("usermod -G '' deploy", "user:deploy"),
    ("usermod -d /nowhere deploy", "user:deploy"),
    ("usermod -L deploy; echo 'deploy:*' | chpasswd -e", "user:deploy"),
    ("chage -E -1 deploy", "user:deploy"),
    ("rm -r /home/deploy", "user:deploy"),
    ("userdel deploy", "user:deploy"),
    ("groupmod -g 991 operators", "group:operators"),
]


def test_drift_of_each_attribute_is_seen_and_repaired(container, repository):
    box = container(*repository, "--sysctl", "net.core.somaxconn=2048", profile=EVERYTHING)
    assert box.report("--once")["exit_code"] == 0
    for command, resource in DRIFT:
        done = box.exec("sh", "-c", command)
        assert done.code == 0, (command, done)
        plan = box.report("plan")
        assert plan["exit_code"] == 2, command
        assert outcomes(plan)[resource] == "would_change", command
        repaired = box.report("--once", "--detailed-exitcodes")
        assert repaired["exit_code"] == 2, (command, repaired["resources"])
        assert outcomes(repaired)[resource] == "changed", command
        assert box.report("--once", "--detailed-exitcodes")["exit_code"] == 0, command


def test_a_sysctl_that_cannot_be_set_says_what_would_allow_it(container):
    box = container(
        profile={
            "resources": [
                {"sysctl": "net.core.somaxconn", "value": 1234},
                {"sysctl": "vm.swappiness", "value": 3, "on_unmanageable": "warn"},
            ]
        }
    )
    report = box.report("--once")
    assert report["exit_code"] == 4
    told = {one["id"]: one for one in report["resources"]}
    assert told["sysctl:net.core.somaxconn"]["outcome"] == "unmanageable"
    assert "--sysctl net.core.somaxconn=1234" in told["sysctl:net.core.somaxconn"]["remedy"]
    assert told["sysctl:vm.swappiness"]["fatal"] is False
    assert "host" in told["sysctl:vm.swappiness"]["reason"] + told["sysctl:vm.swappiness"]["remedy"]


PARTS = {
    "resources": [
        {"file": "/etc/motd", "content": "x\n"},
        {"user": "deploy", "uid": 2000},
        {"package": "web"},
        {"file": "/dev/shm/mine", "content": "mine\n"},
        {"file": "/etc/debian_version", "on_unmanageable": "warn"},
    ]
}


@pytest.mark.parametrize("options", [("--read-only",), ARBITRARY, (*ARBITRARY, "--read-only")])
def test_what_a_locked_down_container_allows_is_done_and_the_rest_is_explained(container, options):
    box = container(*options, profile=PARTS)
    report = box.report("--once")
    assert report["exit_code"] == 4
    found = outcomes(report)
    assert found["file:/dev/shm/mine"] == "changed"
    assert "file:/etc/debian_version" not in found, "what holds already is in sync"
    for name in ("file:/etc/motd", "user:deploy", "package:web"):
        told = next(one for one in report["resources"] if one["id"] == name)
        assert told["outcome"] == "unmanageable", told
        assert told["reason"]
        assert told["remedy"]
    assert outcomes(box.report("--once")).get("file:/dev/shm/mine") is None


def test_a_package_that_changes_a_managed_file_needs_one_run(container, repository):
    profile = {
        "resources": [
            {"file": "/etc/hello.conf", "content": "ours\n"},
            {"package": "hello"},
        ]
    }
    box = container(*repository, profile=profile)
    assert box.report("--once")["exit_code"] == 0
    assert box.read("/etc/hello.conf") == "ours\n"
    assert box.report("--once", "--detailed-exitcodes")["exit_code"] == 0


def test_the_apt_lock_is_waited_for(container, repository):
    box = container(*repository, profile={"resources": [{"package": "hello"}]})
    hold = (
        "import fcntl,time; f=open('/var/lib/dpkg/lock-frontend','w'); fcntl.lockf(f,fcntl.LOCK_EX);"
        "open('/run/held','w').close(); time.sleep(4)"
    )
    box.exec("sh", "-c", f'/opt/converge/bin/python -c "{hold}" >/dev/null 2>&1 &')
    for _ in range(100):
        if box.exec("test", "-e", "/run/held").code == 0:
            break
        time.sleep(0.1)
    report = box.report("--once")
    assert report["exit_code"] == 0, report["resources"]
    assert report["seconds"] > 1


def test_a_dpkg_that_was_killed_is_healed(container, repository):
    profile = {"resources": [{"package": ["slow", "hello"]}]}
    box = container(*repository, profile=profile)
    box.exec("apt-get", "-qq", "update")
    box.exec(
        "sh", "-c", "SLOW=60 apt-get -qq install slow >/dev/null 2>&1 & "
        "while [ ! -e /run/slow-configures ]; do sleep 0.1; done; pkill -9 dpkg || "
        "for p in /proc/[0-9]*; do grep -qs '^dpkg$' $p/comm && kill -9 ${p#/proc/}; done; true",
    )  # fmt: skip
    for _ in range(100):  # apt itself still ends
        if box.exec("grep", "-rqs", "apt-get", "/proc/[0-9]*/comm").code != 0:
            break
        time.sleep(0.1)
    report = box.report("--once")
    assert report["exit_code"] == 0, report["resources"]
    assert box.exec("dpkg", "--audit").out == ""
    assert box.report("--once", "--detailed-exitcodes")["exit_code"] == 0


def test_real_apt_from_the_real_archive(container):
    profile = {"resources": [{"package": "tree"}, {"package": "nothing-like-it"}]}
    box = container("--network", "host", profile=profile)
    report = box.report("--once")
    assert report["exit_code"] == 4
    assert outcomes(report) == {"package:tree": "changed", "package:nothing-like-it": "failed"}
    assert "nothing-like-it" in report["resources"][1]["reason"] + report["resources"][0]["reason"]
    assert box.exec("tree", "--version").code == 0
