"""Bundles as files: the same for the same folder, and hostile ones refused."""

from __future__ import annotations

import gzip
import io
import tarfile

import pytest

from converge.bundle import packing
from converge.bundle.packing import BundleError, pack, unpack
from converge.errors import UsageError
from unit.bundles import folder, packed


def archive(*members, compress=gzip.compress):
    """Return a .tar.gz of (name, content or a TarInfo's changes)."""
    raw = io.BytesIO()
    with tarfile.open(fileobj=raw, mode="w") as tar:
        for name, content in [("profile.yaml", b"resources: []\n"), *members]:
            entry = tarfile.TarInfo(name)
            if isinstance(content, bytes):
                entry.size = len(content)
                tar.addfile(entry, io.BytesIO(content))
            else:
                for field, value in content.items():
                    setattr(entry, field, value)
                tar.addfile(entry)
    return compress(raw.getvalue())


def test_a_folder_there_and_back(tmp_path):
    made = folder(tmp_path / "web")
    (made / "files").mkdir()
    (made / "files/motd").write_bytes(b"hello\n")
    (made / ".git").mkdir()
    (made / ".git/config").write_text("x")
    (made / "..data").write_text("x")
    bundle = unpack(pack(str(made), {"rollout": {"percent": 10}}))
    assert set(bundle.files) == {"bundle.json", "profile.yaml", "files/motd"}
    assert bundle.files["files/motd"] == b"hello\n"
    assert bundle.rollout == {"percent": 10}
    assert bundle.profile == "profile.yaml"


def test_the_same_folder_gives_the_same_bytes(tmp_path):
    assert packed(tmp_path / "one") == packed(tmp_path / "two")


def test_links_are_not_packed(tmp_path):
    (folder(tmp_path / "web") / "link").symlink_to("/etc/shadow")
    with pytest.raises(UsageError, match="not a regular file"):
        pack(str(tmp_path / "web"), {})


def test_a_folder_without_a_profile(tmp_path):
    with pytest.raises(BundleError, match=r"no profile\.yaml"):
        pack(str(tmp_path), {})


@pytest.mark.parametrize(
    "member",
    [
        ("../etc/passwd", b"x"), ("/etc/passwd", b"x"), ("a/../../b", b"x"), ("a//b", b"x"),
        ("./a/./b", b"x"), ("link", {"type": tarfile.SYMTYPE, "linkname": "/etc/shadow"}),
        ("hard", {"type": tarfile.LNKTYPE, "linkname": "profile.yaml"}),
        ("device", {"type": tarfile.CHRTYPE}), ("fifo", {"type": tarfile.FIFOTYPE}),
        ("profile.yaml", b"twice"),
    ],
    ids=lambda member: member[0],
)  # fmt: skip
def test_members_that_are_refused(member):
    with pytest.raises(BundleError):
        unpack(archive(member))


def test_decompression_bombs():
    with pytest.raises(BundleError, match="unpacks to more"):
        unpack(gzip.compress(bytes(packing.MOST_UNPACKED + 1)))
    with pytest.raises(BundleError, match="unpacks to more"):
        unpack(gzip.compress(bytes(4 << 20)))  # 4 MiB of 4 KiB


def test_too_large_and_too_many(monkeypatch):
    with pytest.raises(BundleError, match="larger"):
        unpack(bytes(packing.MOST_BYTES + 1))
    monkeypatch.setattr(packing, "MOST_FILES", 3)
    with pytest.raises(BundleError, match="more than 3"):
        unpack(archive(*((f"{i}", b"") for i in range(3))))


def test_truncation_at_each_byte(tmp_path):
    good = packed(tmp_path / "web")
    for end in range(len(good)):
        with pytest.raises(BundleError):
            unpack(good[:end])
    with pytest.raises(BundleError, match="something follows"):
        unpack(good + b"x")


@pytest.mark.parametrize("meta", [b"[]", b"{", b'{"version": 2}', b'{"version": 1, "profile": 1}'])
def test_metadata_that_is_wrong(meta):
    with pytest.raises(BundleError):
        unpack(archive(("bundle.json", meta)))


@pytest.mark.parametrize("text", [b"", b"x" * 1000, b"\x1f\x8b" + bytes(100)])
def test_what_is_no_archive(text):
    with pytest.raises(BundleError):
        unpack(text)
