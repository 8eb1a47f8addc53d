"""What another user, or chance, may have put in a directory that the agent manages."""

from __future__ import annotations

import os
import socket

import pytest

from converge.errors import ApplyError, ConvergeError
from converge.files import atomic
from converge.files.backup import Backups
from faults import tracing
from faults.needs import need_mounts, need_root

OTHER = 4242


class TestWhatIsNoFile:
    @pytest.fixture(params=["fifo", "socket", "device", "directory", "link"])
    def thing(self, request, root, monkeypatch) -> str:
        path = root / "thing"
        if request.param == "fifo":
            os.mkfifo(path)
        elif request.param == "socket":
            monkeypatch.chdir(root)
            with socket.socket(socket.AF_UNIX) as listener:
                listener.bind("thing")
        elif request.param == "device":
            need_root()
            os.mknod(path, 0o20666, os.makedev(1, 5))  # /dev/zero: never ends
        elif request.param == "directory":
            path.mkdir()
        else:
            path.symlink_to("/dev/zero")
        return "/thing"

    def test_is_not_read_nor_replaced(self, thing, root, system):
        before = os.lstat(root / "thing")
        for change in (system.read, system.digest, lambda path: system.write(path, b"x")):
            with pytest.raises(OSError, match="/thing"):
                change(thing)
        assert os.lstat(root / "thing") == before


class TestNames:
    @pytest.mark.parametrize(
        "name", [b"caf\xe9", b"\xff\xfe", b"n" * 255, "é".encode() * 127, b"a b\n'\"\\$(x)", b"-rf"]
    )
    def test_are_bytes(self, name, root, system, tmp_path, way):
        path = "/" + os.fsdecode(name)
        system.make_directory(path)
        system.write(f"{path}{path}", b"old")
        system.write(f"{path}{path}", b"new")
        system.set_attributes(f"{path}{path}", mode=0o600)
        assert system.list("/") == [path[1:]]
        assert system.read(f"{path}{path}") == b"new"
        assert os.listdir(os.fsencode(root) + b"/" + name) == [name]
        entries = Backups(str(tmp_path / "backups")).entries()
        assert [entry["path"] for entry in entries] == [f"{path}{path}"]
        system.remove_tree(path)
        assert system.list("/") == []


class TestTrees:
    def test_of_any_depth_are_removed_with_few_descriptors(self, root, system):
        depth = 3000  # three times the limit of Python's recursion and of open files
        fd = os.open(root, os.O_RDONLY)
        for _ in range(depth):
            os.mkdir("d", dir_fd=fd)
            below = os.open("d", os.O_RDONLY | os.O_DIRECTORY, dir_fd=fd)
            os.close(fd)
            fd = below
        os.close(os.open("file", os.O_CREAT, dir_fd=fd))
        os.close(fd)
        system.remove_tree("/d")
        assert os.listdir(root) == []

    def test_links_in_it_go_and_what_they_point_at_stays(self, root, system, tmp_path):
        (tmp_path / "victim").mkdir()
        (tmp_path / "victim/file").write_bytes(b"x")
        (root / "tree").mkdir()
        (root / "tree/absolute").symlink_to(tmp_path / "victim")
        (root / "tree/up").symlink_to("..")
        system.remove_tree("/tree")
        assert os.listdir(root) == []
        assert (tmp_path / "victim/file").read_bytes() == b"x"

    def test_one_that_is_moved_meanwhile_stops(self, root, system, monkeypatch):
        """The way up is no longer the way down: nothing is removed there."""
        (root / "tree/inner").mkdir(parents=True)
        (root / "tree/inner/file").touch()
        (root / "elsewhere").mkdir()
        (root / "elsewhere/keep").touch()
        unlink = os.unlink

        def move(name, **options):
            unlink(name, **options)
            (root / "tree/inner").rename(root / "elsewhere/inner")

        monkeypatch.setattr(os, "unlink", move)
        with pytest.raises(ApplyError, match="was moved"):
            system.remove_tree("/tree", backup=False)
        assert sorted(os.listdir(root / "elsewhere")) == ["inner", "keep"]

    def test_a_mount_is_seen_through_a_link_too(self, root, tmp_path):
        need_mounts()
        (root / "run/app/mounted").mkdir(parents=True)
        (root / "var").mkdir()
        (root / "var/run").symlink_to("../run")
        (tmp_path / "volume").mkdir()
        (tmp_path / "volume/data").write_bytes(b"x")
        work = (
            "import sys; from converge.system import System\n"
            "System(sys.argv[1]).remove_tree('/var/run/app', backup=False)"
        )
        argv = [*tracing.PYTHON, "-c", work, str(root)]
        ended = tracing.run(tracing.mounted(argv, tmp_path / "volume", root / "run/app/mounted"))
        assert "is a mount" in ended.stderr
        assert (tmp_path / "volume/data").read_bytes() == b"x"


class TestWhatWasSwapped:
    """Between our making a thing and our opening it, its directory's owner put theirs there."""

    def test_a_directory_is_not_given_away(self, root, others, system, monkeypatch):
        need_root()
        mkdir = os.mkdir

        def swapped(name, mode, *, dir_fd):
            mkdir(name, mode, dir_fd=dir_fd)
            os.chown(name, OTHER, OTHER, dir_fd=dir_fd)

        monkeypatch.setattr(os, "mkdir", swapped)
        with pytest.raises(ApplyError, match="another user"):
            system.make_directory("/others/made", uid=0)
        assert os.listdir(others) == []

    def test_nor_a_link(self, root, others, system, monkeypatch):
        (root / "shadow").touch()

        def swapped(target, name, *, dir_fd):
            os.link(root / "shadow", name, dst_dir_fd=dir_fd)

        monkeypatch.setattr(os, "symlink", swapped)
        with pytest.raises((ConvergeError, OSError)):
            system.make_symlink("/others/made", "x", uid=OTHER)
        assert (root / "shadow").stat().st_uid == os.geteuid()
        assert os.listdir(others) == []


def test_what_another_agent_sweeps_is_staged_again(root, system, monkeypatch):
    """Two containers that share a volume have a lock each, and the same names for staged files."""
    rename = os.rename
    swept: list[int] = []

    def too_late(source, target, *, src_dir_fd, dst_dir_fd):
        if not swept:
            swept.append(atomic.sweep(src_dir_fd))
        rename(source, target, src_dir_fd=src_dir_fd, dst_dir_fd=dst_dir_fd)

    monkeypatch.setattr(os, "rename", too_late)
    system.write("/file", b"x")
    assert swept == [1]
    assert (root / "file").read_bytes() == b"x"
