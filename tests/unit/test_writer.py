"""The one writer: a file is old or new, keeps what is not asked to change, and nothing stays behind."""

from __future__ import annotations

import os
import stat

import pytest

from converge.errors import ApplyError
from converge.files.backup import Backups
from converge.files.journal import Journal
from converge.system import System


@pytest.fixture
def root(tmp_path):
    (tmp_path / "root/etc").mkdir(parents=True)
    return tmp_path / "root"


@pytest.fixture
def state(tmp_path):
    (tmp_path / "state").mkdir()
    return tmp_path / "state"


@pytest.fixture
def backups(state):
    return Backups(str(state / "backups"))


@pytest.fixture
def system(root, state, backups):
    return System(str(root), backups=backups, journal=Journal(str(state / "journal")))


@pytest.fixture
def motd(root):
    path = root / "etc/motd"
    path.write_bytes(b"old")
    path.chmod(0o640)
    return path


def names(root) -> list[str]:
    return sorted(os.listdir(root / "etc"))


def stamp(path) -> tuple[int, ...]:
    """Return what moves when a file is replaced, written or dressed (not when it is read)."""
    found = path.stat()
    return (found.st_ino, found.st_mode, found.st_mtime_ns, found.st_ctime_ns)


def mode(path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


class TestNew:
    def test_defaults(self, system, root, backups):
        before = os.umask(0o077)
        try:
            system.write("/etc/motd", b"hello")
        finally:
            os.umask(before)
        path = root / "etc/motd"
        assert path.read_bytes() == b"hello"
        assert (mode(path), path.stat().st_uid) == (0o644, os.geteuid())
        assert names(root) == ["motd"]
        assert backups.entries() == []

    def test_with_owner_and_mode(self, system, root):
        system.write("/etc/motd", b"x", uid=os.geteuid(), gid=os.getegid(), mode=0o4711)
        assert mode(root / "etc/motd") == 0o4711

    def test_it_is_never_more_open_than_it_will_be(self, system, root):
        def look(staged):
            assert stat.S_IMODE(os.stat(staged).st_mode) == 0o600

        system.write("/etc/secret", b"x", mode=0o600, validate=look)
        assert mode(root / "etc/secret") == 0o600

    def test_empty(self, system, root):
        system.write("/etc/motd")
        assert (root / "etc/motd").read_bytes() == b""

    def test_from_a_descriptor_from_its_beginning(self, system, root, tmp_path):
        content = os.urandom(3 << 20)
        (tmp_path / "source").write_bytes(content)
        with open(tmp_path / "source", "rb", buffering=0) as source:
            source.read(100)
            system.write("/etc/motd", source_fd=source.fileno())
        assert (root / "etc/motd").read_bytes() == content

    def test_no_directory(self, system):
        with pytest.raises(FileNotFoundError) as caught:
            system.write("/opt/none/motd", b"x")
        assert caught.value.filename == "/opt/none"


class TestExisting:
    def test_mode_owner_and_name_stay(self, system, motd):
        before = motd.stat()
        system.write("/etc/motd", b"new")
        after = motd.stat()
        assert motd.read_bytes() == b"new"
        assert (after.st_mode, after.st_uid, after.st_gid) == (
            before.st_mode,
            before.st_uid,
            before.st_gid,
        )
        assert after.st_ino != before.st_ino

    def test_another_owner(self, system, motd):
        uid, gid = (12345, 23456) if os.geteuid() == 0 else (os.geteuid(), os.getegid())
        os.chown(motd, uid, gid)
        motd.chmod(0o6755)
        system.write("/etc/motd", b"new")
        assert (motd.stat().st_uid, motd.stat().st_gid, mode(motd)) == (uid, gid, 0o6755)
        if os.geteuid() == 0:
            system.write("/etc/motd", uid=0)
            assert (motd.stat().st_uid, mode(motd)) == (0, 0o755)  # chown(2) drops these bits

    def test_who_has_it_open_reads_the_old(self, system, motd):
        with open(motd, "rb") as file:
            system.write("/etc/motd", b"new")
            assert file.read() == b"old"

    def test_content_stays_where_only_the_mode_is_asked(self, system, motd):
        system.write("/etc/motd", mode=0o600)
        assert (motd.read_bytes(), mode(motd)) == (b"old", 0o600)

    def test_other_names_keep_the_old(self, system, motd, root):
        os.link(motd, root / "etc/other")
        system.write("/etc/motd", b"new")
        assert ((root / "etc/other").read_bytes(), motd.stat().st_nlink) == (b"old", 1)

    def test_extended_attributes(self, system, motd):
        # An access list: user::rw-, user:12345:r--, group::r--, mask::r--, other::---
        entries = [(1, 6, -1), (2, 4, 12345), (4, 4, -1), (16, 4, -1), (32, 0, -1)]
        acl = (2).to_bytes(4, "little") + b"".join(
            tag.to_bytes(2, "little")
            + bits.to_bytes(2, "little")
            + (who & 0xFFFFFFFF).to_bytes(4, "little")
            for tag, bits, who in entries
        )
        wanted = {"user.origin": b"here", "system.posix_acl_access": acl}
        for name, value in list(wanted.items()):
            try:
                os.setxattr(motd, name, value)
            except OSError:  # this file system has none, so that there is nothing to keep
                del wanted[name]
        before = mode(motd)
        system.write("/etc/motd", b"new")
        assert {name: os.getxattr(motd, name) for name in wanted} == wanted
        assert mode(motd) == before

    @pytest.mark.parametrize("kind", ["link", "directory", "fifo"])
    def test_what_is_no_file_stays(self, system, root, tmp_path, kind):
        path = root / "etc/motd"
        (tmp_path / "target").write_text("keep")
        if kind == "link":
            path.symlink_to(tmp_path / "target")
        elif kind == "directory":
            path.mkdir()
        else:
            os.mkfifo(path)
        before = path.lstat()
        with pytest.raises(OSError, match=r"symbolic link is in the way|not a regular file"):
            system.write("/etc/motd", b"new")
        assert path.lstat().st_ino == before.st_ino
        assert (tmp_path / "target").read_text() == "keep"
        assert names(root) == ["motd"]


class TestAttributes:
    def test_what_holds_is_not_set_again(self, system, motd):
        before = motd.stat()
        system.set_attributes("/etc/motd", uid=before.st_uid, gid=before.st_gid, mode=0o640)
        system.set_attributes("/etc/motd")
        assert motd.stat().st_ctime_ns == before.st_ctime_ns

    def test_only_what_differs_is_set(self, system, motd, monkeypatch):
        def chown(*words, **options):
            raise AssertionError("nothing to chown")

        monkeypatch.setattr(os, "chown", chown)
        system.set_attributes("/etc/motd", uid=os.geteuid(), mode=0o600)
        assert mode(motd) == 0o600

    def test_a_link_is_not_followed(self, system, root, tmp_path):
        (tmp_path / "target").touch(0o600)
        (root / "etc/link").symlink_to(tmp_path / "target")
        with pytest.raises(OSError, match="no mode of its own"):
            system.set_attributes("/etc/link", mode=0o777)
        assert mode(tmp_path / "target") == 0o600


class TestValidate:
    def test_sees_what_would_be_there(self, system, motd):
        seen = []

        def look(staged):
            assert os.path.dirname(staged) == str(motd.parent)
            with open(staged, "rb") as file:
                seen.append(file.read())

        system.write("/etc/motd", b"new", validate=look)
        assert (seen, motd.read_bytes()) == ([b"new"], b"new")

    @pytest.mark.parametrize("error", [ApplyError("line 3"), KeyboardInterrupt(), OSError("x")])
    def test_raising_leaves_the_old_and_nothing_else(self, system, motd, root, error):
        def refuse(staged):
            raise error

        before = stamp(motd)
        with pytest.raises(type(error)):
            system.write("/etc/motd", b"new", mode=0o777, validate=refuse)
        assert (motd.read_bytes(), stamp(motd)) == (b"old", before)
        assert names(root) == ["motd"]
