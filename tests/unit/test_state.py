"""The state directory: where it is, and what it keeps between runs."""

from __future__ import annotations

import json
import os
from types import SimpleNamespace

import pytest

from converge.errors import UsageError
from converge.state import directory as state
from converge.state import private


@pytest.fixture
def kept(tmp_path):
    return state.find(str(tmp_path / "state"))


def report(name="20250102T030405Z-abcdef", *, changed=0, failed=0):
    return {"version": 1, "id": name, "counts": {"changed": changed, "failed": failed}}


def everything(folder):
    for at, folders, files in os.walk(folder):
        yield from ((os.path.join(at, name), 0o700) for name in folders)
        yield from ((os.path.join(at, name), 0o600) for name in files)


class TestFind:
    def test_below_a_root(self, tmp_path):
        found = state.find(None, str(tmp_path))
        assert found.path == f"{tmp_path}/var/lib/converge"
        assert os.stat(found.path).st_mode & 0o7777 == 0o700
        assert state.find(None, str(tmp_path), "other").path == f"{tmp_path}/var/lib/other"

    def test_never_leaves_a_root(self, tmp_path):
        (tmp_path / "var").write_text("in the way")
        assert state.find(None, str(tmp_path)) is None
        assert os.listdir(tmp_path) == ["var"]

    def test_passes_over_what_cannot_be_made(self, tmp_path, monkeypatch):
        places = [f"{tmp_path}/file/x", f"{tmp_path}/x"]
        monkeypatch.setattr(private, "places", lambda *_: places)
        (tmp_path / "file").write_text("in the way")
        assert state.find(None).path == f"{tmp_path}/x"

    def test_a_volume_that_is_of_no_use_is_told_of(self, tmp_path, monkeypatch):
        volume = tmp_path / "var/lib/converge"
        volume.mkdir(parents=True)
        volume.chmod(0o777)
        assert state.find(None, str(tmp_path)) is None
        nowhere = "runs without state: no state directory can be written"
        assert state.told_of_place(None, None, str(tmp_path)) == [nowhere], "it is no volume"
        monkeypatch.setattr(os.path, "ismount", lambda path: path == str(volume))
        trouble = f"{volume} has mode 0777, which lets others in: chmod 0700"
        assert state.told_of_place(None, None, str(tmp_path)) == [f"{nowhere}; {trouble}"]
        elsewhere = state.find(f"{tmp_path}/s")
        told = [f"the state is in {tmp_path}/s, as {trouble}"]
        assert state.told_of_place(elsewhere, None, str(tmp_path)) == told
        assert state.told_of_place(elsewhere, f"{tmp_path}/s", str(tmp_path)) == []
        elsewhere.keep_report(report())
        assert state.told_of_place(elsewhere, None, str(tmp_path)) == [], "said once"
        volume.chmod(0o755)
        inside = state.find(None, str(tmp_path))
        assert inside.path.startswith(f"{volume}/")
        assert state.told_of_place(inside, None, str(tmp_path)) == []

    def test_explicit(self, tmp_path):
        assert state.find(f"{tmp_path}/a/b").path == f"{tmp_path}/a/b"
        (tmp_path / "a/b").chmod(0o755)
        for create in (True, False):
            with pytest.raises(UsageError, match=r"CONVERGE_STATE_DIR: .* mode 0755"):
                state.find(f"{tmp_path}/a/b", create=create)

    def test_without_create_nothing_is_made_or_changed(self, tmp_path):
        assert state.find(None, str(tmp_path), create=False) is None
        assert state.find(f"{tmp_path}/state", create=False) is None
        assert os.listdir(tmp_path) == []
        path = state.find(None, str(tmp_path)).path
        found = state.find(None, str(tmp_path), create=False)
        assert found.path == path
        with pytest.raises(OSError, match="only read"):
            found.set_pending({"service:a": ["file:b"]})
        assert os.listdir(path) == []

    def test_probing_a_good_directory_does_not_write(self, tmp_path):
        path = state.find(None, str(tmp_path)).path
        before = os.stat(path)
        state.find(None, str(tmp_path))
        after = os.stat(path)
        assert (before.st_ctime_ns, before.st_mtime_ns) == (after.st_ctime_ns, after.st_mtime_ns)


