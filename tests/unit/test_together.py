"""Files that are made durable together: each old or new, each error with its owner."""

from __future__ import annotations

import errno
import os
import threading

import pytest

from converge.errors import ApplyError
from converge.files import atomic, together
from converge.files.backup import Backups
from converge.files.together import Together
from converge.system import System


@pytest.fixture
def root(tmp_path):
    for folder in ("etc", "srv"):
        (tmp_path / "root" / folder).mkdir(parents=True)
    (tmp_path / "root/etc/old").write_text("old\n")
    return tmp_path / "root"


@pytest.fixture
def backups(tmp_path):
    return Backups(str(tmp_path / "backups"))


@pytest.fixture
def system(root, backups):
    return System(str(root), backups=backups)


@pytest.fixture
def all_of_it(system):
    return Together(system)


def write(system, all_of_it, path, content=b"new\n", **options):
    all_of_it.owner = f"file:{path}"
    system.write(path, content, together=all_of_it, **options)


def left(root):
    """Return the names of what was staged and not cleared."""
    return [path.name for path in root.rglob(".converge-*")]


def fail(monkeypatch, name, code=errno.EIO, only=lambda *_: True):
    """Let a function of os fail for some arguments."""
    real = getattr(os, name)

    def act(*arguments, **options):
        if only(*arguments):
            raise OSError(code, os.strerror(code))
        return real(*arguments, **options)

    monkeypatch.setattr(os, name, act)


def test_nothing_is_there_before_the_end(system, all_of_it, root):
    for path in ("/etc/old", "/etc/new", "/srv/new"):
        write(system, all_of_it, path)
    assert (root / "etc/old").read_text() == "old\n"
    assert not (root / "etc/new").exists()
    all_of_it.finish()
    assert [(root / p).read_text() for p in ("etc/old", "etc/new", "srv/new")] == ["new\n"] * 3
    assert all_of_it.errors == {}
    assert left(root) == []


def test_what_is_replaced_is_in_the_backups(system, all_of_it, root, backups):
    (root / "etc/same").write_text("old\n")
    for path in ("/etc/old", "/etc/same", "/etc/new"):
        write(system, all_of_it, path)
    all_of_it.finish()
    entries = backups.entries()
    assert [entry["path"] for entry in entries] == ["/etc/old", "/etc/same"]
    assert {backups.read(entry["digest"]) for entry in entries} == {b"old\n"}


def test_all_is_synced_before_a_name_is_given(system, all_of_it, root, monkeypatch):
    told = []
    for name in ("fsync", "rename"):
        real = getattr(os, name)

        def note(*arguments, real=real, name=name, **options):
            told.append(name)
            return real(*arguments, **options)

        monkeypatch.setattr(os, name, note)
    for path in ("/etc/a", "/etc/b", "/srv/c"):
        write(system, all_of_it, path)
    all_of_it.finish()
    assert told == ["fsync"] * 3 + ["rename"] * 3 + ["fsync"] * 2


def test_no_backup_no_change(system, all_of_it, root, monkeypatch):
    write(system, all_of_it, "/etc/old")
    write(system, all_of_it, "/etc/new")
    monkeypatch.setattr(
        Backups, "finish", lambda *_: (_ for _ in ()).throw(ApplyError("no backup can be made"))
    )
    all_of_it.finish()
    assert set(all_of_it.errors) == {"file:/etc/old", "file:/etc/new"}
    assert (root / "etc/old").read_text() == "old\n"
    assert not (root / "etc/new").exists()
    assert left(root) == []


def test_one_that_cannot_be_synced_leaves_the_others(system, all_of_it, root, monkeypatch):
    for path in ("/etc/a", "/etc/old", "/etc/c"):
        write(system, all_of_it, path, backup=False)
    bad = all_of_it._waiting[1][1].fd
    fail(monkeypatch, "fsync", only=lambda fd: fd == bad)
    all_of_it.finish()
    assert set(all_of_it.errors) == {"file:/etc/old"}
    assert (root / "etc/old").read_text() == "old\n"
    assert (root / "etc/c").read_text() == "new\n"
    assert left(root) == []


