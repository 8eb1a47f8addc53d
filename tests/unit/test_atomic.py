"""Staging, renaming and sweeping below a directory descriptor."""

from __future__ import annotations

import errno
import os
import stat

import pytest

from converge.files import atomic


@pytest.fixture
def folder_fd(tmp_path):
    fd = os.open(tmp_path, os.O_PATH | os.O_DIRECTORY)
    yield fd
    os.close(fd)


def names(folder) -> list[str]:
    return sorted(os.listdir(folder))


def test_temporary_names_differ_and_are_ours():
    made = {atomic.temporary_name() for _ in range(100)}
    assert len(made) == 100
    assert all(atomic.is_temporary(name) for name in made)


@pytest.mark.parametrize(
    "name",
    [
        "",
        ".converge-.tmp",
        f".converge-{'a' * 32}",
        f"{'a' * 32}.tmp",
        f".converge-{'g' * 32}.tmp",
        f".converge-{'a' * 31}.tmp",
        f".converge-{'a' * 33}.tmp",
        f".converge-{'a' * 32}.tmp\n",
        f"x.converge-{'a' * 32}.tmp",
        f".converge-{'a' * 15}-{'a' * 16}.tmp",
    ],
)
def test_no_other_name_is_ours(name):
    assert not atomic.is_temporary(name)


def test_write_all_goes_on_after_a_short_write(tmp_path, monkeypatch):
    write = os.write
    monkeypatch.setattr(os, "write", lambda fd, data: write(fd, bytes(data[:3])))
    fd = os.open(tmp_path / "f", os.O_WRONLY | os.O_CREAT)
    atomic.write_all(fd, b"0123456789")
    os.close(fd)
    assert (tmp_path / "f").read_bytes() == b"0123456789"


def test_create_is_private_and_new(folder_fd, tmp_path):
    os.close(atomic.create(folder_fd, "f"))
    assert stat.S_IMODE((tmp_path / "f").stat().st_mode) == 0o600
    for name in ("f", "link", "dangling"):
        if name != "f":
            (tmp_path / name).symlink_to("f" if name == "link" else "gone")
        with pytest.raises(FileExistsError):
            atomic.create(folder_fd, name)
    assert not (tmp_path / "gone").exists()


def test_create_does_not_depend_on_the_umask(folder_fd, tmp_path):
    before = os.umask(0)
    try:
        os.close(atomic.create(folder_fd, "f"))
    finally:
        os.umask(before)
    assert stat.S_IMODE((tmp_path / "f").stat().st_mode) == 0o600


def test_replace(folder_fd, tmp_path):
    atomic.replace(folder_fd, "f", b"one")
    first = (tmp_path / "f").stat()
    atomic.replace(folder_fd, "f", b"two", 0o640)
    second = (tmp_path / "f").stat()
    assert (tmp_path / "f").read_bytes() == b"two"
    assert first.st_ino != second.st_ino
    assert (stat.S_IMODE(first.st_mode), stat.S_IMODE(second.st_mode)) == (0o600, 0o640)
    assert names(tmp_path) == ["f"]


def test_replace_takes_the_place_of_a_link_not_of_its_target(folder_fd, tmp_path):
    (tmp_path / "target").write_text("keep")
    (tmp_path / "f").symlink_to("target")
    atomic.replace(folder_fd, "f", b"new")
    assert (tmp_path / "target").read_text() == "keep"
    assert not (tmp_path / "f").is_symlink()


@pytest.mark.parametrize("step", ["write", "fchmod", "fsync", "rename"])
def test_a_failure_leaves_the_old_and_nothing_else(folder_fd, tmp_path, monkeypatch, step):
    atomic.replace(folder_fd, "f", b"old")

    def fail(*words, **options):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, step, fail)
    with pytest.raises(OSError, match="No space left"):
        atomic.replace(folder_fd, "f", b"new")
    assert (tmp_path / "f").read_bytes() == b"old"
    assert names(tmp_path) == ["f"]


def test_an_interrupt_leaves_nothing_either(folder_fd, tmp_path, monkeypatch):
    def interrupt(*words, **options):
        raise KeyboardInterrupt

    monkeypatch.setattr(os, "fsync", interrupt)
    with pytest.raises(KeyboardInterrupt):
        atomic.replace(folder_fd, "f", b"new")
    assert names(tmp_path) == []


def test_what_is_renamed_is_on_the_disk_and_then_its_name(folder_fd, monkeypatch):
    order = []
    sync, rename = os.fsync, os.rename

    def fsync(fd):
        order.append("directory" if stat.S_ISDIR(os.fstat(fd).st_mode) else "file")
        sync(fd)

    def note_rename(*words, **options):
        order.append("rename")
        rename(*words, **options)

    monkeypatch.setattr(os, "fsync", fsync)
    monkeypatch.setattr(os, "rename", note_rename)
    atomic.replace(folder_fd, "f", b"x")
    assert order == ["file", "rename", "directory"]


@pytest.mark.parametrize(("number", "raises"), [(errno.EINVAL, False), (errno.EIO, True)])
def test_sync_directory_where_there_is_no_way_to(folder_fd, monkeypatch, number, raises):
    def fail(fd):
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(os, "fsync", fail)
    if raises:
        with pytest.raises(OSError, match="Input/output"):
            atomic.sync_directory(folder_fd)
    else:
        atomic.sync_directory(folder_fd)


def test_discard(folder_fd, tmp_path):
    (tmp_path / "f").touch()
    (tmp_path / "d").mkdir()
    (tmp_path / "full/x").mkdir(parents=True)
    (tmp_path / "link").symlink_to("full")
    assert [atomic.discard(folder_fd, name) for name in ("f", "d", "link")] == [True] * 3
    assert [atomic.discard(folder_fd, name) for name in ("f", "full")] == [False] * 2
    assert names(tmp_path) == ["full"]


def test_sweep_takes_what_was_staged_alone(folder_fd, tmp_path):
    staged = [atomic.temporary_name() for _ in range(3)]
    (tmp_path / staged[0]).write_text("half")
    (tmp_path / staged[1]).symlink_to("/etc/passwd")
    (tmp_path / staged[2]).mkdir()
    others = [".converge-abc.tmp", f"x{staged[0]}", f"{staged[0]}x", "f", staged[0].upper()]
    for name in others:
        (tmp_path / name).touch()
    assert atomic.sweep(folder_fd) == 3
    assert names(tmp_path) == sorted(others)
    assert atomic.sweep(folder_fd) == 0