class TestReports:
    def test_the_last_is_plain_json(self, kept):
        assert kept.last_report() is None
        assert kept.keep_report(report()) is None
        with open(f"{kept.path}/report.json", encoding="utf-8") as file:
            assert json.load(file) == report()
        assert kept.last_report() == report()
        assert kept.reports() == []

    def test_what_changed_or_failed_joins_the_history(self, kept):
        assert kept.keep_report(report("a", changed=1)) == "a"
        assert kept.keep_report(report("b", failed=2)) == "b"
        assert kept.keep_report(report("c")) is None
        assert sorted(kept.reports()) == ["a", "b"]
        assert kept.report("a") == report("a", changed=1)
        assert kept.last_report()["id"] == "c"

    def test_newest_first_and_fifty_at_most(self, kept):
        names = [f"r{number:03}" for number in range(state.MOST_REPORTS + 3)]
        for name in names:
            kept.keep_report(report(name, changed=1))
        assert kept.reports() == names[::-1][: state.MOST_REPORTS]

    @pytest.mark.parametrize("name", ["", "../../etc/x", "a/b", ".hidden", "a" * 200])
    def test_an_id_is_never_a_path(self, kept, name):
        given = kept.keep_report(report(name, changed=1))
        assert kept.reports() == [given]
        assert given != name
        assert kept.report(name) is None

    @pytest.mark.parametrize("content", [b"", b"{", b"[]", b'"text"', b"\xff\xfe", b"nul"])
    def test_a_damaged_one_is_set_aside(self, kept, content):
        kept.keep_report(report("a", changed=1))
        for path in (f"{kept.path}/report.json", f"{kept.path}/reports/a.json"):
            with open(path, "wb") as file:
                file.write(content)
        assert kept.last_report() is None
        assert kept.report("a") is None
        assert kept.reports() == []
        assert kept.keep_report(report("a", changed=1)) == "a"

    def test_a_report_without_counts(self, kept):
        assert kept.keep_report({}) is None
        assert kept.last_report() == {}


class TestPending:
    def test_round_trip(self, kept):
        assert kept.pending() == {}
        kept.set_pending({"service:nginx": ["file:/etc/a", "file:/etc/b"]})
        assert state.find(kept.path).pending() == {"service:nginx": ["file:/etc/a", "file:/etc/b"]}

    def test_empty_removes_the_file(self, kept):
        kept.set_pending({"service:nginx": ["file:/etc/a"]})
        kept.set_pending({})
        kept.set_pending({})
        assert os.listdir(kept.path) == []

    @pytest.mark.parametrize("data", [[], "x", {"a": "b"}, {"a": [1]}, 3])
    def test_another_shape_counts_as_nothing(self, kept, data):
        kept.write_json("pending.json", data)
        assert kept.pending() == {}


class TestRunning:
    def test_round_trip(self, kept):
        assert kept.interrupted() is None
        kept.mark_running({"/etc", "/usr/local"})
        assert kept.interrupted() == ["/etc", "/usr/local"]
        kept.clear_running()
        kept.clear_running()
        assert kept.interrupted() is None

    def test_a_damaged_note_still_tells_of_the_run(self, kept):
        kept.mark_running(["/etc"])
        with open(f"{kept.path}/running.json", "r+b") as file:
            file.truncate(20)
        assert kept.interrupted() == []


def test_everything_is_private(kept, tmp_path):
    (tmp_path / "old").write_text("old")
    kept.keep_report(report("a", changed=1))
    kept.set_pending({"a": ["b"]})
    kept.mark_running(["/etc"])
    kept.journal.begin("/etc/hosts", b"old")
    with open(tmp_path / "old", "rb") as file:
        digest = kept.backups.keep("/etc/old", file.fileno())
    assert kept.backups.read(digest) == b"old"
    kept.write_json("garbage", 1)
    kept.set_aside("garbage")
    found = {path: os.lstat(path).st_mode & 0o7777 for path, _ in everything(kept.path)}
    assert found == dict(everything(kept.path))
    assert len(found) > 10


def test_caps_of_the_backups(tmp_path):
    kept = state.find(str(tmp_path / "state"), most_bytes=5, most_days=2)
    assert (kept.backups.most_bytes, kept.backups.most_days) == (5, 2)
    assert kept.backups is kept.backups


def test_backups_take_a_quarter_of_a_small_file_system(tmp_path, monkeypatch):
    kept = state.find(str(tmp_path / "state"))
    monkeypatch.setattr(os, "statvfs", lambda path: SimpleNamespace(f_blocks=1000, f_frsize=4096))
    assert kept.backups.most_bytes == 1_024_000
    assert kept.journal is kept.journal
