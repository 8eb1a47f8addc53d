"""The profile `backup`: what is restored is what was there, byte for byte and bit for bit."""

from __future__ import annotations

import json

import pytest

from container.resident import until

PASSWORD = "correct horse battery staple"
SECRET = {"env": "BACKUP_PASSWORD"}
REPOSITORY = "/var/backups/restic"
# Names, types, modes, owners, links, times and contents that a backup may get wrong.
DATA = r"""
mkdir -p /srv/data/empty && cd /srv/data
head -c 3000000 /dev/urandom >random && : >nothing && printf 'a\0b\n' >"$(printf 'new\nline ü')"
ln -s random link && ln -s /nowhere dangling && ln random hard && mkfifo pipe
install -m 4751 -o www-data -g adm /dev/null suid && chmod 1770 empty && touch -d 2001-02-03 nothing
truncate -s 1000000 sparse && echo secret >private && chmod 000 private && echo x >cache.tmp
"""
CHANGES = "cd /srv/data && rm hard && echo more >>random && mv nothing moved && echo new >added"
# One line for all that is below a directory: what it is, whose, when changed, and its content.
STATE = r"""
cd "$1" && find . ! -name '*.tmp' -printf '%P|%y|%m|%U:%G|%s|%n|%l|%t\0' | sort -z | tr '\0' '\n'
find . -type f ! -name '*.tmp' -print0 | sort -z | xargs -0 sha256sum"""


@pytest.fixture
def box(container, programs_image):
    """A container; the profile is a site's."""
    option = f"--env=BACKUP_PASSWORD={PASSWORD}"
    return container(option, image=programs_image, profile=site())


def site(**given):
    given = {"backup_password": SECRET, "backup_paths": ["/srv/data"], **given}
    return {"include": ["profiles/backup.yaml"], "vars": given}


def run(box, **given):
    """Converge as a site would, and return the outcome and reason of what was not in sync."""
    box.profile(site(**given))
    report = box.report("--once")
    return {one["id"]: (one["outcome"], one["reason"]) for one in report["resources"]}


def shell(box, script, *arguments):
    done = box.exec("sh", "-c", script, "sh", *arguments)
    assert done.code == 0, done.err
    return done.out


def as_cron(box, job="converge-backup"):
    """Run a job's command as cron does: by sh, with its variables and no others."""
    *_, path, line = box.read(f"/etc/cron.d/{job}").splitlines()
    command = line.split(maxsplit=6)[6].replace("\\%", "%")
    variables = ["HOME=/root", "LOGNAME=root", "SHELL=/bin/sh", path.replace('"', "")]
    return box.exec("env", "-i", *variables, "/bin/sh", "-c", command)


def restic(box, *words):
    done = box.exec("converge-backup", "restic", *words)
    assert done.code == 0, done.err
    return done.out


def snapshots(box):
    return [one["short_id"] for one in json.loads(restic(box, "snapshots", "--json"))]


def restored(box, snapshot):
    """Restore a snapshot into a directory of its own, and return the state of it."""
    restic(box, "restore", snapshot, "--target", f"/restore/{snapshot}")
    return shell(box, STATE, f"/restore/{snapshot}/srv/data")


def test_what_is_restored_is_what_was_there(box):
    found = run(box)
    assert {outcome for outcome, _ in found.values()} == {"changed"}
    assert run(box) == {}
    assert box.converge("plan").code == 0
    shell(box, DATA)
    before = shell(box, STATE, "/srv/data")
    assert as_cron(box).code == 0, box.read("/var/log/converge-backup.log")
    shell(box, CHANGES)
    after = shell(box, STATE, "/srv/data")
    assert before != after
    assert as_cron(box).code == 0
    first, second = snapshots(box)
    assert restored(box, first) == before
    assert restored(box, second) == after
    assert not shell(box, "find /restore -name '*.tmp'")
    assert as_cron(box, "converge-backup-check").code == 0
    assert "no errors were found" in box.read("/var/log/converge-backup-check.log")
    assert run(box) == {}

    assert list(run(box, backup_keep={"last": 1})) == ["file:/usr/local/sbin/converge-backup"]
    assert as_cron(box).code == 0
    assert len(snapshots(box)) == 1
    assert restored(box, "latest") == after

    shell(box, f"echo x >>$(find {REPOSITORY}/data -type f | head -n 1)")
    assert as_cron(box, "converge-backup-check").code == 1
    assert "Fatal: repository contains errors" in box.read("/var/log/converge-backup-check.log")


