"""The stock profile kernel: what the container's own namespaces let it set, and what not."""

from __future__ import annotations

import json

PROFILE = json.dumps(
    {
        "include": ["profiles/kernel.yaml"],
        "vars": {
            "kernel": {"net.core.somaxconn": 1234},
            "limits": [{"domain": "daemon", "item": "nofile", "type": "hard", "value": 512}],
        },
    }
)


def value(box, key):
    return box.read(f"/proc/sys/{key.replace('.', '/')}").strip()


def test_where_sysctls_can_be_written_they_are_of_this_container_alone(container):
    box = container("--security-opt=unmask=/proc/sys", "--cap-add=NET_ADMIN", profile=PROFILE)
    other = container(profile={"resources": []})
    before = {key: value(other, key) for key in ("net.core.somaxconn", "net.ipv4.tcp_syncookies")}
    report = box.report("--once")
    assert report["exit_code"] == 0, report["resources"]
    assert report["counts"]["unmanageable"] == 0
    assert value(box, "net.core.somaxconn") == "1234"
    assert value(box, "net.ipv4.conf.all.accept_redirects") == "0"
    assert value(box, "net.ipv4.conf.all.log_martians") == "1"
    assert box.report("--once")["counts"]["changed"] == 0
    assert {key: value(other, key) for key in before} == before


def test_where_they_are_read_only_each_is_a_warning_with_the_flag(container):
    box = container(profile=PROFILE)
    report = box.report("--once")
    assert report["exit_code"] == 0
    told = {entry["id"]: entry for entry in report["resources"]}
    entry = told["sysctl:net.core.somaxconn"]
    assert entry["outcome"] == "unmanageable"
    assert "--sysctl net.core.somaxconn=1234" in entry["remedy"]


def test_limits_hold_for_sessions_through_pam(container):
    box = container(profile=PROFILE)
    box.report("--once")
    done = box.exec("su", "-s", "/bin/sh", "daemon", "-c", "ulimit -Hn")
    assert done.out.strip() == "512", done.err
