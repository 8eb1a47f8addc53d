"""The one writer on real mounts: each test runs in a mount namespace of its own.

Where the tests are not run by root, in a user namespace too.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import textwrap

import pytest

UNSHARE = ["unshare", "--mount", "--propagation", "private"]
PREPARE = """
import json, os, subprocess, sys
from converge.files.backup import Backups
from converge.errors import ApplyError
from converge.files.journal import Journal
from converge.system import System

root, state, source = [sys.argv[1] + name for name in ("/root", "/state", "/source")]
journal = Journal(state + "/journal")
backups = Backups(state + "/backups")
system = System(root, backups=backups, journal=journal)

def mount(*words):
    subprocess.run(["mount", *words], check=True)

def bind():
    mount("--bind", source, root + "/etc/hosts")

def read(path):
    with open(path, "rb") as file:
        return file.read().decode()

def left(folder):
    return sorted(os.listdir(folder))

def answer(**values):
    print(json.dumps(values))

def attempt(path, content, **options):
    try:
        system.write(path, content, **options)
    except (OSError, ApplyError) as error:
        return type(error).__name__ + ": " + str(error)
    return "written"
"""


@pytest.fixture
def run(tmp_path):
    (tmp_path / "root/etc").mkdir(parents=True)
    (tmp_path / "state").mkdir()
    (tmp_path / "source").write_text("old, and longer than the new")
    (tmp_path / "root/etc/hosts").touch()

    def run(code: str):
        unshare = UNSHARE if os.geteuid() == 0 else [*UNSHARE, "--map-root-user"]
        done = subprocess.run(
            [*unshare, sys.executable, "-c", PREPARE + textwrap.dedent(code), str(tmp_path)],
            capture_output=True,
            text=True,
            env={**os.environ, "PYTHONDONTWRITEBYTECODE": "1"},
        )
        assert done.returncode == 0, done.stderr
        return json.loads(done.stdout)

    return run


def test_a_bind_mount_is_written_in_place(run, tmp_path):
    inode = (tmp_path / "source").stat().st_ino
    found = run(
        """
        bind()
        answer(result=attempt("/etc/hosts", b"new", mode=0o600), left=left(root + "/etc"),
               content=read(root + "/etc/hosts"), in_place=sorted(system.written_in_place),
               journal=left(journal.folder),
               backup=backups.read(backups.entries()[0]["digest"]).decode())
        """
    )
    assert found == {
        "result": "written",
        "content": "new",
        "in_place": ["/etc/hosts"],
        "left": ["hosts"],
        "journal": [],
        "backup": "old, and longer than the new",
    }
    after = (tmp_path / "source").stat()
    assert (after.st_ino, after.st_size, after.st_mode & 0o777) == (inode, 3, 0o600)


def test_a_mount_that_appears_after_the_mounts_were_read(run):
    found = run(
        """
        system.mounts()
        bind()
        answer(result=attempt("/etc/hosts", b"new"), content=read(source), left=left(root + "/etc"),
               in_place=sorted(system.written_in_place))
        """
    )
    assert found == {
        "result": "written",
        "content": "new",
        "left": ["hosts"],
        "in_place": ["/etc/hosts"],
    }


def test_in_place_is_validated_first(run):
    found = run(
        """
        bind()
        seen = []
        def refuse(staged):
            seen.append(read(staged))
            raise ApplyError("line 3")
        result = attempt("/etc/hosts", b"new", validate=refuse)
        answer(result=result, seen=seen, content=read(source), journal=left(journal.folder))
        """
    )
    assert found["result"] == "ApplyError: line 3"
    assert found["seen"] == ["new"]
    assert found["content"].startswith("old")
    assert found["journal"] == []


def test_in_place_needs_a_journal(run):
    found = run(
        """
        bind()
        system = System(root, backups=backups)
        answer(result=attempt("/etc/hosts", b"new"), content=read(source))
        """
    )
    assert "can only be written in place" in found["result"]
    assert found["content"].startswith("old")


def test_in_place_touches_nothing_that_holds(run):
    found = run(
        """
        bind()
        before = os.stat(source)
        attempt("/etc/hosts", read(source).encode(), mode=before.st_mode & 0o7777)
        same = os.stat(source).st_ctime_ns == before.st_ctime_ns
        answer(same=same, backups=len(backups.entries()))
        """
    )
    assert found == {"same": True, "backups": 0}


def test_in_place_on_a_full_file_system_is_put_back(run):
    found = run(
        """
        mount("-t", "tmpfs", "-o", "size=64k", "none", sys.argv[1] + "/root/etc")
        os.mkdir(root + "/etc/data")
        open(root + "/etc/data/hosts", "w").write("old")
        open(root + "/etc/hosts", "w").close()
        mount("--bind", root + "/etc/data/hosts", root + "/etc/hosts")
        system.forget()
        answer(result=attempt("/etc/hosts", b"x" * 200000), content=read(root + "/etc/hosts"),
               journal=left(journal.folder))
        """
    )
    assert found["result"].startswith(
        "ApplyError: /etc/hosts: written in place, and put back: No space"
    )
    assert found["content"] == "old"
    assert found["journal"] == []


def test_a_full_file_system_leaves_the_old(run):
    found = run(
        """
        mount("-t", "tmpfs", "-o", "size=64k", "none", sys.argv[1] + "/root/etc")
        open(root + "/etc/motd", "w").write("old")
        system.forget()
        answer(result=attempt("/etc/motd", b"x" * 200000), content=read(root + "/etc/motd"),
               left=left(root + "/etc"), again=attempt("/etc/motd", b"small"))
        """
    )
    assert "No space left on device" in found["result"]
    assert (found["content"], found["left"], found["again"]) == ("old", ["motd"], "written")


def test_a_full_state_directory_leaves_the_old(run):
    found = run(
        """
        mount("-t", "tmpfs", "-o", "size=4k", "none", state)
        open(root + "/etc/motd", "w").write("o" * 100000)
        answer(result=attempt("/etc/motd", b"new"), left=left(root + "/etc"),
               size=os.stat(root + "/etc/motd").st_size)
        """
    )
    assert "no backup can be made" in found["result"]
    assert "No space left on device" in found["result"]
    assert (found["size"], found["left"]) == (100000, ["hosts", "motd"])


def test_a_read_only_mount(run):
    found = run(
        """
        bind()
        mount("-o", "remount,bind,ro", root + "/etc/hosts")
        answer(result=attempt("/etc/hosts", b"new"), content=read(source))
        """
    )
    assert "Read-only file system" in found["result"]
    assert found["content"].startswith("old")


def test_a_tree_with_a_mount_in_it_is_not_removed(run):
    found = run(
        """
        os.makedirs(root + "/data/inner")
        open(root + "/data/keep", "w").close()
        mount("-t", "tmpfs", "none", root + "/data/inner")
        try:
            system.remove_tree("/data", backup=False)
        except ApplyError as error:
            answer(error=str(error), left=left(root + "/data"))
        """
    )
    assert found == {
        "error": "/data is not removed: /data/inner is a mount",
        "left": ["inner", "keep"],
    }
