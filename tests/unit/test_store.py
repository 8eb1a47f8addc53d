"""Files of our own: whole or set aside, never an exception."""

from __future__ import annotations

import errno
import os

import pytest

from converge.state import store
from converge.state.store import Store


@pytest.fixture
def kept(tmp_path):
    return Store(str(tmp_path))


def corrupt(tmp_path):
    return sorted(name for name in os.listdir(tmp_path) if ".corrupt-" in name)


def test_write_and_read(kept, tmp_path):
    kept.write("a", b"\x00one")
    kept.write("a", b"two")
    assert kept.read("a") == b"two"
    assert os.stat(tmp_path / "a").st_mode & 0o7777 == 0o600
    assert os.listdir(tmp_path) == ["a"]


def test_a_folder_is_private(kept, tmp_path):
    kept.write("folder/a", b"x")
    assert kept.read("folder/a") == b"x"
    assert os.stat(tmp_path / "folder").st_mode & 0o7777 == 0o700


def test_nothing_there(kept):
    assert kept.read("a") is None
    assert kept.read("no/a") is None
    assert kept.read_json("a") is None
    kept.remove("a")
    kept.remove("no/a")


def test_remove(kept, tmp_path):
    kept.write("a", b"x")
    kept.remove("a")
    assert os.listdir(tmp_path) == []


@pytest.mark.parametrize("data", [None, [], {"a": [1, 2.5, "ü\udc80", None, True]}, "x" * 100_000])
def test_json_round_trip(kept, data):
    kept.write_json("a", data)
    assert kept.read_json("a") == data


def test_every_truncation_is_set_aside(kept, tmp_path):
    kept.write_json("a", {"key": ["value"]})
    whole = (tmp_path / "a").read_bytes()
    for size in range(len(whole)):
        (tmp_path / "a").write_bytes(whole[:size])
        assert kept.read_json("a") is None, size
        assert not (tmp_path / "a").exists()
    assert len(corrupt(tmp_path)) == store.MOST_CORRUPT


def test_every_flipped_byte_is_set_aside(kept, tmp_path):
    kept.write_json("a", {"key": ["value"]})
    whole = (tmp_path / "a").read_bytes()
    for place in range(len(whole)):
        for mask in (0x01, 0x20, 0xFF):
            flipped = bytearray(whole)
            flipped[place] ^= mask
            (tmp_path / "a").write_bytes(flipped)
            if mask == 0x20 and b"0" <= whole[place : place + 1].upper() <= b"F":
                continue  # another case of a hex digit may be the same number
            assert kept.read_json("a") is None, (place, mask)


@pytest.mark.parametrize(
    "content",
    [b"", b"{}", b"\0" * 4096, b"converge-state 2 00000000\n", b"converge-state 1 00000000\n"],
)
def test_garbage_is_set_aside(kept, tmp_path, content):
    (tmp_path / "a").write_bytes(content)
    assert kept.read_json("a") is None
    (name,) = corrupt(tmp_path)
    assert name.startswith("a.corrupt-")
    assert (tmp_path / name).read_bytes() == content


def test_a_newer_version_is_set_aside_whole(kept, tmp_path):
    kept.write_json("a", {"key": 1})
    newer = (tmp_path / "a").read_bytes().replace(b"converge-state 1", b"converge-state 2")
    (tmp_path / "a").write_bytes(newer)
    assert kept.read_json("a") is None
    assert (tmp_path / corrupt(tmp_path)[0]).read_bytes() == newer


def test_deep_nesting_is_set_aside(kept, tmp_path):
    assert kept.parse("a", b"[" * 1_000_000) is None


def test_what_is_no_regular_file_is_set_aside(kept, tmp_path):
    (tmp_path / "directory").mkdir()
    os.mkfifo(tmp_path / "fifo")
    (tmp_path / "link").symlink_to("/etc/passwd")
    for name in ("directory", "fifo", "link"):
        assert kept.read(name) is None
        assert not os.path.lexists(tmp_path / name)
    assert len(corrupt(tmp_path)) == 3


def test_keeps_the_last_five(kept, tmp_path):
    for number in range(8):
        (tmp_path / f"a{number}").write_bytes(b"")
        assert kept.read_json(f"a{number}") is None
    assert len(corrupt(tmp_path)) == store.MOST_CORRUPT
    assert any(name.startswith("a7.") for name in corrupt(tmp_path))


def test_read_only_changes_nothing(kept, tmp_path):
    (tmp_path / "a").write_bytes(b"garbage")
    reader = Store(str(tmp_path), read_only=True)
    assert reader.read_json("a") is None
    for change in (lambda: reader.write("b", b""), lambda: reader.remove("a")):
        with pytest.raises(OSError, match="only read") as raised:
            change()
        assert raised.value.errno == errno.EROFS
    assert os.listdir(tmp_path) == ["a"]


def test_a_failed_write_leaves_the_old_content(kept, tmp_path, monkeypatch):
    kept.write("a", b"old")

    def full(fd):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match="No space left"):
        kept.write("a", b"new")
    monkeypatch.undo()
    assert kept.read("a") == b"old"
    assert os.listdir(tmp_path) == ["a"]
