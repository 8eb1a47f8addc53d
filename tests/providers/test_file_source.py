"""The kind `file`: contents from the profile's folder, and their validation."""

from __future__ import annotations

import hashlib
import os

import pytest

from converge.errors import BatchError, ConvergeError
from converge.programs.process import Completed
from converge.testing import converge, make_spec, plan
from providers.fake_tree import TreeFixtures, differing, must_not_read


def spec_of(**declared):
    return make_spec("file", **{"name": "/etc/motd", **declared})


class TestSource(TreeFixtures):
    kind = "file"

    def test_small_text_becomes_the_content(self, provider):
        spec = provider.resolve(spec_of(source="motd"), lambda name: (f"/p/{name}", b"hello"))
        assert (spec.content, spec.source, spec.digest) == ("hello", None, None)

    @pytest.mark.parametrize("data", [b"\xff", b"x" * (64 * 1024 + 1)])
    def test_anything_else_becomes_a_digest(self, provider, data):
        spec = provider.resolve(spec_of(source="blob"), lambda name: (f"/p/{name}", data))
        assert (spec.content, spec.source) == (None, "/p/blob")
        assert spec.digest == hashlib.sha256(data).hexdigest()

    @pytest.mark.parametrize("data", [b"text", b"\xff"])
    def test_declared_digest_is_checked(self, provider, data):
        digest = hashlib.sha256(data).hexdigest()
        right = spec_of(source="f", digest=digest)
        assert provider.resolve(right, lambda name: ("/p/f", data)).digest in (None, digest)
        with pytest.raises(ConvergeError, match="not the declared 0000"):
            provider.resolve(spec_of(source="f", digest="0" * 64), lambda name: ("/p/f", data))

    def test_content_alone_reads_nothing(self, provider):
        spec = spec_of(content="x")
        assert provider.resolve(spec, must_not_read) is spec

    def test_is_copied(self, provider, system, root, tmp_path):
        data = bytes(range(256)) * 1000
        spec = resolved(provider, tmp_path, data)
        assert converge(provider, [spec], system) == []
        assert (root / "etc/motd").read_bytes() == data
        (root / "etc/motd").write_bytes(data[:-1] + b"!")
        assert differing(plan(provider, [spec], system)) == ["digest"]
        assert converge(provider, [spec], system) == []

    def test_that_changed_since_ismust_not_readd(self, provider, system, root, tmp_path):
        spec = resolved(provider, tmp_path, b"\xffgood")
        (tmp_path / "blob").write_bytes(b"\xffevil")
        with pytest.raises(BatchError, match="not what the profile was compiled with"):
            converge(provider, [spec], system)
        assert not (root / "etc/motd").exists()

    def test_that_is_a_link_now_ismust_not_readd(self, provider, system, tmp_path):
        spec = resolved(provider, tmp_path, b"\xffgood")
        (tmp_path / "blob").rename(tmp_path / "elsewhere")
        (tmp_path / "blob").symlink_to("elsewhere")
        with pytest.raises(BatchError, match="cannot be opened: Too many levels"):
            converge(provider, [spec], system)

    def test_that_is_a_fifo_now_never_blocks(self, provider, system, tmp_path):
        spec = resolved(provider, tmp_path, b"\xffgood")
        (tmp_path / "blob").unlink()
        os.mkfifo(tmp_path / "blob")
        with pytest.raises(BatchError, match="not a regular file"):
            converge(provider, [spec], system)

    def test_that_was_never_resolved_is_no_empty_file(self, provider, system, root):
        with pytest.raises(BatchError, match="cannot be opened"):
            converge(provider, [spec_of(source="blob")], system)
        assert not (root / "etc/motd").exists()

    def test_replace_false_leaves_another_digest(self, provider, system, root, tmp_path):
        spec = resolved(provider, tmp_path, b"\xff").__replace__(replace=False)
        (root / "etc/motd").write_text("mine")
        assert plan(provider, [spec], system) == []


class TestValidate(TreeFixtures):
    kind = "file"

    def test_runs_on_the_staged_file_before_it_is_in_place(self, provider, system, root):
        (root / "etc/motd").write_text("old")
        seen = []

        def check(argv, stdin):
            with open(argv[2], encoding="utf-8") as staged:
                seen.append((argv[:2], staged.read(), (root / "etc/motd").read_text()))
            return ""

        system.programs["check"] = check
        spec = spec_of(content="new", validate="/usr/sbin/check '-c x' %")
        assert converge(provider, [spec], system) == []
        assert seen == [(["/usr/sbin/check", "-c x"], "new", "old")]

    def test_refusal_leaves_the_file(self, provider, system, root):
        (root / "etc/motd").write_text("old")
        system.programs["check"] = lambda argv, stdin: Completed(
            argv=tuple(argv), code=1, out="", err="line 1: nonsense"
        )
        spec = spec_of(content="new", validate=["/usr/sbin/check", "--file=%"])
        with pytest.raises(BatchError, match="check: exit 1: line 1: nonsense"):
            converge(provider, [spec], system)
        assert (root / "etc/motd").read_text() == "old"
        assert os.listdir(root / "etc") == ["motd"] or ".converge" not in str(
            os.listdir(root / "etc")
        )

    def test_refusal_leaves_what_force_would_replace(self, provider, system, root):
        (root / "etc/motd").mkdir()
        (root / "etc/motd/precious").touch()
        system.programs["check"] = lambda argv, stdin: Completed(
            argv=tuple(argv), code=1, out="", err="no"
        )
        spec = spec_of(content="new", force=True, validate=["/usr/sbin/check", "%"])
        with pytest.raises(BatchError, match="exit 1"):
            converge(provider, [spec], system)
        assert (root / "etc/motd/precious").exists()

    def test_only_the_mode_needs_no_validation(self, provider, system, root):
        (root / "etc/motd").write_text("x")
        converge(provider, [spec_of(content="x", mode="0600", validate="/bin/check %")], system)
        assert system.ran == []

    @pytest.mark.parametrize(
        ("validate", "message"),
        [
            ("visudo -c %", "absolute path"),
            ("/bin/check", "no argument has a `%`"),
            (["/bin/%"], "no argument has a `%`"),
            ([], "absolute path"),
            ("/bin/check '%", "cannot be split"),
        ],
    )
    def test_wrong_declarations(self, validate, message):
        with pytest.raises(AssertionError, match=message):
            spec_of(content="x", validate=validate)


def resolved(provider, folder, data):
    """Return a spec whose source is a file beside the fake root."""
    (folder / "blob").write_bytes(data)
    real = os.path.realpath(folder / "blob")
    return provider.resolve(spec_of(source="blob"), lambda name: (real, data))