def test_cron_runs_it(box):
    run(box, backup_schedule="* * * * *")
    shell(box, "mkdir /srv/data && echo x >/srv/data/x && kill $(cat /run/crond.pid)")
    shell(box, "faketime -f '+0 x60' cron -f >/dev/null 2>&1 &")
    until(lambda: box.exec("test", "-e", "/var/lib/restic/last").code == 0, "a backup")
    assert snapshots(box)


def test_a_wrong_password_is_a_failure_and_changes_nothing(box):
    run(box)
    shell(box, "mkdir /srv/data")
    before = shell(box, STATE, REPOSITORY)
    box.write("/run/other", "hunter2")
    found = run(box, backup_password={"file": "/run/other"})
    outcome, reason = found["command:prepare the repository"]
    assert outcome == "failed"
    assert "wrong password or no key found" in reason
    assert box.converge("--once").code == 4
    assert as_cron(box).code == 1
    assert "wrong password" in box.read("/var/log/converge-backup.log")
    assert shell(box, STATE, REPOSITORY) == before
    assert list(run(box)) == ["file:/etc/restic/password"]
    assert as_cron(box).code == 0


def test_no_password_no_backup(box):
    found = run(box, backup_password={"env": "NOT_THERE"})
    assert found["file:/etc/restic/password"][0] == "failed"
    assert found["command:prepare the repository"][0] == "skipped"
    assert box.exec("test", "-e", REPOSITORY).code == 1


def test_what_goes_wrong_is_told(box):
    paths = ["/srv/data", "/srv/gone"]
    run(box, backup_paths=paths)
    shell(box, "mkdir /srv/data && echo x >/srv/data/x")
    assert as_cron(box).code == 3
    assert "/srv/gone is not there" in box.read("/var/log/converge-backup.log")
    assert len(snapshots(box)) == 1
    assert box.exec("test", "-e", "/var/lib/restic/last").code == 1

    box.write("/etc/restic/before.d/dump", "#!/bin/sh\necho no database; exit 7\n")
    shell(box, "chmod 755 /etc/restic/before.d/dump")
    assert as_cron(box).code == 1
    assert "no database" in box.read("/var/log/converge-backup.log")
    assert len(snapshots(box)) == 1

    assert run(box, backup_max_age_hours=24).keys() == {"file:/etc/restic/paths"}
    shell(box, "touch -d '25 hours ago' /var/lib/restic/ready")
    (reason,) = [why for _, why in run(box, backup_max_age_hours=24).values()]
    assert "no backup since then: see /var/log/converge-backup.log" in reason

    shell(box, f"rm -r {REPOSITORY}")
    found = run(box, backup_init=False)
    assert "Is there a repository" in found["command:prepare the repository"][1]
    assert run(box)["command:prepare the repository"][0] == "changed"
    assert PASSWORD not in box.converge("status", "--json").out


def test_a_repository_on_another_host(box):
    """sftp, to an sshd on the loopback device."""
    shell(box, """
        mkdir -p /run/sshd /srv/data && echo x >/srv/data/x
        ssh-keygen -qN '' -f ~/.ssh/id_ed25519 -t ed25519
        cp ~/.ssh/id_ed25519.pub ~/.ssh/authorized_keys
        echo 'StrictHostKeyChecking accept-new' >~/.ssh/config && /usr/sbin/sshd
    """)  # fmt: skip
    environment = {"RESTIC_COMPRESSION": "max", "TOKEN": SECRET}
    run(box, backup_repository="sftp:root@127.0.0.1:/srv/store", backup_environment=environment)
    assert as_cron(box).code == 0, box.read("/var/log/converge-backup.log")
    assert box.exec("test", "-e", "/srv/store/config").code == 0
    assert "x\n" in restic(box, "dump", "latest", "/srv/data/x")
    assert box.read("/etc/restic/environment/TOKEN") == PASSWORD
    assert box.stat("/etc/restic/environment/TOKEN") == "600 root:root"
    shell(box, "pkill -x sshd; rm /var/lib/restic/ready")
    found = run(box, backup_repository="sftp:root@127.0.0.1:/srv/store")
    assert found.keys() == {
        "command:prepare the repository", "directory:/etc/restic/environment",
    }  # fmt: skip
    assert found["command:prepare the repository"][0] == "failed"


def test_another_user_is_told_what_is_needed(box):
    report = box.report("--once", user="33")
    assert report["exit_code"] == 4
    assert {one["outcome"] for one in report["resources"]} == {"unmanageable", "skipped"}


@pytest.mark.slow
def test_a_fresh_container_gets_the_packages(container):
    box = container("--network=bridge", f"--env=BACKUP_PASSWORD={PASSWORD}", profile=site())
    assert box.report("--once")["exit_code"] == 0
    shell(box, "mkdir /srv/data")
    assert as_cron(box).code == 0
