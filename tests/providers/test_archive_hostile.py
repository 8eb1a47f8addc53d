"""Archives that would write or lead elsewhere, or fill disk or memory: none is extracted."""

from __future__ import annotations

import bz2
import gzip
import io
import lzma
import os
import tarfile
import zipfile

import pytest

from converge.testing import FakeSystem, make_spec, plan, snapshot
from converge_resources.archives.members import members
from converge_resources.archives.plan import mode_of
from converge_resources.archives.plan import plan as plan_archive
from converge_resources.archives.stream import ArchiveError, Stream
from providers.fake_tree import refused
from providers.packing import Item, directory, hard, link, tar, zipped

CHR, FIFO, BLK = tarfile.CHRTYPE, tarfile.FIFOTYPE, tarfile.BLKTYPE
BAD = b"#!/bin/sh\necho pwned\n"


@pytest.fixture
def machine(tmp_path):
    """A fake root with a directory to extract into, and things beside it that must stay."""
    root = tmp_path / "root"
    for folder in (root / "srv/app/there", root / "etc", root / "tmp"):
        folder.mkdir(parents=True)
    (root / "etc/passwd").write_text("root:x:0:0::/:/bin/sh\n")
    (root / "etc/group").write_text("root:x:0:\n")
    (root / "srv/outside").write_text("outside")
    (root / "srv/app/out").symlink_to("/etc")
    return root


def refuse(machine, content: bytes, why: str, **declared) -> None:
    """Extract; it must be refused for this reason with nothing touched."""
    from converge import kinds

    (machine / "tmp/archive").write_bytes(content)
    spec = make_spec("archive", **{"name": "/srv/app", "source": "/tmp/archive", **declared})
    refused(kinds.load("archive"), FakeSystem(machine), spec, why)


ZIP_SLIP = [
    ([Item("../evil", BAD)], "leads out"),
    ([Item("a/../../evil", BAD)], "leads out"),
    ([Item("/srv/outside", BAD)], "leads out"),
    ([Item("//etc/passwd", BAD)], "leads out"),
    ([Item("a/..", BAD)], "leads out"),
    ([Item("..", BAD)], "leads out"),
    ([link("a", "/etc")], "leads outside"),
    ([link("a", "../outside")], "leads outside"),
    ([link("a", "b/../../outside")], "leads outside"),
    ([directory("d"), link("d/a", "../../outside")], "leads outside"),
    ([link("a", "/etc"), Item("a/passwd", BAD)], "goes through|leads outside"),
    ([directory("d"), link("a", "d"), Item("a/x", BAD)], "goes through"),
    ([Item("a/x", b"1"), link("a", "/etc")], "there twice"),
    ([Item("a", b"1"), Item("a/b", b"2")], "goes through"),
    ([Item("a/b", b"2"), Item("a", b"1")], "there twice"),
    # Each link is fine for itself; together they climb (CVE-2025-4517 is of this family).
    ([directory("d/e"), link("up", "d/e"), link("x", "up/../../.."), link("y", "x/outside")], "outside"),
    ([directory("d"), link("d/up", "."), link("x", "d/up/up/../../outside")], "leads outside"),
    ([link("a", "b"), link("b", "a")], "leads outside"),
    ([link("a", "a")], "leads outside"),
    ([Item("a", b"1"), Item("a", b"2")], "there twice"),
    ([Item("a", b"1"), Item("./a", b"2")], "there twice"),
    ([Item("a", b"1"), Item("b//../a", b"2")], "leads out"),
    ([link("a", "x"), Item("a", BAD)], "there twice"),
    ([Item("dev", type=CHR)], "device"),
    ([Item("a\nb", BAD)], "control characters"),
    ([Item("a\x1b[31m", BAD)], "control characters"),
    ([link("a", "b\nc")], "control characters"),
    ([Item("opt/converge/agent", BAD)], "protected"),
]  # fmt: skip


@pytest.mark.parametrize(("items", "why"), ZIP_SLIP)
@pytest.mark.parametrize("pack", [tar, zipped])
def test_zip_slip(machine, pack, items, why, monkeypatch):
    name = "/srv/app"
    if why == "protected":
        monkeypatch.setattr(
            "converge.language.protect.own_paths", lambda state: ["/srv/app/opt/converge"]
        )
    refuse(machine, pack(*items), why, name=name)


@pytest.mark.parametrize(
    ("items", "why"),
    [
        ([hard("a", "/etc/passwd")], "leads out"),
        ([hard("a", "../outside")], "leads out"),
        ([hard("a", "there/x")], "no file of the archive"),
        ([hard("a", "b"), Item("b", b"1")], "no file of the archive"),
        ([directory("d"), hard("a", "d")], "no file of the archive"),
        ([link("l", "x"), hard("a", "l")], "no file of the archive"),
        ([hard("a", "a")], "no file of the archive"),
        ([Item("a", type=FIFO)], "device, pipe"),
        ([Item("a", type=BLK)], "device"),
        ([Item("a", b"1", type=b"Z")], "device"),
    ],
)
def test_links_and_devices_of_tar(machine, items, why):
    refuse(machine, tar(*items), why)


