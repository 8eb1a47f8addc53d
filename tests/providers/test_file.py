"""The kind `file`: its content, and what may be declared."""

from __future__ import annotations

import os
import stat

import pytest

from converge.errors import BatchError
from converge.provider import Spec, Unmanageable
from converge.testing import FakeSystem, ProviderContract, converge, make_spec, plan, snapshot
from providers.fake_tree import TreeFixtures, differing, kept, must_not_read

LARGE = (1 << 20) + 1


def spec_of(**declared):
    return make_spec("file", **{"name": "/etc/motd", **declared})


class TestContract(TreeFixtures, ProviderContract):
    kind = "file"

    @pytest.fixture
    def present(self) -> list[Spec]:
        return [
            spec_of(content="hello\n", mode="0640", owner="app"),
            spec_of(name="/etc/empty"),
            spec_of(name="/etc/symbolic", content="", mode="u+x,go=", backup=False),
        ]

    @pytest.fixture
    def absent(self) -> list[Spec]:
        names = ("/etc/motd", "/etc/empty", "/etc/symbolic")
        return [spec_of(name=name, state="absent") for name in names]


class TestContent(TreeFixtures):
    kind = "file"

    def test_is_written_and_the_old_kept(self, provider, system, root):
        (root / "etc/motd").write_bytes(b"\xff\xfe old")
        (change,) = plan(provider, [spec_of(content="grüße\n")], system)
        assert (change.before.content, change.after.content) == (
            b"\xff\xfe old",
            "grüße\n".encode(),
        )
        assert converge(provider, [change.spec], system) == []
        assert (root / "etc/motd").read_text(encoding="utf-8") == "grüße\n"
        assert kept(system) == {"/etc/motd": b"\xff\xfe old"}

    def test_in_sync_touches_nothing(self, provider, system, root):
        spec = spec_of(content="x", mode="u=rw,go=r", owner=str(os.geteuid()), group="app")
        converge(provider, [spec], system)
        before = snapshot(str(root))
        assert converge(provider, [spec], system) == []
        assert snapshot(str(root)) == before

    def test_neither_content_nor_source_leaves_the_content(self, provider, system, root):
        (root / "etc/motd").write_text("mine")
        inode = (root / "etc/motd").stat().st_ino
        assert converge(provider, [spec_of(mode="0600")], system) == []
        found = (root / "etc/motd").stat()
        assert (root / "etc/motd").read_text() == "mine"
        assert (found.st_ino, stat.S_IMODE(found.st_mode)) == (inode, 0o600)

    def test_large_file_of_another_size_is_not_read(self, provider, system, root, monkeypatch):
        with (root / "etc/motd").open("wb") as file:
            file.truncate(LARGE)
        monkeypatch.setattr(type(system.read_only()), "read", must_not_read)
        monkeypatch.setattr(type(system.read_only()), "text", lambda *a, **k: "")
        (change,) = plan(provider, [spec_of(content="small")], system)
        assert change.before.content == b"(%d bytes, not read)\n" % LARGE

    def test_marker_is_never_taken_for_the_content(self, provider, system, root):
        with (root / "etc/motd").open("wb") as file:
            file.truncate(LARGE)
        assert differing(plan(provider, [spec_of(content=f"({LARGE} bytes, not read)\n")], system))

    def test_of_an_unreadable_file_is_not_taken_for_absent(self, provider, system, monkeypatch):
        converge(provider, [spec_of(content="x")], system)
        monkeypatch.setattr(type(system.read_only()), "read", _fail)
        live = provider.inspect([spec_of(content="x")], system.read_only())
        assert live["/etc/motd"] == Unmanageable(reason="cannot be read: Input/output error")

    def test_replace_false_only_creates(self, provider, system, root):
        spec = spec_of(content="default\n", replace=False, mode="0600")
        assert converge(provider, [spec], system) == []
        assert (root / "etc/motd").read_text() == "default\n"
        (root / "etc/motd").write_text("edited\n")
        (root / "etc/motd").chmod(0o644)
        assert differing(plan(provider, [spec], system)) == ["mode"]
        assert converge(provider, [spec], system) == []
        assert (root / "etc/motd").read_text() == "edited\n"

    def test_without_a_backup_nothing_changes(self, provider, root):
        (root / "etc/motd").write_text("old")
        bare = FakeSystem(root)
        changes = plan(provider, [spec_of(content="new")], bare)
        with pytest.raises(BatchError, match="no backup can be made"):
            provider.apply(changes, bare)
        assert (root / "etc/motd").read_text() == "old"
        assert converge(provider, [spec_of(content="new", backup=False)], bare) == []


class TestDeclaration(TreeFixtures):
    kind = "file"

    @pytest.mark.parametrize(
        ("declared", "message"),
        [
            ({"content": "x", "source": "y"}, "exclude each other"),
            ({"digest": "0" * 64}, "goes with a `source`"),
            ({"source": "x", "digest": "abc"}, "not a SHA-256"),
            ({"state": "absent", "content": "x"}, "has no content"),
            ({"content": "\ud800"}, "(?i)unicode"),
            ({"name": "/"}, "`/` is a directory"),
            ({"name": "etc/motd"}, "not an absolute path"),
            ({"mode": 644}, "quote it"),
        ],
    )
    def test_problems(self, declared, message):
        with pytest.raises(AssertionError, match=message):
            spec_of(**declared)

    def test_depends_and_claims(self, provider):
        spec = spec_of(name="/etc/a/b", owner="app", group="12")
        assert set(provider.depends(spec)) == {
            "directory:/etc/a", "symlink:/etc/a", "directory:/etc", "symlink:/etc", "user:app",
            "archive:/etc/a", "mount:/etc/a", "archive:/etc", "mount:/etc",
        }  # fmt: skip
        assert list(provider.claims(spec)) == ["path:/etc/a/b"]


def _fail(*arguments, **options):
    raise OSError(5, "Input/output error")
