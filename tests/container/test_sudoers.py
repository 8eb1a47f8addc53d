"""The kind `sudoers` with the real sudo and visudo."""

from __future__ import annotations

RULES = [
    {"user": "ada", "uid": 2001},
    {"user": "bob", "uid": 2002, "groups": ["ops"]},
    {"group": "ops"},
    {
        "sudoers": "ada", "user": "ada", "nopasswd": True, "runas": ["root", "bob"],
        "commands": ["/usr/bin/id", "/usr/bin/printf a=1,b:2 *"],
    },
    {"sudoers": "ops", "group": "ops", "commands": "ALL", "runas": "ALL", "nopasswd": True},
]  # fmt: skip


def sudo(box, user, *words):
    """Return what a user gets of sudo: the output, or None if it is refused."""
    done = box.exec("sudo", "-n", *words, user=user)
    return done.out if done.code == 0 else None


def test_who_may_run_what(container, programs_image):
    box = container(image=programs_image, profile={"resources": RULES})
    assert sudo(box, "root", "-u", "nobody", "id", "-un") == "nobody\n"
    report = box.report("--once")
    assert report["exit_code"] == 0
    assert box.report("--once")["counts"]["in_sync"] == len(RULES)
    assert box.stat("/etc/sudoers.d/ada") == "440 root:root"
    assert box.exec("visudo", "-c").code == 0

    assert sudo(box, "ada", "id", "-u") == "0\n"
    assert sudo(box, "ada", "-u", "bob", "id", "-un") == "bob\n"
    assert sudo(box, "ada", "-u", "nobody", "id") is None
    assert sudo(box, "ada", "printf", "a=1,b:2", "\n") == "a=1,b:2"
    assert sudo(box, "ada", "printf", "a=1", "x") is None
    assert sudo(box, "ada", "cat", "/etc/shadow") is None
    assert sudo(box, "bob", "-u", "ada", "cat", "/etc/hostname") is not None

    wrong = {"sudoers": "ada", "content": "ada ALL = everything, please"}
    box.profile({"resources": [*RULES[:3], wrong]})
    (told,) = box.report("--once")["resources"]
    assert told["outcome"] == "failed"
    assert "/etc/sudoers.d/ada:1:" in told["reason"]
    assert "expected a fully-qualified path name" in told["reason"]
    assert sudo(box, "ada", "id", "-u") == "0\n"

    box.profile({"resources": [{"sudoers": ["ada", "ops"], "state": "absent"}]})
    assert box.report("--once")["counts"]["changed"] == 2
    assert sudo(box, "ada", "id", "-u") is None


def test_without_sudo_it_is_unmanageable(container, image):
    rule = {"sudoers": "ada", "user": "ada", "commands": "ALL"}
    box = container(profile={"resources": [rule, {"directory": "/etc/sudoers.d"}]})
    told = box.report("--once")["resources"][1]
    assert (told["outcome"], told["reason"]) == (
        "unmanageable", "there is no visudo here to check the file with",
    )  # fmt: skip
    assert told["remedy"] == "install sudo, as a resource that goes before"
    assert box.exec("ls", "-A", "/etc/sudoers.d").out == ""
