"""`converge adopt` in containers: what it writes validates, is in sync at once, and is repaired."""

from __future__ import annotations

import pytest

KEY = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIJ2WqmIL/XWKdNXDhwDa1YQrFiwOPnCJaXzZ8mHMhHGD ann@site"
HASH = "$6$saltsalt$" + "a" * 86
MADE = f"""
groupadd -g 3000 staffers
useradd -m -u 2000 -s /bin/bash -G adm,staffers -c 'Ann {{{{ x }}}}' ann
usermod -p '{HASH}' ann
useradd -r -u 300 -s /usr/sbin/nologin daemonic
install -d -m 700 -o ann -g ann /home/ann/.ssh
echo '{KEY}' > /home/ann/.ssh/authorized_keys
chown ann:ann /home/ann/.ssh/authorized_keys; chmod 600 /home/ann/.ssh/authorized_keys
printf 'a: {{{{ not ours }}}}\\n\\n  indented\\n\\ttab\\n' > /etc/app.conf; chmod 640 /etc/app.conf
chgrp staffers /etc/app.conf
head -c 100 /dev/urandom > /etc/app.bin
printf -- '-----BEGIN PRIVATE KEY-----\\nMIIsecret\\n' > /etc/app.pem
install -d -m 2775 -g staffers /srv/shared
ln -s ../etc/app.conf /srv/link
echo 'ann ALL = (root) NOPASSWD: /usr/bin/true' > /etc/sudoers.d/ann; chmod 440 /etc/sudoers.d/ann
echo '* hard nofile 1024' >> /etc/security/limits.conf
echo '10.1.2.3 db.site db' >> /etc/hosts
echo 'tmpfs /mnt tmpfs size=1m 0 0' > /etc/fstab
mkdir -p /etc/sysctl.d
sed 's/^/net.ipv4.ip_forward = /' /proc/sys/net/ipv4/ip_forward > /etc/sysctl.d/a.conf
printf '# Managed by converge.\\nMAILTO="ann"\\n5 4 * * * ann /usr/bin/true \\\\%%x\\n' > /etc/cron.d/job
cron
"""
KINDS = (  # what is asked for, and an id that has to be in it
    ("user", "user:ann"),
    ("group", "group:staffers"),
    ("package", "package:cron"),
    ("cron", "cron:job"),
    ("sudoers", "sudoers:ann"),
    ("host", "host:db.site"),
    ("limits", "limits:* hard nofile"),
    ("authorized_key", "authorized_key:ann: ann@site"),
    ("mount", "mount:/mnt"),
    ("sysctl", "sysctl:net.ipv4.ip_forward"),
    ("service", "service:cron"),
    ("timezone", "timezone:Etc/UTC"),
    ("file /etc/app.conf /etc/app.pem", "file:/etc/app.conf"),
    ("directory /srv/shared", "directory:/srv/shared"),
    ("symlink /srv/link", "symlink:/srv/link"),
)


@pytest.fixture
def box(container, programs_image):
    made = container(image=programs_image, profile={"resources": []})
    done = made.exec("bash", "-euc", MADE)
    assert done.code == 0, done.err
    return made


def adopt(box, *words):
    done = box.converge("adopt", *words)
    assert done.code == 0, done.err
    box.profile(done.out)
    return done.out


def ids(box):
    shown = box.converge("validate", "--json", "/etc/converge/profile.yaml")
    assert shown.code == 0, shown.out
    plan = box.report("plan")
    assert plan["exit_code"] == 0, [one for one in plan["resources"] if one["outcome"] != "in_sync"]
    return plan["counts"]


def test_each_kind_is_in_sync_at_once(box):
    for words, wanted in KINDS:
        text = adopt(box, *words.split())
        assert ids(box)["in_sync"] > 0, words
        explained = box.converge("explain", wanted)
        assert explained.code == 0, (text, explained.err)
        assert HASH not in text
        assert "MIIsecret" not in text


BREAK = (
    ("user ann", "usermod -s /bin/sh ann", "getent passwd ann"),
    ("group staffers", "groupmod -g 3333 staffers", "getent group staffers"),
    ("cron job", "echo >> /etc/cron.d/job", "cat /etc/cron.d/job"),
    ("sudoers ann", "rm /etc/sudoers.d/ann", "cat /etc/sudoers.d/ann"),
    ("limits *", "sed -i s/1024/99/ /etc/security/limits.conf", "cat /etc/security/limits.conf"),
    ("authorized_key ann", "> ~ann/.ssh/authorized_keys", "cat ~ann/.ssh/authorized_keys"),
    ("timezone", "ln -sf /usr/share/zoneinfo/Asia/Tokyo /etc/localtime", "date +%Z"),
    ("file /etc/app.conf", "echo >> /etc/app.conf; chmod 600 /etc/app.conf", "cat /etc/app.conf"),
    ("directory /srv/shared", "chmod 700 /srv/shared", "stat -c %a%G /srv/shared"),
    ("symlink /srv/link", "ln -sfn / /srv/link", "readlink /srv/link"),
    ("host db.site", "sed 's/ db.site db/ db/' /etc/hosts > /h; cat /h > /etc/hosts",
     "getent hosts db.site"),
)  # fmt: skip


def test_what_is_broken_is_repaired(box):
    for words, damage, look in BREAK:
        adopt(box, *words.split())
        before = box.exec("bash", "-c", look).out
        assert before, look
        assert box.exec("bash", "-c", damage).code == 0, damage
        assert box.converge("plan").code == 2, damage
        assert box.exec("bash", "-c", look).out != before or "chmod" in damage, look
        assert box.report("--once")["exit_code"] == 0
        assert box.exec("bash", "-c", look).out == before


