"""The journal of writes in place, and what a killed run leaves behind."""

from __future__ import annotations

import errno
import json
import os
import stat

import pytest

from converge.errors import ApplyError
from converge.files import atomic
from converge.files.journal import Journal
from converge.system import System


@pytest.fixture
def folder(tmp_path):
    return tmp_path / "state/journal"


@pytest.fixture
def journal(folder):
    return Journal(str(folder))


@pytest.fixture
def restored():
    return {}


def failing(number: int):
    def restore(path: str, old: bytes) -> None:
        raise OSError(number, os.strerror(number), path)

    return restore


def test_nothing_to_recover(journal, restored):
    assert journal.recover(restored.__setitem__) == []
    assert journal.pending == []


def test_an_entry_appears_whole_and_private(journal, folder):
    entry = journal.begin("/etc/hosts", b"old")
    assert sorted(os.listdir(folder)) == [f"{entry}.json", f"{entry}.old"]
    assert json.loads((folder / f"{entry}.json").read_text())["path"] == "/etc/hosts"
    assert (folder / f"{entry}.old").read_bytes() == b"old"
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    assert {stat.S_IMODE(path.stat().st_mode) for path in folder.iterdir()} == {0o600}


def test_the_note_comes_last(journal, folder, monkeypatch):
    names, replace = [], atomic.replace

    def note(folder_fd, name, data):
        names.append(name.partition(".")[2])
        replace(folder_fd, name, data)

    monkeypatch.setattr(atomic, "replace", note)
    journal.begin("/etc/hosts", b"old")
    assert names == ["old", "json"]


def test_end(journal, folder, restored):
    entry = journal.begin("/etc/hosts", b"old")
    journal.end(entry)
    journal.end(entry)
    assert os.listdir(folder) == []
    assert journal.recover(restored.__setitem__) == []


def test_recover(journal, folder, restored):
    journal.begin("/etc/hosts", b"old \xff")
    journal.begin("/etc/caf\udce9", b"")
    assert sorted(journal.recover(restored.__setitem__)) == ["/etc/caf\udce9", "/etc/hosts"]
    assert restored == {"/etc/hosts": b"old \xff", "/etc/caf\udce9": b""}
    assert os.listdir(folder) == []
    assert journal.recover(restored.__setitem__) == []


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EROFS, errno.EACCES, errno.EIO])
def test_what_cannot_be_put_back_stays(journal, restored, number):
    journal.begin("/etc/hosts", b"old")
    assert journal.recover(failing(number)) == []
    assert journal.pending == [f"/etc/hosts: cannot be put back: {os.strerror(number)}"]
    assert journal.recover(restored.__setitem__) == ["/etc/hosts"]
    assert journal.pending == []
    assert restored == {"/etc/hosts": b"old"}


def test_what_not_even_root_may_write_stays(journal, restored):
    def refuse(path: str, old: bytes) -> None:
        raise ApplyError(f"{path}: Operation not permitted", "the immutable flag may be set")

    journal.begin("/etc/hosts", b"old")
    journal.begin("/etc/resolv.conf", b"old")
    assert journal.recover(refuse) == []
    assert len(journal.pending) == 2
    assert "immutable" in journal.pending[0]
    assert len(journal.recover(restored.__setitem__)) == 2


@pytest.mark.parametrize("number", [errno.ENOENT, errno.ENOTDIR, errno.ELOOP, errno.EINVAL])
def test_where_nothing_is_torn_any_more(journal, folder, number):
    journal.begin("/etc/hosts", b"old")
    assert journal.recover(failing(number)) == []
    assert journal.pending == []
    assert os.listdir(folder) == []


def test_one_failure_does_not_keep_the_others(journal, restored):
    for path in ("/a", "/b", "/c"):
        journal.begin(path, b"old")

    def restore(path, old):
        if path == "/b":
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        restored[path] = old

    assert sorted(journal.recover(restore)) == ["/a", "/c"]
    assert len(journal.pending) == 1


def damage_note(folder, entry):
    (folder / f"{entry}.json").write_text('{"path": "/etc/ho')


def damage_path(folder, entry):
    (folder / f"{entry}.json").write_text("[]")


def damage_content(folder, entry):
    (folder / f"{entry}.old").write_bytes(b"odl")


def lose_content(folder, entry):
    (folder / f"{entry}.old").unlink()


@pytest.mark.parametrize("damage", [damage_note, damage_path, damage_content, lose_content])
def test_a_damaged_entry_is_set_aside(journal, folder, restored, damage):
    entry = journal.begin("/etc/hosts", b"old")
    damage(folder, entry)
    assert journal.recover(restored.__setitem__) == []
    assert restored == {}
    assert f"entry {entry} is damaged" in journal.pending[0]
    assert f"{entry}.corrupt" in os.listdir(folder)
    assert journal.recover(restored.__setitem__) == []
    assert journal.pending == []


def test_a_kill_before_the_note_leaves_nothing(journal, folder, restored):
    entry = journal.begin("/etc/hosts", b"old")
    (folder / f"{entry}.json").unlink()
    (folder / atomic.temporary_name()).write_bytes(b"half")
    assert journal.recover(restored.__setitem__) == []
    assert os.listdir(folder) == []


def test_show(journal, folder):
    seen = []

    def look(path):
        with open(path, "rb") as file:
            seen.append((os.path.dirname(path), file.read(), stat.S_IMODE(os.stat(path).st_mode)))

    def refuse(path):
        raise ApplyError("invalid")

    journal.show(b"new", look)
    assert seen == [(str(folder), b"new", 0o600)]
    assert os.listdir(folder) == []
    with pytest.raises(ApplyError):
        journal.show(b"new", refuse)
    assert os.listdir(folder) == []


class TestSystem:
    @pytest.fixture
    def root(self, tmp_path):
        (tmp_path / "root/etc").mkdir(parents=True)
        return tmp_path / "root"

    def test_a_half_written_file_is_put_back_in_place(self, journal, root):
        (root / "etc/hosts").write_bytes(b"half of the new, longer content")
        inode = (root / "etc/hosts").stat().st_ino
        journal.begin("/etc/hosts", b"old")
        system = System(str(root), journal=journal)
        assert system.recover() == ["/etc/hosts"]
        assert (root / "etc/hosts").read_bytes() == b"old"
        assert (root / "etc/hosts").stat().st_ino == inode
        assert system.recover() == []

    def test_what_took_its_place_is_left_alone(self, journal, root, tmp_path):
        (tmp_path / "secret").write_text("keep")
        (root / "etc/hosts").symlink_to(tmp_path / "secret")
        os.mkfifo(root / "etc/fifo")
        for name in ("hosts", "fifo", "gone", "gone/deeper"):
            journal.begin(f"/etc/{name}", b"old")
        assert System(str(root), journal=journal).recover() == []
        assert journal.pending == []
        assert (tmp_path / "secret").read_text() == "keep"
        assert not (root / "etc/gone").exists()

    def test_without_a_journal(self, root):
        assert System(str(root)).recover() == []