def test_a_link_in_the_way_is_not_followed(machine):
    refuse(machine, tar(Item("out/passwd", BAD)), "a symlink is in the way at /srv/app/out")
    assert (machine / "etc/passwd").read_text().startswith("root:")


def test_with_force_a_link_in_the_way_is_replaced(machine):
    from converge import kinds

    provider, system = kinds.load("archive"), FakeSystem(machine)
    (machine / "tmp/archive").write_bytes(tar(Item("out/passwd", b"mine")))
    spec = make_spec("archive", name="/srv/app", source="/tmp/archive", force=True)
    provider.apply(plan(provider, [spec], system), system)
    assert (machine / "srv/app/out/passwd").read_text() == "mine"
    assert (machine / "etc/passwd").read_text().startswith("root:")


def test_as_root_of_the_file_system_the_agent_is_protected(machine):
    import converge

    path = os.path.dirname(converge.__file__) + "/engine.py"
    refuse(machine, tar(Item(path.lstrip("/"), BAD)), "belongs to the agent", name="/")
    refuse(
        machine,
        tar(Item("etc/passwd", BAD, mode=0o644), link("etc/group", "x")),
        "cannot do",
        name="/",
    )


class TestNumbers:
    def test_too_many_files(self, machine):
        items = [Item(f"f{n}") for n in range(20)]
        refuse(machine, tar(*items), "more than 10 files", max_files=10)
        refuse(machine, zipped(*items), "more than 10 files", max_files=10)

    def test_too_many_bytes(self, machine):
        refuse(
            machine, tar(Item("a", bytes(2000)), mode="w:gz"), "more than 1000 bytes", max_size=1000
        )
        refuse(machine, zipped(Item("a", bytes(2000))), "more than 1000 bytes", max_size=1000)

    def test_hard_links_count_as_the_copies_that_they_become(self, machine):
        items = [Item("a", bytes(600)), hard("b", "a")]
        refuse(machine, tar(*items), "more than 1000 bytes", max_size=1000)

    def test_strip_does_not_strip_the_checks(self, machine):
        refuse(machine, tar(Item("a/../evil", BAD)), "leads out", strip=1)
        refuse(machine, tar(Item("a/b", b"1"), Item("c/b", b"2")), "there twice", strip=1)


class TestBombs:
    @pytest.mark.parametrize("pack", [gzip.compress, bz2.compress, lzma.compress])
    def test_a_few_bytes_that_become_many(self, machine, pack):
        info = tarfile.TarInfo("a")
        info.size = 1 << 34
        bomb = pack(info.tobuf(tarfile.GNU_FORMAT) + bytes(70 << 20))
        assert len(bomb) < 300_000
        refuse(machine, bomb, "bytes come out|more than", max_size=1 << 40)

    def test_a_zip_that_claims_little_and_gives_much(self, machine):
        content = bytearray(zipped(Item("a", bytes(100_000))))
        for at in (22, content.index(b"PK\1\2") + 24):  # the sizes in both headers
            content[at : at + 4] = (10).to_bytes(4, "little")
        (machine / "tmp/z").write_bytes(content)
        refuse(machine, bytes(content), "broken|another size")

    def test_overlapping_members_of_a_zip_count_each(self, machine):
        """As Fifield's zip bomb: a thousand entries that all are the same compressed bytes."""
        file = io.BytesIO()
        with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
            archive.writestr("a", bytes(1 << 20))
            first = archive.infolist()[0]
            for number in range(1000):
                again = zipfile.ZipInfo(f"b{number}")
                for field in (
                    "file_size",
                    "compress_size",
                    "CRC",
                    "header_offset",
                    "compress_type",
                ):
                    setattr(again, field, getattr(first, field))
                archive.filelist.append(again)
            archive._didModify = True
        refuse(machine, file.getvalue(), "more than 10000000 bytes", max_size=10_000_000)

    @pytest.mark.parametrize("kind", [b"x", b"g", b"L", b"K"])
    def test_a_header_that_claims_gigabytes(self, machine, kind):
        item = Item("h", type=kind, size=8 << 30)
        info = tarfile.TarInfo(item.path)
        info.type, info.size = item.type, item.size or 0
        refuse(machine, info.tobuf(tarfile.GNU_FORMAT) + bytes(100_000), "claims|broken")

    def test_an_xz_that_wants_all_memory(self, machine):
        filters = [{"id": lzma.FILTER_LZMA2, "dict_size": 256 << 20, "preset": 0}]
        content = lzma.compress(tar(Item("a", b"1")), filters=filters)
        refuse(machine, content, "[Mm]emory")

    def test_a_central_directory_of_gigabytes_is_not_read(self, machine):
        content = bytearray(zipped(Item("a", b"1")))
        end = content.rindex(b"PK\5\6")
        content[end + 12 : end + 16] = b"\xff\xff\xff\x7f"
        refuse(machine, bytes(content), "more than 10000 files, or zip64")


