"""What a kill, a full disk or a bit that flips leaves in the state: no run stops for it."""

from __future__ import annotations

import os

import pytest

from converge import config, runner
from converge.files import atomic
from converge.files.backup import Backups
from converge.files.journal import Journal

OTHER = 4242


class TestLeftovers:
    def test_are_swept_whoever_owns_them_by_now(self, root, system):
        name = atomic.temporary_name()
        (root / name).write_bytes(b"half")
        if os.geteuid() == 0:
            os.chown(root / name, OTHER, OTHER)
        (root / atomic.temporary_name()).mkdir()
        (root / "link.tmp").symlink_to("x")
        assert system.sweep("/") == 2
        assert os.listdir(root) == ["link.tmp"]

    def test_in_the_state_are_swept_too(self, system, tmp_path):
        for folder in ("backups/objects", "journal"):
            (tmp_path / folder).mkdir(parents=True, mode=0o700)
            (tmp_path / folder / atomic.temporary_name()).touch()
        (tmp_path / "journal/0123.old").touch()
        assert system.recover() == []
        assert list((tmp_path / "journal").iterdir()) == []
        assert list((tmp_path / "backups/objects").iterdir()) == []


class TestDamagedState:
    def test_a_torn_line_costs_one_backup_not_two(self, root, system, tmp_path):
        (root / "file").write_bytes(b"one")
        system.write("/file", b"two")
        index = tmp_path / "backups/index"
        index.write_bytes(index.read_bytes()[:-20])
        system.write("/file", b"three")
        store = Backups(str(tmp_path / "backups"))
        assert [store.read(entry["digest"]) for entry in store.entries()] == [b"two"]

    @pytest.mark.parametrize("cut", range(0, 120, 7))
    def test_a_damaged_journal_stops_no_run(self, cut, root, system, tmp_path):
        journal = Journal(str(tmp_path / "journal"))
        entry = journal.begin("/file", b"old")
        note = tmp_path / f"journal/{entry}.json"
        note.write_bytes(note.read_bytes()[:cut])
        (root / "file").write_bytes(b"new")
        recovered = system.recover()
        if recovered:
            assert (root / "file").read_bytes() == b"old"
        else:
            assert (root / "file").read_bytes() == b"new"
            assert "damaged" in system.journal.pending[0]
            assert (tmp_path / f"journal/{entry}.corrupt").exists()
            assert system.recover() == []
            assert system.journal.pending == [], "it is told once"

    def test_a_damaged_old_content_is_not_put_back(self, root, system, tmp_path):
        entry = Journal(str(tmp_path / "journal")).begin("/file", b"old content")
        (tmp_path / f"journal/{entry}.old").write_bytes(b"old con")
        (root / "file").write_bytes(b"new")
        assert system.recover() == []
        assert (root / "file").read_bytes() == b"new"

    def test_what_has_gone_needs_no_putting_back(self, root, system, tmp_path):
        Journal(str(tmp_path / "journal")).begin("/gone", b"old")
        assert system.recover() == []
        assert system.journal.pending == []
        assert os.listdir(tmp_path / "journal") == []


class TestFoldersOfTheState:
    @pytest.mark.parametrize("folder", ["backups", "backups/objects", "journal", "reports"])
    @pytest.mark.parametrize("what", ["a file", "a link", "a link to nothing"])
    def test_in_whose_place_is_something_else(self, folder, what, root, tmp_path):
        profile = tmp_path / "p.yaml"
        profile.write_text("resources: [{file: /motd, content: good}]")
        state = tmp_path / "own/state"
        flags = {"root": str(root), "profile": str(profile), "state_dir": str(state)}
        settings = config.load({**flags, "runtime_dir": f"{tmp_path}/own/run"}, {})
        (root / "motd").write_text("old")
        assert runner.once(settings)["exit_code"] == 0
        taken = state / folder
        if taken.exists():
            taken.rename(tmp_path / "away")
        if what == "a file":
            taken.write_text("no folder")
        else:
            taken.symlink_to("/etc/passwd" if what == "a link" else "nothing")
        (root / "motd").write_text("bad")
        assert runner.once(settings)["exit_code"] == 0
        assert (root / "motd").read_text() == "good"
        assert len(list(state.rglob("*.corrupt-*"))) == 1
        assert runner.once(settings)["counts"]["in_sync"] == 1
