"""The stock profile hardening: what comes of it, by the system's own tools."""

from __future__ import annotations

import json

import pytest

PACKAGES = "ca-certificates cron libexpat1 openssh-client tini"
CARELESS = """
touch /etc/careless /var/tmp/shared && chmod 666 /etc/careless /var/tmp/shared
mkdir -m 777 /srv/upload && chmod 664 /etc/shells && chmod 775 /usr/local/bin
cp /bin/true /usr/local/bin/rogue && chmod 6755 /usr/local/bin/rogue
echo + > /root/.rhosts && chmod 640 /etc/passwd && chmod 666 /etc/shadow && useradd -m ada
"""


@pytest.fixture(scope="module")
def with_cron(engine, image):
    """The packages come first, so that a change of the agent's code does not install them anew."""
    lines = (
        "FROM debian:bookworm-slim",
        f"RUN apt-get update && apt-get install -y --no-install-recommends {PACKAGES}",
        f"COPY --from={image} /opt/converge /opt/converge",
        f"COPY --from={image} /etc/converge /etc/converge",
        "RUN ln -s /opt/converge/bin/converge /usr/local/bin/converge",
    )
    return engine.build("-", stdin="\n".join(lines))


def profile(**variables):
    variables = {"hardening_cron": True, "kernel_on_unmanageable": "skip", **variables}
    include = ["profiles/base.yaml", "profiles/hardening.yaml"]
    return json.dumps({"include": include, "vars": variables})


@pytest.fixture
def box(container, with_cron):
    made = container(image=with_cron, profile=profile())
    done = made.exec("sh", "-e", "-c", CARELESS)
    assert done.code == 0, done.err
    return made


def printed(box, *argv, user=""):
    done = box.exec(*argv, user=user)
    assert done.code == 0, done.err
    return done.out.strip()


def changed(report):
    failed = [
        (one["id"], one["reason"]) for one in report["resources"] if one["outcome"] == "failed"
    ]
    assert report["exit_code"] == 0, failed
    return {one["id"] for one in report["resources"] if one["outcome"] == "changed"}


def test_files_accounts_and_sessions(box):
    assert changed(box.report("--once"))
    assert changed(box.report("--once")) == set()

    # Files: CIS 7.1, dev-sec os-02, os-03.
    assert box.stat("/etc/passwd") == box.stat("/etc/shells") == "644 root:root"
    assert box.stat("/etc/shadow") == "640 root:shadow"
    assert box.stat("/etc/careless", "%a") == "664"
    assert box.stat("/var/tmp/shared", "%a") == "666"
    assert box.stat("/srv/upload", "%a") == "1777"
    assert box.stat("/usr/local/bin", "%a") == "755"
    writable = "find /etc /opt /root /srv /usr -xdev ! -type l -perm -0002 ! -perm -1000"
    assert printed(box, *writable.split()) == ""
    assert box.exec("ls", "/root/.rhosts").code != 0

    # Programs with the set-user-ID bit: those of the list, and they still work.
    left = printed(box, *["find", "/", "-xdev", "-type", "f", "-perm", "/6000"]).split()
    assert "/usr/bin/passwd" in left
    assert not {"/usr/bin/mount", "/usr/lib/openssh/ssh-keysign", "/usr/local/bin/rogue"} & {*left}
    assert printed(box, "passwd", "-S", user="ada").split()[:2] == ["ada", "L"]
    assert "must be superuser" in box.exec("mount", "/dev/null", "/mnt", user="ada").err

    # Accounts: CIS 5.4.2.7, 5.4.2.8.
    states = printed(box, "passwd", "-S", "-a").splitlines()
    locked = {line.split()[0] for line in states if line.split()[1] == "L"}
    assert {"games", "sync", "www-data", "nobody"} <= locked
    assert printed(box, "getent", "passwd", "sync").endswith(":/usr/sbin/nologin")
    assert "not available" in box.exec("su", "games").out
    assert "INACTIVE=45" in printed(box, "useradd", "-D")

    # Sessions: CIS 5.4.3, 1.5.3.
    for user in ("ada", "root"):
        su = ("su", "-s", "/bin/sh", user, "-c")
        assert printed(box, *su, "umask; ulimit -Hc").split() == ["0027", "0"]
    assert printed(box, "bash", "-lc", "umask; echo $TMOUT").split() == ["0027", "900"]
    printed(box, "su", "ada", "-c", "touch /home/ada/made")
    assert box.stat("/home/ada/made", "%a") == "640"

    # cron: CIS 2.4.
    assert box.stat("/etc/crontab", "%a") == "600"
    assert box.stat("/etc/cron.d", "%a") == "700"
    refused = box.exec("crontab", "-l", user="ada")
    assert "not allowed to use this program" in refused.err
    assert "no crontab for root" in box.exec("crontab", "-l").err


def test_what_a_site_changes(box):
    mine = {
        "hardening_umask": "077", "hardening_suid": ["/usr/local/bin/rogue"],
        "hardening_cron_users": ["root", "ada"], "hardening_core_dumps": True,
        "hardening_locked_users": ["games"], "hardening_shell_timeout": 0,
    }  # fmt: skip
    changed(box.report("--once"))
    box.exec("chmod", "6755", "/usr/local/bin/rogue")
    box.profile(profile(**mine))
    assert "command:pam sets the umask" in changed(box.report("--once"))
    assert changed(box.report("--once")) == set()
    left = printed(box, *["find", "/", "-xdev", "-type", "f", "-perm", "/6000"])
    assert left == "/usr/local/bin/rogue"
    assert printed(box, "su", "ada", "-c", "umask") == "0077"
    assert printed(box, "bash", "-lc", "echo ${TMOUT:-none}") == "none"
    # crontab has lost its bit, so that even who may use it cannot.
    assert box.exec("crontab", "-l", user="ada").code != 0


def test_in_a_build_the_sweeps_are_part_and_later_runs_leave_them_out(box):
    sweep = "command:nothing that everybody may write to"
    done = box.converge("bake")
    assert done.code == 0, done.err
    assert box.stat("/etc/careless", "%a") == "664"
    box.exec("chmod", "666", "/etc/careless")
    assert sweep not in changed(box.report("--once", "--phase", "run"))
    assert sweep in changed(box.report("--once"))
