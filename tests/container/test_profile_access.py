"""The stock profile access: logins, sudo and passwords that are really allowed and really refused."""

from __future__ import annotations

import json

import pytest

from container.resident import until

PACKAGES = "cracklib-runtime libexpat1 libpam-pwquality openssh-client openssh-server sudo tini"
SSH = "-o StrictHostKeyChecking=no -o UserKnownHostsFile=/dev/null -o LogLevel=ERROR"
BY_PASSWORD = "-o PreferredAuthentications=password,keyboard-interactive -o PubkeyAuthentication=no"
STRONG = "Blue.Kettle-29-Harbour"
SETUP = """
for name in one two; do ssh-keygen -q -t ed25519 -N '' -C "$name" -f "/srv/$name"; done
printf '#!/bin/sh\\necho "$SECRET"\\n' > /srv/ask && chmod 755 /srv/ask
useradd left && install -d -m 700 /root/.ssh && cp /srv/one.pub /root/.ssh/authorized_keys
"""


@pytest.fixture(scope="module")
def with_programs(engine, image):
    """The packages come first, so that a change of the agent's code does not install them anew."""
    lines = (
        "FROM debian:bookworm-slim",
        f"RUN apt-get update && apt-get install -y --no-install-recommends {PACKAGES}",
        f"COPY --from={image} /opt/converge /opt/converge",
        f"COPY --from={image} /etc/converge /etc/converge",
        "RUN ln -s /opt/converge/bin/converge /usr/local/bin/converge",
    )
    return engine.build("-", stdin="\n".join(lines))


class Site:
    """A container that includes the profile, and the vars of its site."""

    def __init__(self, box):
        self.box = box
        self.vars = {}

    def declare(self, **variables):
        self.vars |= variables
        self.box.profile(json.dumps({"include": ["profiles/access.yaml"], "vars": self.vars}))

    def converge(self, **variables):
        """Run with these vars changed; return what is to be told, by id."""
        self.declare(**variables)
        report = self.box.report("--once")
        told = {one["id"]: one for one in report["resources"] if one["outcome"] != "skipped"}
        return told if report["exit_code"] else {name: told[name]["outcome"] for name in told}

    def login(self, user, key):
        """Log in by a key; return who that is there, None if it is refused."""
        words = f"{SSH} -o BatchMode=yes -i /srv/{key} {user}@127.0.0.1 id -un".split()
        done = self.box.exec("ssh", *words)
        return done.out.strip() if done.code == 0 else None

    def login_by_password(self, user, password):
        env = {"SECRET": password, "SSH_ASKPASS": "/srv/ask", "SSH_ASKPASS_REQUIRE": "force"}
        words = f"{SSH} {BY_PASSWORD} -o NumberOfPasswordPrompts=1 {user}@127.0.0.1 id -un".split()
        done = self.box.exec("ssh", *words, env=env)
        return done.out.strip() if done.code == 0 else None

    def sudo(self, user, *words):
        done = self.box.exec("sudo", "-n", *words, user=user)
        return done.out.strip() if done.code == 0 else None

    def su(self, user, to, password):
        done = self.box.exec("su", to, "-c", "id -un", user=user, stdin=f"{password}\n")
        return done.out.strip() if done.code == 0 else None

    def key(self, name):
        return self.box.read(f"/srv/{name}.pub").strip()


@pytest.fixture
def site(container, with_programs):
    made = Site(container(image=with_programs, profile={"resources": []}))
    done = made.box.exec("sh", "-e", "-c", SETUP)
    assert done.code == 0, done.err
    return made


