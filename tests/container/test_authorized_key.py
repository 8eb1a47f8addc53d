"""The kind `authorized_key`: logins that the real sshd accepts and refuses."""

from __future__ import annotations

import pytest

from container.resident import until

SETUP = """
ssh-keygen -qA && mkdir -p /run/sshd && /usr/sbin/sshd -o LogLevel=VERBOSE -E /run/sshd.log
useradd -m -s /bin/sh app
for name in one two three; do ssh-keygen -q -t ed25519 -N '' -C "$name" -f "/srv/$name"; done
ssh-keygen -q -t rsa -b 2048 -N '' -C rsa -f /srv/rsa
"""
SSH = (
    "-o StrictHostKeyChecking=no -o UserKnownHostsFile=/dev/null -o BatchMode=yes -o LogLevel=ERROR"
)


@pytest.fixture
def box(container, programs_image):
    """A container with an sshd, a user without keys, and four keys in /srv."""
    made = container(image=programs_image, profile={"resources": []})
    done = made.exec("sh", "-e", "-c", SETUP)
    assert done.code == 0, done.err
    return made


def login(box, key, *command):
    """Log in as `app` with a key; return what the command prints, None if it is refused."""
    words = command or ("id", "-un")
    done = box.exec("ssh", *SSH.split(), "-i", f"/srv/{key}", "app@127.0.0.1", *words)
    return done.out if done.code == 0 else None


def run(box, *resources):
    box.profile({"resources": [*resources]})
    return {one["id"]: one for one in box.report("--once")["resources"]}


def public(box, name):
    return box.read(f"/srv/{name}.pub").strip()


def test_who_may_log_in(box):
    keys = {name: public(box, name) for name in ("one", "two", "three", "rsa")}
    one = {"authorized_key": "one", "user": "app", "key": keys["one"]}
    rsa = {"authorized_key": "rsa", "user": "app", "key": keys["rsa"]}
    assert login(box, "one") is None
    assert run(box, one, rsa)["authorized_key:one"]["outcome"] == "changed"
    assert run(box, one, rsa) == {}
    assert box.stat("/home/app/.ssh") == "700 app:app"
    assert box.stat("/home/app/.ssh/authorized_keys") == "600 app:app"
    assert login(box, "one") == login(box, "rsa") == "app\n"
    assert login(box, "two") is None

    forced = {**one, "options": ['command="echo forced \\"$SSH_ORIGINAL_COMMAND\\""', "no-pty"]}
    elsewhere = {**rsa, "options": ['from="10.9.9.9"']}
    run(box, forced, elsewhere)
    assert login(box, "one", "rm", "-rf") == "forced rm -rf\n"
    assert login(box, "rsa") is None

    both = {
        "authorized_key": "all of them", "user": "app", "key": [keys["two"], keys["three"]],
        "exclusive": True,
    }  # fmt: skip
    run(box, both)
    assert login(box, "two") == login(box, "three") == "app\n"
    assert login(box, "one") is None
    assert run(box, both) == {}
    contradiction = run(box, both, one).values()
    assert "failed" in [told["outcome"] for told in contradiction]
    assert any("changes it back" in told["reason"] for told in contradiction)
    run(box, both)

    assert box.exec("chmod", "777", "/home/app/.ssh").code == 0
    assert login(box, "two") is None  # StrictModes
    run(box, both)
    assert login(box, "two") == "app\n"

    gone = {"authorized_key": "two", "user": "app", "key": keys["two"], "state": "absent"}
    run(box, gone)
    assert login(box, "two") is None
    assert login(box, "three") == "app\n"


def test_a_link_in_a_users_home_leads_nowhere(box):
    attack = "rm -rf /home/app/.ssh; ln -s /root/.ssh /home/app/.ssh"
    assert box.exec("sh", "-c", attack, user="app").code == 0
    assert box.exec("install", "-d", "-m", "700", "/root/.ssh").code == 0
    told = run(box, {"authorized_key": "one", "user": "app", "key": public(box, "one")})
    assert told["authorized_key:one"]["outcome"] == "unmanageable"
    assert box.exec("ls", "-A", "/root/.ssh").out == ""
    assert box.stat("/root/.ssh") == "700 root:root"


def test_a_file_that_root_owns(box):
    config = "/etc/ssh/sshd_config.d/keys.conf"
    found = run(
        box,
        {"file": config, "content": "AuthorizedKeysFile /etc/ssh/keys/%u\n"},
        {"directory": "/etc/ssh/keys"},
        {
            "authorized_key": "one", "user": "app", "key": public(box, "one"),
            "path": "/etc/ssh/keys/app",
        },
        {
            "service": "sshd", "start": "/usr/sbin/sshd", "pidfile": "/run/sshd.pid",
            "notify_signal": "HUP", "subscribe": f"file:{config}",
        },
    )  # fmt: skip
    assert found["authorized_key:one"]["outcome"] == "changed"
    assert box.stat("/etc/ssh/keys/app") == "644 root:root"
    until(lambda: login(box, "one") == "app\n", "a login after sshd has read its files again")
    assert "service:sshd" not in found  # told, and not taken for stopped while it reads them
