"""The kind `command` with real programs: as whom, where, how long, and what is said of it."""

from __future__ import annotations

WHO = """
id -un; id -gn; id -Gn; pwd; umask
echo "$HOME $USER $LANG $GREETING"; cat
tr '\\0' ' ' < /proc/$$/cmdline
"""
PROFILE = {
    "resources": [
        {"group": "operators"},
        {"user": "deploy", "groups": ["operators"], "home": "/srv/app", "gid": "nogroup"},
        {"directory": "/srv/app", "owner": "deploy", "mode": "0700"},
        {"file": "/srv/app/who", "content": WHO, "mode": "0755"},
        {
            "command": "write down who runs this",
            "argv": ["sh", "-c", "sh /srv/app/who > who.txt", "a b", "$HOME;"],
            "creates": "/srv/app/who.txt",
            "user": "deploy",
            "cwd": "/srv/app",
            "umask": "027",
            "env": {"GREETING": "hello 'world'", "NUMBER": 7},
            "stdin": "what stdin said\n",
            "require": "file:/srv/app/who",
        },
        {"command": "touch '/srv/a b; c'", "creates": "/srv/a b; c"},
        {"command": "rm /srv/old", "removes": "/srv/old"},
        {
            "command": "count",
            "argv": ["sh", "-c", "echo x >> /srv/count"],
            "unless": ["sh", "-c", "test $(wc -l < /srv/count) -ge 3"],
            "returns": [0, 9],
        },
        {
            "file": "/etc/app.conf",
            "content": "port = 80\n",
            "notify": "command:reload",
        },
        {
            "command": "reload",
            "argv": ["sh", "-c", "echo reloaded >> /srv/reloads"],
            "refresh_only": True,
        },
        {"command": "heartbeat", "argv": ["sh", "-c", "echo . >> /srv/beats"], "always": True},
    ]
}


def outcomes(report):
    return {one["id"]: one["outcome"] for one in report["resources"]}


def test_commands_run_as_declared_until_their_guards_hold(container):
    box = container(profile=PROFILE)
    box.exec("sh", "-c", "echo x > /srv/count; touch /srv/old")
    plan = box.report("plan")
    assert plan["exit_code"] == 2
    assert outcomes(plan)["command:write down who runs this"] == "would_change"
    assert "command:heartbeat" not in outcomes(plan)

    first = box.report("--once", "--detailed-exitcodes")
    assert first["exit_code"] == 6, first["resources"]
    found = {one["id"]: one for one in first["resources"]}
    assert {name for name, one in found.items() if one["outcome"] != "changed"} == {"command:count"}
    assert found["command:count"]["reason"] == "still differs: due (`unless` exit 1)"
    assert {*first["refreshed"]} == {"command:reload", "command:heartbeat"}
    assert box.read("/srv/app/who.txt").splitlines() == [
        "deploy", "nogroup", "nogroup operators", "/srv/app", "0027",
        "/srv/app deploy C.UTF-8 hello 'world'", "what stdin said", "sh /srv/app/who ",
    ]  # fmt: skip
    assert box.stat("/srv/app/who.txt") == "640 deploy:nogroup"
    assert box.stat("/srv/a b; c", "%F") == "regular empty file"
    assert box.exec("test", "-e", "/srv/old").code == 1

    second = box.report("--once", "--detailed-exitcodes")
    assert second["exit_code"] == 2
    assert outcomes(second) == {"command:count": "changed"}
    third = box.report("--once", "--detailed-exitcodes")
    assert third["exit_code"] == 0
    assert third["refreshed"] == ["command:heartbeat"]
    assert box.report("plan")["exit_code"] == 0
    assert box.read("/srv/reloads") == "reloaded\n"
    assert box.read("/srv/beats") == ".\n" * 3


SLOW = {
    "resources": [
        {
            "command": "never ends",
            "argv": ["sh", "-c", "sleep 977 & sleep 977"],
            "creates": "/srv/never",
            "timeout": 0.5,
        },
        {
            "command": "third time",
            "argv": ["sh", "-c", "echo x >> /srv/tries; test $(wc -l < /srv/tries) = 3"],
            "removes": "/etc/motd",
            "tries": 3,
            "try_sleep": 0.1,
        },
        {
            "command": "hush",
            "argv": ["sh", "-c", "echo the-canary; exit 4"],
            "creates": "/srv/hush",
            "sensitive": True,
        },
        {"command": "not here", "argv": ["no-such-program"], "creates": "/srv/x"},
        {
            "command": "killed",
            "argv": ["sh", "-c", "echo last words >&2; kill -9 $$"],
            "creates": "/srv/x",
            "on_unmanageable": "warn",
        },
    ]
}


def test_what_goes_wrong_is_told(container):
    box = container(profile=SLOW)
    done = box.converge("--once", "--json")
    assert done.code == 4
    reasons = {one["id"].partition(":")[2]: one["reason"] for one in done.json["resources"]}
    assert "took longer than 0.5 seconds" in reasons["never ends"]
    assert (
        box.exec("sh", "-c", "cat /proc/[0-9]*/cmdline | tr '\\0' ' '").out.count("sleep 977") == 0
    )
    assert box.read("/srv/tries") == "x\n" * 3
    assert reasons["third time"] == "still differs: due (/etc/motd is there)"
    assert reasons["hush"] == "sh: exit 4: its output is sensitive"
    assert "the-canary" not in done.out
    assert reasons["not here"] == "there is no program 'no-such-program'"
    assert reasons["killed"] == "sh: was ended by signal 9: last words"


def test_who_is_not_root_runs_commands_as_itself_alone(container):
    profile = {
        "resources": [
            {"command": "touch /tmp/mine", "creates": "/tmp/mine"},
            {"command": "touch /tmp/theirs", "creates": "/tmp/theirs", "user": "www-data"},
        ]
    }
    box = container("--user", "1000:1000", "--cap-drop=ALL", profile=profile)
    report = box.report("--once")
    assert outcomes(report) == {
        "command:touch /tmp/mine": "changed",
        "command:touch /tmp/theirs": "unmanageable",
    }
    assert "CAP_SETUID" in report["resources"][1]["reason"]
    assert outcomes(box.report("plan"))["command:touch /tmp/theirs"] == "unmanageable"