def test_who_gets_in_and_who_may_do_what(site):
    box = site.box
    site.declare(
        access_sshd=True,
        access_groups={"ops": {"gid": 3000}},
        access_users={
            "ada": {"uid": 3001, "groups": ["ops"], "ssh_keys": [site.key("one")]},
            "bob": {"uid": 3002, "ssh_keys": [site.key("two")]},
        },
        access_removed=["left"],
        access_sudo={"ops": {"group": "ops", "commands": "/usr/bin/id", "nopasswd": True}},
        access_login=["(ops)"],
    )
    done = box.converge("bake")
    assert done.code == 0, done.err
    assert box.exec("sh", "-c", "ls /etc/ssh/ssh_host_*_key").code != 0
    assert site.converge()["service:sshd"] == "changed"
    assert site.converge() == {}

    # Keys and access.conf.
    assert site.login("ada", "one") == "ada"
    assert site.login("ada", "two") is None
    assert site.login("bob", "two") is None
    refused = "Access denied for user bob by PAM account configuration"
    until(lambda: refused in box.logs().err + box.logs().out, "sshd's word in the container's log")
    assert site.login("root", "one") is None
    assert box.exec("id", "left").code != 0

    # A key that was put there by hand goes; one that is declared may be used.
    both = f"{site.key('one')}\n{site.key('two')}\n"
    box.write("/home/ada/.ssh/authorized_keys", both)
    assert site.login("ada", "two") == "ada"
    assert site.converge() == {"authorized_key:ada": "changed"}
    assert site.login("ada", "two") is None
    users = site.vars["access_users"]
    site.converge(access_users={**users, "ada": {"uid": 3001}}, access_login=["ada", "bob"])
    assert site.login("ada", "one") is None
    assert site.login("bob", "two") == "bob"
    assert site.sudo("ada", "id", "-u") is None  # in no group that is not declared
    site.converge(access_users=users)

    # sudo.
    assert site.sudo("ada", "id", "-u") == "0"
    assert site.sudo("ada", "cat", "/etc/shadow") is None
    assert site.sudo("bob", "id", "-u") is None
    assert "COMMAND=/usr/bin/id" in box.read("/var/log/sudo.log")

    # sshd: no passwords, unless the site says so; and no settings that sshd does not take.
    assert box.exec("chpasswd", stdin=f"ada:{STRONG}\n").code == 0
    assert site.login_by_password("ada", STRONG) is None
    allowed = site.converge(access_sshd_settings={"PasswordAuthentication": "yes"})
    assert allowed == {"file:/etc/ssh/sshd_config.d/10-access.conf": "changed"}
    until(lambda: site.login_by_password("ada", STRONG) == "ada", "sshd has read its files again")
    wrong = site.converge(access_sshd_settings={"PermitRootLogin": "perhaps"})
    told = wrong["file:/etc/ssh/sshd_config.d/10-access.conf"]
    assert told["outcome"] == "failed"
    assert 'unsupported option "perhaps"' in told["reason"]
    assert site.login("ada", "one") == "ada"


def test_passwords(site):
    box = site.box
    changed = site.converge(
        access_users={"ada": {}, "bob": {}}, access_lockout={"deny": 2}, access_su_group="ada"
    )
    assert changed["command:pam asks pam_faillock"] == "changed"
    assert site.converge() == {}

    # Weak ones are refused, to root and to the user.
    for weak, told in {"Short1.": "shorter than 14", "harbour-harbour": "less than 3"}.items():
        done = box.exec("chpasswd", stdin=f"ada:{weak}\n")
        assert done.code != 0
        assert told in done.err
    assert box.exec("chpasswd", stdin=f"ada:{STRONG}\nbob:{STRONG}\n").code == 0
    assert ":$y$" in box.exec("getent", "shadow", "ada").out  # yescrypt
    old_then_weak = f"{STRONG}\n{STRONG}x\n" + "password\npassword\n" * 3
    done = box.exec("passwd", user="ada", stdin=old_then_weak)
    assert done.code != 0

    # su, for one group alone; and a password that was tried too often.
    assert site.su("ada", "bob", STRONG) == "bob"
    assert site.su("bob", "ada", STRONG) is None
    assert site.su("ada", "bob", "wrong") is None
    assert site.su("ada", "bob", "wrong") is None
    assert site.su("ada", "bob", STRONG) is None
    assert box.exec("faillock", "--user", "bob", "--reset").code == 0
    assert site.su("ada", "bob", STRONG) == "bob"


def test_it_does_nothing_to_accounts_that_are_not_declared(site):
    before = site.box.read("/etc/passwd")
    site.converge()
    assert site.box.read("/etc/passwd") == before
    assert site.converge() == {}
