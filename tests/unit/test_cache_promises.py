"""What the kept catalog promises: nobody else wrote it, all of it is as it was, no secret is in it."""

from __future__ import annotations

import importlib.metadata
import json
import os
import zlib

import pytest

from converge import catalog, kinds
from converge.cli import main
from converge.errors import UsageError
from converge.state import cache, fingerprints
from unit.sample import ThingProvider
from unit.test_cache import place

__all__ = ["place"]

CANARY = "c4n4ry-T0p-s3cret"
ROOT = os.geteuid() == 0


class TestTampering:
    def test_no_flipped_bit_is_believed(self, place):
        """One at every place: in the version, the checksum, the key, the resources."""
        place.run()
        whole = place.file.read_bytes()
        state, settings = place.state, place.settings
        for at in range(0, len(whole), 7):
            torn = bytearray(whole)
            torn[at] ^= 1
            place.file.write_bytes(torn)
            assert cache.last_good(state, settings) is None, (at, bytes(torn[at - 20 : at + 20]))
        assert place.run() is True
        assert len(list(place.file.parent.glob("*.corrupt-*"))) <= 5

    def test_a_right_checksum_of_another_form_is_not_enough(self, place):
        place.run()
        body = json.dumps({"key": cache.key(place.settings, place.state), "catalog": []}).encode()
        place.file.write_bytes(b"converge-state 1 %08x\n%b" % (zlib.crc32(body), body))
        assert place.run() is True

    def test_a_link_to_another_is_not_followed(self, place, tmp_path):
        place.run()
        place.file.rename(tmp_path / "elsewhere")
        place.file.symlink_to(tmp_path / "elsewhere")
        assert place.run() is True
        assert not place.file.is_symlink()


class TestOtherWriters:
    @pytest.mark.parametrize("mode", [0o620, 0o602, 0o666])
    def test_a_file_that_others_may_write(self, place, mode):
        place.run()
        place.file.chmod(mode)
        assert place.run() is True
        assert place.file.stat().st_mode & 0o777 == 0o600

    @pytest.mark.skipif(not ROOT, reason="only root can give a file to another user")
    def test_a_file_of_another_user(self, place):
        place.run()
        os.chown(place.file, 1234, 1234)
        assert place.run() is True
        assert place.file.stat().st_uid == 0

    @pytest.mark.parametrize("mode", [0o770, 0o707, 0o777])
    def test_a_directory_that_others_may_write(self, place, mode):
        place.run()
        place.file.parent.chmod(mode)
        with pytest.raises(UsageError, match="lets others in"):
            place.run()

    @pytest.mark.skipif(not ROOT, reason="only root can give a directory to another user")
    def test_a_directory_of_another_user(self, place):
        place.run()
        os.chown(place.file.parent, 1234, 1234)
        with pytest.raises(UsageError, match="belongs to uid 1234"):
            place.run()


class TestVersions:
    def test_of_the_catalog(self, place, monkeypatch):
        place.run()
        monkeypatch.setattr(catalog, "VERSION", catalog.VERSION + 1)
        assert place.run() is True

    def test_of_python(self, place, monkeypatch):
        place.run()
        monkeypatch.setattr("sys.version", "4.0")
        assert place.run() is True

    @pytest.fixture
    def plug_in(self, place, monkeypatch):
        """Let another distribution bring the kind `thing`; return a function that sets its version."""
        monkeypatch.setitem(kinds._loaded, "thing", ThingProvider())

        class Distribution(importlib.metadata.Distribution):
            version = "1.0"
            name = "things"
            read_text = locate_file = None

        def install(version):
            Distribution.version = version
            entry = importlib.metadata.EntryPoint("thing", "things:Thing", "converge.kinds")
            vars(entry)["dist"] = Distribution()
            monkeypatch.setattr(importlib.metadata, "entry_points", lambda **_: [entry])

        install("1.0")
        place.write("p/part.yaml", "resources:\n  - thing: a\n    value: 1\n")
        return install

    def test_of_a_plug_in(self, place, plug_in):
        assert place.run() is True
        assert place.load().catalog.inputs["plug_ins"] == {"thing": "things 1.0"}
        assert place.run() is False
        plug_in("1.1")
        assert place.run() is True
        assert place.run() is False

    def test_of_kinds_that_are_built_in_nothing_is_asked(self, place, monkeypatch):
        monkeypatch.setattr(importlib.metadata, "entry_points", None)
        place.run()
        assert place.run() is False


class TestSecrets:
    PROFILE = """\
resources:
  - file: /etc/token
    content: {{ env: TOKEN }}
  - file: /etc/app.conf
    content: "password = {{{{ secrets.db }}}}\\n"
    secrets:
      db: {{ file: {folder}/db }}
  - file: /etc/wrong
    content: {{ env: TOKEN }}
    mode: "0644"
    require: file:/etc/none
  - file: /none/at/all
    content: {{ env: TOKEN }}
"""

    def test_none_is_in_what_is_kept(self, place, monkeypatch, capsys):
        """Neither at first, nor where something fails, nor in a run that knows what was right."""
        monkeypatch.setenv("TOKEN", CANARY)
        monkeypatch.setattr(fingerprints, "_TICK", -(10**18))
        place.write("db", CANARY)
        text = self.PROFILE.format(folder=place.folder).replace("    require: file:/etc/none\n", "")
        place.write("p/p.yaml", text)
        place.folder.chmod(0o755)
        words = ["--root", place.settings.root, "--profile", place.settings.profile]
        words += ["--state-dir", f"{place.folder}/state", "--runtime-dir", f"{place.folder}/run"]
        mask = os.umask(0o022)
        for command in (["--once"], ["--once"], ["plan"], ["--once", "--json", "--verbose"]):
            main([*command, *words])
        os.umask(mask)
        assert (place.folder / "root/etc/token").read_text() == CANARY
        assert CANARY in (place.folder / "root/etc/app.conf").read_text()
        told = capsys.readouterr()
        assert CANARY not in told.out + told.err
        kept = [path for path in (place.folder / "state").rglob("*") if path.is_file()]
        assert {"catalog.json", "fingerprints.json", "report.json"} <= {path.name for path in kept}
        assert [path for path in kept if CANARY.encode() in path.read_bytes()] == []
