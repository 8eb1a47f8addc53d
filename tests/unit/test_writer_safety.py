"""The one writer against backups that fail, files that change meanwhile, and full disks."""

from __future__ import annotations

import errno
import os

import pytest

from converge.errors import ApplyError
from converge.files import atomic
from converge.files.backup import Backups
from converge.system import System


@pytest.fixture
def root(tmp_path):
    (tmp_path / "root/etc").mkdir(parents=True)
    return tmp_path / "root"


@pytest.fixture
def backups(tmp_path):
    return Backups(str(tmp_path / "backups"))


@pytest.fixture
def system(root, backups):
    return System(str(root), backups=backups)


@pytest.fixture
def motd(root):
    path = root / "etc/motd"
    path.write_bytes(b"old")
    return path


def names(root) -> list[str]:
    return sorted(os.listdir(root / "etc"))


def contents(backups) -> list[bytes]:
    return [backups.read(entry["digest"]) for entry in backups.entries()]


class TestBackup:
    def test_before_the_change(self, system, motd, backups):
        seen = []
        system.write("/etc/motd", b"new", validate=lambda staged: seen.extend(contents(backups)))
        assert seen == [b"old"]
        [entry] = backups.entries()
        assert entry["path"] == "/etc/motd"

    def test_no_store_no_change(self, root, motd):
        with pytest.raises(ApplyError, match="no backup can be made") as caught:
            System(str(root)).write("/etc/motd", b"new")
        assert "`backup: false`" in str(caught.value)
        assert motd.read_bytes() == b"old"
        assert names(root) == ["motd"]

    def test_a_store_that_fails(self, system, motd, root, tmp_path):
        (tmp_path / "backups").write_text("a file, where a directory should be")
        with pytest.raises(ApplyError, match="no backup can be made"):
            system.write("/etc/motd", b"new")
        assert (motd.read_bytes(), names(root)) == (b"old", ["motd"])

    def test_none_is_wanted(self, root, motd):
        System(str(root)).write("/etc/motd", b"new", backup=False)
        assert motd.read_bytes() == b"new"

    def test_nothing_there_needs_none(self, root):
        System(str(root)).write("/etc/new", b"new")
        assert (root / "etc/new").read_bytes() == b"new"

    def test_before_a_removal(self, system, motd, backups, root):
        system.remove("/etc/motd")
        assert (contents(backups), names(root)) == ([b"old"], [])
        system.remove("/etc/motd")
        assert len(backups.entries()) == 1

    def test_no_store_no_removal(self, root, motd):
        with pytest.raises(ApplyError, match="no backup can be made"):
            System(str(root)).remove("/etc/motd")
        assert motd.exists()


class TestMeanwhile:
    def edit(self, motd, times):
        """Return a validation during which somebody else writes, so many times."""
        left = list(range(times))

        def validate(staged):
            if left:
                motd.write_bytes(f"theirs {left.pop()}".encode())

        return validate

    def test_once_is_taken_up(self, system, motd, backups, root):
        system.write("/etc/motd", b"new", validate=self.edit(motd, 1))
        assert motd.read_bytes() == b"new"
        assert contents(backups) == [b"old", b"theirs 0"]
        assert names(root) == ["motd"]

    def test_twice_is_given_up(self, system, motd, root):
        with pytest.raises(ApplyError, match="/etc/motd: someone else keeps changing it"):
            system.write("/etc/motd", b"new", validate=self.edit(motd, 2))
        assert motd.read_bytes() == b"theirs 0"
        assert names(root) == ["motd"]

    def test_a_file_that_appears(self, system, root, backups):
        path = root / "etc/new"
        system.write("/etc/new", b"ours", validate=self.edit(path, 1))
        assert path.read_bytes() == b"ours"
        assert contents(backups) == [b"theirs 0"]

    def test_a_file_that_goes(self, system, motd):
        system.write("/etc/motd", b"new", validate=lambda staged: motd.unlink(missing_ok=True))
        assert motd.read_bytes() == b"new"

    def test_a_link_that_appears(self, system, motd, root, tmp_path):
        (tmp_path / "target").write_text("keep")

        def swap(staged):
            motd.unlink()
            motd.symlink_to(tmp_path / "target")

        with pytest.raises(OSError, match="symbolic link"):
            system.write("/etc/motd", b"new", validate=swap)
        assert (tmp_path / "target").read_text() == "keep"
        assert names(root) == ["motd"]

    def test_only_the_attributes(self, system, motd):
        left = [0o600]

        def chmod(staged):
            if left:
                motd.chmod(left.pop())

        system.write("/etc/motd", b"new", validate=chmod)
        assert motd.stat().st_mode & 0o777 == 0o600  # theirs, not what it was before


class TestFailures:
    @pytest.mark.parametrize("step", ["write", "fsync", "rename", "fchmod"])
    def test_old_and_nothing_else(self, root, motd, monkeypatch, step):
        def fail(*words, **options):
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

        before = motd.stat().st_ctime_ns
        monkeypatch.setattr(os, step, fail)
        with pytest.raises(OSError, match="No space left") as caught:
            System(str(root)).write("/etc/motd", b"new", mode=0o711, backup=False)
        assert caught.value.filename == "/etc/motd"
        assert (motd.read_bytes(), motd.stat().st_ctime_ns) == (b"old", before)
        assert names(root) == ["motd"]

    def test_descriptors_are_closed(self, system, motd, monkeypatch):
        system.write("/etc/motd", b"new")
        before = len(os.listdir("/proc/self/fd"))

        def refuse(staged):
            raise ApplyError("no")

        for _ in range(5):
            system.write("/etc/motd", os.urandom(8))
            with pytest.raises(ApplyError):
                system.write("/etc/motd", b"x", validate=refuse)
        assert len(os.listdir("/proc/self/fd")) <= before

    def test_what_a_killed_run_staged_is_swept(self, system, motd, root):
        (root / "etc" / atomic.temporary_name()).write_bytes(b"half")
        system.write("/etc/motd", b"new")
        assert names(root) == ["motd"]

    def test_durable_before_it_is_seen(self, system, motd, monkeypatch):
        order = []
        sync, rename = os.fsync, os.rename

        def note_sync(fd):
            order.append(os.path.basename(os.readlink(f"/proc/self/fd/{fd}"))[:9])
            sync(fd)

        def note_rename(source, target, **options):
            order.append(f"rename to {target}")
            rename(source, target, **options)

        monkeypatch.setattr(os, "fsync", note_sync)
        monkeypatch.setattr(os, "rename", note_rename)
        system.write("/etc/motd", b"new", backup=False)
        assert order == [".converge", "rename to motd", "etc"]