class TestBroken:
    @pytest.mark.parametrize("mode", ["w", "w:gz", "w:bz2", "w:xz"])
    def test_at_every_length(self, tmp_path, mode):
        whole = tar(Item("a", b"1" * 700), Item("b", b"2" * 700), mode=mode)
        step = 173 if mode == "w" else 11
        for length in range(0, len(whole), step):
            if mode == "w" and length > 3072:  # from here on only padding is missing
                break
            with pytest.raises(ArchiveError):
                read(tmp_path, whole[:length])

    def test_a_tar_that_ends_between_two_members(self, tmp_path):
        whole = tar(Item("a", b"1"), Item("b", b"2"))
        with pytest.raises(ArchiveError, match="breaks off"):
            read(tmp_path, whole[:1024])

    def test_a_damaged_header_in_the_middle(self, tmp_path):
        whole = bytearray(tar(Item("a", b"1"), Item("b", b"2")))
        whole[1024 + 10] ^= 1
        with pytest.raises(ArchiveError, match="damaged in the middle"):
            read(tmp_path, bytes(whole))

    @pytest.mark.parametrize("mode", ["w:gz", "w:bz2", "w:xz"])
    def test_a_flipped_bit_is_seen(self, tmp_path, mode):
        whole = bytearray(tar(Item("a", os.urandom(3000)), mode=mode))
        for at in range(40, len(whole) - 1, 97):
            whole[at] ^= 0x10
            with pytest.raises(ArchiveError):
                read(tmp_path, bytes(whole))
            whole[at] ^= 0x10

    def test_a_zip_at_every_length(self, tmp_path):
        whole = zipped(Item("a", b"1" * 100), Item("b", b"2" * 100))
        for length in range(4, len(whole)):
            with pytest.raises(ArchiveError):
                read(tmp_path, whole[:length])

    @pytest.mark.parametrize("content", [b"", b"hello", bytes(100), os.urandom(2000), b"PK\3\4"])
    def test_what_is_no_archive(self, tmp_path, content):
        with pytest.raises(ArchiveError):
            read(tmp_path, content)

    def test_an_encrypted_zip(self, tmp_path):
        whole = bytearray(zipped(Item("a", b"1" * 100)))
        for at in (6, whole.index(b"PK\1\2") + 8):
            whole[at] |= 1
        with pytest.raises(ArchiveError, match="encrypted"):
            read(tmp_path, bytes(whole))

    @pytest.mark.parametrize("name", ["a\\..\\..\\evil", "a\0b"])
    def test_names_of_another_system(self, tmp_path, name):
        with pytest.raises(ArchiveError, match="not a name for this system"):
            read(
                tmp_path, zipped(Item("aXb")).replace(b"aXb", b"a\\b" if "\\" in name else b"a\0b")
            )

    def test_zstd_says_what_to_do(self, tmp_path):
        with pytest.raises(ArchiveError, match="zstd archives are not read"):
            read(tmp_path, b"\x28\xb5\x2f\xfd" + bytes(100))

    def test_a_stream_never_goes_back(self, tmp_path):
        (tmp_path / "s").write_bytes(b"0123456789")
        with open(tmp_path / "s", "rb") as file:
            stream = Stream(file.fileno(), 100)
            assert (stream.seek(4), stream.read(2)) == (4, b"45")
            with pytest.raises(ArchiveError, match="refers back"):
                stream.seek(5)


class TestModes:
    @pytest.mark.parametrize(
        ("given", "made"),
        [
            (0o4755, 0o755), (0o2755, 0o755), (0o1777, 0o755), (0o666, 0o644), (0o777, 0o755),
            (0o600, 0o600), (0o400, 0o600), (0o000, 0o600), (0o511, 0o711), (0o077, 0o644),
        ],
    )  # fmt: skip
    def test_nothing_set_id_nothing_for_others_to_write(self, given, made):
        assert mode_of(given) == made


def read(tmp_path, content: bytes):
    """Read a whole archive, contents too, as an extraction would."""
    (tmp_path / "archive").write_bytes(content)
    with open(tmp_path / "archive", "rb") as file:
        limits = {"most_bytes": 1 << 20, "most_files": 100}
        with members(file.fileno(), **limits) as found:
            plan_archive(found, strip=0, **limits)
        with members(file.fileno(), **limits) as found:
            return [member.read().read(100) and member for member in found if member.read]


def test_a_good_one_is_read(tmp_path):
    before = snapshot(str(tmp_path))
    assert len(read(tmp_path, tar(Item("a", b"1"), Item("b", b"2")))) == 2
    assert before == {}