def test_secrets_are_never_written(box):
    text = adopt(box, "user", "ann")
    assert "# password: { file: /run/secrets/ann }" in text
    text = adopt(box, "file", "/etc/app.pem", "/etc/shadow", "/home/ann/.ssh/authorized_keys")
    assert "content:" not in text.replace("# content: { file:", "")
    assert ids(box)["in_sync"] == 3


def test_what_is_not_text_lies_beside_the_profile(box):
    text = adopt(box, "file", "/etc/app.bin")
    assert "100 bytes, left out" in text
    done = box.converge("adopt", "file", "/etc/app.bin", "--output", "/srv/out/new")
    assert done.code == 0, done.err
    assert box.stat("/srv/out/new/files/etc/app.bin") == "600 root:root"
    profile = ("--profile", "/srv/out/new/profile.yaml")
    assert box.converge("plan", *profile).code == 0
    before = box.exec("sha256sum", "/etc/app.bin").out
    box.exec("sh", "-c", "echo > /etc/app.bin")
    assert box.converge("plan", *profile).code == 2
    assert box.converge("--once", *profile).code == 0
    assert box.exec("sha256sum", "/etc/app.bin").out == before
    again = box.converge("adopt", "file", "/etc/app.bin", "--output", "/srv/out/new")
    assert (again.code, "is not empty" in again.err) == (1, True)


def test_what_cannot_be_declared_is_told(box):
    done = box.converge("adopt", "user", "nobody-there", "ann")
    assert done.code == 1
    assert "# user:nobody-there: there is no such user" in done.out
    assert "user:nobody-there: there is no such user" in done.err
    box.profile(done.out)
    assert ids(box)["in_sync"] == 1
    assert box.converge("adopt", "usr").err.endswith("(did you mean `user`?)\n")
    assert box.converge("adopt", "file").code == 0


def test_another_user_adopts_what_he_may_read(box):
    done = box.converge("adopt", "user", "ann", user="2000")
    assert "    # /etc/shadow cannot be read: Permission denied\n" in done.out
    assert done.code == 0, done.err


CHANGED = """
echo 'umask 027' >> /etc/profile.d/site.sh
sed -i 's/#Port 22/Port 2222/' /etc/ssh/sshd_config
sed -i 's/^Defaults.*env_reset/& ,!lecture/' /etc/sudoers
echo '# changed' >> /usr/share/base-files/motd
mkdir /etc/site.d; ln -s ../profile.d/site.sh /etc/site.d/link; echo secret > /etc/site.d/token
chmod 600 /etc/site.d/token; head -c 70000 /dev/zero > /etc/site.d/big
useradd -m -u 2000 -s /bin/bash -G adm ann; groupadd -g 3000 staffers
echo x > /etc/foo.dpkg-old; echo x > /etc/ld.so.cache; echo 1.2.3.4 x >> /etc/hosts
touch /var/log/new /usr/share/new
"""


def names_in(text):
    return {line.strip()[2:] for line in text.splitlines() if line.startswith("  - ")}


def test_what_was_changed_in_an_image(container, programs_image):
    box = container("--volume=/etc/site-volume", image=programs_image, profile={"resources": []})
    before = names_in(box.converge("adopt", "--diff-image").out)
    assert {name for name in before if name.startswith(("file", "user", "group"))} == {
        "file: /etc/apt/sources.list.d/debian.sources"
    }
    assert box.exec("bash", "-euc", CHANGED).code == 0
    snapshot = box.exec("bash", "-c", "find / -xdev -printf '%p %C@\\n' | sort | sha256sum").out
    done = box.converge("adopt", "--diff-image")
    assert done.code == 0, done.err
    assert (
        box.exec("bash", "-c", "find / -xdev -printf '%p %C@\\n' | sort | sha256sum").out
        == snapshot
    )
    names = names_in(done.out)
    assert names - before == {
        "user: ann", "group: ann", "group: staffers", "file: /etc/profile.d/site.sh",
        "file: /etc/ssh/sshd_config", "file: /etc/sudoers",
        "file: /usr/share/base-files/motd", "file: /etc/site.d/token",
        "symlink: /etc/site.d/link", "file: /etc/site.d/big",
    }  # fmt: skip
    assert {"package: nginx-light", "package: sudo"} <= names
    assert not {"package: libc6", "package: coreutils", "package: adduser"} & names
    assert "secret\n" not in done.out
    assert "70000 bytes, left out" in done.out
    box.profile(done.out)
    assert ids(box)["in_sync"] == len(names)
    whole = box.converge("adopt", "--diff-image", "--output", "/root/adopted")
    assert whole.code == 0, whole.err
    profile = ("--profile", "/root/adopted/profile.yaml")
    assert box.converge("plan", *profile).code == 0
    box.exec(
        "bash", "-c", "rm /etc/site.d/big; userdel ann; sed -i 's/2222/22/' /etc/ssh/sshd_config"
    )
    assert box.converge("plan", *profile).code == 2
    assert box.converge("--once", *profile).code == 0
    assert box.exec("stat", "-c", "%s", "/etc/site.d/big").out == "70000\n"
    assert "Port 2222" in box.read("/etc/ssh/sshd_config")
    assert box.converge("plan", *profile).code == 0
