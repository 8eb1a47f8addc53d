"""The store of old contents: kept once, capped, and never without the original."""

from __future__ import annotations

import errno
import hashlib
import json
import os
import stat
import time

import pytest

from converge.errors import ApplyError
from converge.files import atomic
from converge.files.backup import Backups

DAY = 86400


@pytest.fixture
def folder(tmp_path):
    return tmp_path / "backups"


@pytest.fixture
def backups(folder):
    return Backups(str(folder))


@pytest.fixture
def keep(backups, tmp_path):
    """Keep a content as a backup of a path; return its digest."""

    def keep(path: str, content: bytes, store: Backups = backups) -> str:
        file = tmp_path / "file"
        file.write_bytes(content)
        file.chmod(0o640)
        fd = os.open(file, os.O_RDONLY)
        try:
            return store.keep(path, fd)
        finally:
            os.close(fd)

    return keep


def objects(folder) -> set[str]:
    return set(os.listdir(folder / "objects"))


def digest(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def kept(store: Backups) -> list[tuple[str, str]]:
    return [(entry["path"], entry["digest"]) for entry in store.entries()]


def age(folder, days: list[float]) -> None:
    """Make each entry of the index so many days old."""
    index = folder / "index"
    entries = [json.loads(line) for line in index.read_text().splitlines()]
    for entry, old in zip(entries, days, strict=True):
        entry["time"] = time.time() - old * DAY
    index.write_text("".join(json.dumps(entry) + "\n" for entry in entries))


class TestKeep:
    def test_content_and_entry(self, backups, keep, tmp_path):
        assert keep("/etc/a", b"old") == digest(b"old")
        assert backups.read(digest(b"old")) == b"old"
        [entry] = backups.entries()
        assert abs(entry.pop("time") - time.time()) < 60
        assert entry == {
            "path": "/etc/a",
            "digest": digest(b"old"),
            "size": 3,
            "mode": "0640",
            "uid": os.geteuid(),
            "gid": (tmp_path / "file").stat().st_gid,
        }

    def test_one_content_is_kept_once(self, backups, keep, folder):
        keep("/a", b"same")
        first = (folder / "objects" / digest(b"same")).stat()
        keep("/b", b"same")
        keep("/a", b"same")
        assert objects(folder) == {digest(b"same")}
        assert (folder / "objects" / digest(b"same")).stat().st_ino == first.st_ino
        assert [path for path, _ in kept(backups)] == ["/a", "/b", "/a"]

    def test_the_whole_file_wherever_it_was_read_to(self, backups, tmp_path):
        (tmp_path / "file").write_bytes(b"0123456789")
        with open(tmp_path / "file", "rb", buffering=0) as file:
            file.read(5)
            assert backups.read(backups.keep("/a", file.fileno())) == b"0123456789"

    def test_a_large_file_in_parts(self, backups, keep):
        content = os.urandom(3 << 20)
        assert backups.read(keep("/a", content)) == content

    def test_an_empty_file(self, backups, keep):
        assert backups.read(keep("/a", b"")) == b""
        assert len(backups.entries()) == 1

    def test_nobody_else_can_read_it(self, keep, folder):
        keep("/a", b"secret")
        modes = {path.name: stat.S_IMODE(path.stat().st_mode) for path in folder.rglob("*")}
        assert modes.pop("objects") == 0o700
        assert set(modes.values()) == {0o600}

    def test_odd_paths(self, backups, keep):
        for path in ("/a\nb", "/caf\udce9", '/"quoted"', "/\u2028"):
            keep(path, b"x")
        assert [path for path, _ in kept(backups)] == [
            "/a\nb",
            "/caf\udce9",
            '/"quoted"',
            "/\u2028",
        ]

    def test_too_large(self, folder, keep):
        small = Backups(str(folder), most_bytes=10)
        with pytest.raises(ApplyError, match="/a: 11 bytes are more than the backups may hold"):
            keep("/a", b"x" * 11, small)
        assert small.entries() == []
        keep("/a", b"x" * 10, small)

    @pytest.mark.parametrize("step", ["write", "fsync", "rename"])
    def test_a_failure_is_no_backup(self, backups, keep, folder, monkeypatch, step):
        def fail(*words, **options):
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

        keep("/first", b"first")
        with monkeypatch.context() as patch:
            patch.setattr(os, step, fail)
            with pytest.raises(ApplyError, match=r"/a: no backup can be made in .*No space left"):
                keep("/a", b"new")
        assert kept(backups) == [("/first", digest(b"first"))]
        assert objects(folder) == {digest(b"first")}


class TestRead:
    def test_damage_is_seen(self, backups, keep, folder):
        (folder / "objects" / keep("/a", b"old")).write_bytes(b"odl")
        with pytest.raises(ApplyError, match="is damaged"):
            backups.read(digest(b"old"))

    def test_what_is_not_there(self, backups):
        with pytest.raises(ApplyError, match="cannot be read: No such file"):
            backups.read(digest(b"never"))
        assert backups.entries() == []

    @pytest.mark.parametrize(
        "line",
        [
            b'{"time": 1, "path": "/x", "dig',
            b"",
            b"5",
            b"[]",
            b"null",
            b"\xff\xfe",
            b'{"time": 1, "path": "/x", "size": 1}',
            b'{"time": "now", "path": "/x", "digest": "d", "size": 1}',
            b'{"time": 1, "path": "/x", "digest": "d", "size": "1"}',
            b'{"time": 1, "path": ["/x"], "digest": "d", "size": 1}',
        ],
    )
    def test_a_corrupt_line_is_passed_over(self, backups, keep, folder, line):
        keep("/a", b"a")
        with open(folder / "index", "ab") as file:
            file.write(line + b"\n")
        keep("/b", b"b")
        assert [path for path, _ in kept(backups)] == ["/a", "/b"]
        backups.prune()

    def test_a_torn_line_does_not_take_the_next(self, backups, keep, folder):
        keep("/a", b"a")
        with open(folder / "index", "ab") as file:
            file.write(b'{"time": 1, "pa')
        keep("/b", b"b")
        assert [path for path, _ in kept(backups)] == ["/a", "/b"]


class TestPrune:
    def test_nothing_to_do(self, backups, keep, folder):
        backups.prune()
        keep("/a", b"1")
        before = (folder / "index").stat()
        backups.prune()
        assert (folder / "index").stat().st_ino == before.st_ino

    def test_by_age_but_not_the_original(self, backups, keep, folder):
        for content in (b"1", b"2", b"3"):
            keep("/a", content)
        keep("/b", b"4")
        age(folder, [200, 100, 10, 300])
        backups.prune()
        assert kept(backups) == [
            ("/a", digest(b"1")),
            ("/a", digest(b"3")),
            ("/b", digest(b"4")),
        ]
        assert objects(folder) == {digest(b"1"), digest(b"3"), digest(b"4")}

    def test_by_size_the_newest_stay(self, folder, keep):
        store = Backups(str(folder), most_bytes=30)
        for content in (b"1" * 10, b"2" * 10, b"3" * 10, b"4" * 10):
            keep("/a", content, store)
        store.prune()
        assert [d for _, d in kept(store)] == [digest(c * 10) for c in (b"1", b"3", b"4")]

    def test_originals_outlive_the_size_too(self, folder, keep):
        store = Backups(str(folder), most_bytes=10)
        for path in ("/a", "/b", "/c"):
            keep(path, path.encode() * 5, store)
        keep("/a", b"later", store)
        store.prune()
        assert [path for path, _ in kept(store)] == ["/a", "/b", "/c"]
        assert len(objects(folder)) == 3

    def test_a_shared_content_counts_once(self, folder, keep):
        store = Backups(str(folder), most_bytes=20)
        for path in ("/a", "/b", "/c"):
            keep(path, b"x" * 10, store)
            keep(path, b"y" * 10, store)
        store.prune()
        assert len(store.entries()) == 6

    def test_pruning_twice_is_pruning_once(self, folder, keep):
        store = Backups(str(folder), most_bytes=30)
        for i in range(6):
            keep("/a", bytes([i]) * 10, store)
        store.prune()
        once = kept(store)
        store.prune()
        assert kept(store) == once


def test_sweep_removes_what_was_staged(backups, keep, folder):
    backups.sweep()
    keep("/a", b"a")
    for place in (folder, folder / "objects"):
        (place / atomic.temporary_name()).write_bytes(b"half")
    backups.sweep()
    assert sorted(os.listdir(folder)) == ["index", "objects"]
    assert objects(folder) == {digest(b"a")}