def test_a_refusal_by_validate_leaves_the_others(system, all_of_it, root):
    def refuse(path):
        raise ApplyError(f"{path} is invalid")

    write(system, all_of_it, "/etc/old", validate=refuse)
    write(system, all_of_it, "/etc/new")
    all_of_it.finish()
    assert "is invalid" in str(all_of_it.errors["file:/etc/old"])
    assert (root / "etc/old").read_text() == "old\n"
    assert (root / "etc/new").read_text() == "new\n"
    assert left(root) == []


def test_what_changed_meanwhile_is_taken_up_once_more(system, all_of_it, root, backups):
    write(system, all_of_it, "/etc/old")
    (root / "etc/old").write_text("somebody's\n")
    all_of_it.finish()
    assert all_of_it.errors == {}
    assert (root / "etc/old").read_text() == "new\n"
    assert backups.read(backups.entries()[-1]["digest"]) == b"somebody's\n"


def test_a_directory_that_cannot_be_synced_fails_what_is_in_it(
    system, all_of_it, root, monkeypatch
):
    for path in ("/etc/a", "/etc/b", "/srv/c"):
        write(system, all_of_it, path)
    inode = (root / "etc").stat().st_ino
    fail(monkeypatch, "fsync", only=lambda fd: os.fstat(fd).st_ino == inode)
    all_of_it.finish()
    assert set(all_of_it.errors) == {"file:/etc/a", "file:/etc/b"}


def test_what_cannot_be_staged_is_said_at_once(system, all_of_it, root):
    with pytest.raises(FileNotFoundError):
        write(system, all_of_it, "/none/a")
    all_of_it.finish()
    assert all_of_it.errors == {}


def test_more_than_are_allowed_at_a_time(system, all_of_it, root, monkeypatch):
    monkeypatch.setattr(together, "_MOST", 4)
    some = Together(system)
    before = len(os.listdir("/proc/self/fd"))
    for i in range(10):
        write(system, some, f"/srv/{i}")
        assert len(os.listdir("/proc/self/fd")) <= before + 10
    assert len(os.listdir(root / "srv")) == 10
    some.finish()
    system.forget()
    assert len(os.listdir("/proc/self/fd")) <= before
    assert {path.read_text() for path in (root / "srv").iterdir()} == {"new\n"}


def test_a_source_of_its_own_is_not_waited_for(system, all_of_it, root):
    fd = os.memfd_create("source")
    os.write(fd, b"new\n")
    write(system, all_of_it, "/etc/old", None, source_fd=fd)
    os.close(fd)
    assert (root / "etc/old").read_text() == "new\n"


class TestSyncAll:
    @pytest.fixture
    def fds(self, tmp_path):
        found = [os.open(tmp_path / str(i), os.O_RDWR | os.O_CREAT) for i in range(40)]
        yield found
        for fd in found:
            os.close(fd)

    def synced(self, monkeypatch):
        seen = []
        monkeypatch.setattr(os, "fsync", lambda fd: seen.append((fd, threading.get_ident())))
        return seen

    @pytest.mark.parametrize("count", [0, 1, 15, 16, 40])
    def test_each_is_synced_once(self, fds, monkeypatch, count):
        seen = self.synced(monkeypatch)
        assert atomic.sync_all(fds[:count]) == [None] * count
        assert sorted(fd for fd, _ in seen) == fds[:count]
        assert (len({thread for _, thread in seen}) > 1) == (count >= 16)

    def test_errors_are_told_by_place(self, fds, monkeypatch):
        fail(monkeypatch, "fsync", only=lambda fd: fd == fds[17])
        found = atomic.sync_all(fds)
        assert [i for i, error in enumerate(found) if error] == [17]

    def test_without_threads(self, fds, monkeypatch):
        seen = self.synced(monkeypatch)

        def refuse(_):
            raise RuntimeError("can't start new thread")

        monkeypatch.setattr(threading.Thread, "start", refuse)
        assert atomic.sync_all(fds) == [None] * 40
        assert sorted(fd for fd, _ in seen) == fds
