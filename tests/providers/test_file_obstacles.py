"""The kind `file`: what is in the way, and what the container forbids."""

from __future__ import annotations

import os

import pytest

from converge.errors import BatchError
from converge.testing import FakeSystem, converge, make_spec, plan
from providers.fake_tree import (
    OTHER,
    TreeFixtures,
    for_root,
    kept,
    mounted,
    obstacle,
    refused,
)


def spec_of(**declared):
    return make_spec("file", **{"name": "/etc/motd", **declared})


class TestForce(TreeFixtures):
    kind = "file"

    def test_directory_in_the_way(self, provider, system, root):
        (root / "etc/motd/sub").mkdir(parents=True)
        (root / "etc/motd/file").write_text("x")
        refused(provider, system, spec_of(content="y"), "a directory is in the way at /etc/motd")
        (change,) = plan(provider, [spec_of(content="y", force=True)], system)
        assert provider.deletions(change) == 3
        assert converge(provider, [change.spec], system) == []
        assert (root / "etc/motd").read_text() == "y"

    @pytest.mark.parametrize("state", ["present", "absent"])
    def test_link_in_the_way(self, provider, system, root, state):
        (root / "etc/target").write_text("target")
        (root / "etc/motd").symlink_to("target")
        refused(provider, system, spec_of(state=state), "a symlink is in the way")
        assert converge(provider, [spec_of(state=state, force=True)], system) == []
        assert not (root / "etc/motd").is_symlink()
        assert (root / "etc/motd").exists() == (state == "present")
        assert (root / "etc/target").read_text() == "target"

    @pytest.mark.parametrize("state", ["present", "absent"])
    def test_fifo_in_the_way_never_blocks(self, provider, system, root, state):
        os.mkfifo(root / "etc/motd")
        refused(provider, system, spec_of(state=state, mode="0600"), "a fifo is in the way")
        assert converge(provider, [spec_of(state=state, force=True)], system) == []
        assert (root / "etc/motd").is_file() == (state == "present")

    def test_absent_directory_counts_what_goes(self, provider, system, root):
        (root / "etc/motd/a/b").mkdir(parents=True)
        refused(provider, system, spec_of(state="absent"), "a directory is in the way")
        (change,) = plan(provider, [spec_of(state="absent", force=True)], system)
        assert provider.deletions(change) == 3
        assert converge(provider, [change.spec], system) == []
        assert not (root / "etc/motd").exists()

    def test_an_ordinary_change_deletes_nothing_and_a_removal_one(self, provider, system, root):
        (root / "etc/motd").write_text("x")
        (change,) = plan(provider, [spec_of(content="y")], system)
        assert provider.deletions(change) == 0
        (change,) = plan(provider, [spec_of(state="absent")], system)
        assert provider.deletions(change) == 1

    def test_removal_keeps_a_backup(self, provider, system, root):
        (root / "etc/motd").write_text("x")
        assert converge(provider, [spec_of(state="absent")], system) == []
        assert list(kept(system)) == ["/etc/motd"]


class TestParents(TreeFixtures):
    kind = "file"

    def test_missing_one_is_named(self, provider, system):
        spec = spec_of(name="/etc/a/b/c", content="x")
        refused(provider, system, spec, "the directory /etc/a is missing .*`directory: /etc/a`")

    def test_file_among_them_is_named(self, provider, system):
        spec = spec_of(name="/etc/passwd/c", content="x")
        refused(provider, system, spec, "/etc/passwd is a file, not a directory")

    @for_root
    def test_link_of_another_user_on_the_way_is_refused(self, provider, system, root):
        (root / "secret").mkdir()
        (root / "home").mkdir()
        (root / "home/link").symlink_to("../secret")
        os.chown(root / "home", OTHER, OTHER)
        os.chown(root / "home/link", OTHER, OTHER, follow_symlinks=False)
        spec = spec_of(name="/home/link/f", content="x")
        live = provider.inspect([spec], system.read_only())
        assert "could be moved by another user" in live["/home/link/f"].reason
        assert os.listdir(root / "secret") == []

    def test_link_of_our_own_on_the_way_is_followed(self, provider, system, root):
        (root / "real").mkdir()
        (root / "etc/link").symlink_to("/real")
        assert converge(provider, [spec_of(name="/etc/link/f", content="x")], system) == []
        assert (root / "real/f").read_text() == "x"

    def test_one_bad_file_does_not_stop_its_neighbours(self, provider, system, root):
        specs = [spec_of(name="/etc/a/b", content="x"), spec_of(content="y")]
        with pytest.raises(BatchError):
            converge(provider, specs, system)
        assert (root / "etc/motd").read_text() == "y"


class TestObstacles(TreeFixtures):
    kind = "file"

    def test_read_only_mount(self, provider, system, root, monkeypatch):
        (root / "etc/motd").write_text("x")
        mounted(system, monkeypatch, "/etc/motd", read_only=True)
        for declared in ({"content": "y"}, {"mode": "0600"}, {"state": "absent"}):
            assert "mount" in obstacle(provider, system, spec_of(**declared)).reason
        assert obstacle(provider, system, spec_of(content="y")).remedy == "change it at its source"

    def test_mount_is_written_in_place_but_not_removed(self, provider, system, root, monkeypatch):
        (root / "etc/motd").write_text("x")
        mounted(system, monkeypatch, "/etc/motd")
        inode = (root / "etc/motd").stat().st_ino
        assert obstacle(provider, system, spec_of(content="y")) is None
        assert converge(provider, [spec_of(content="y", mode="0600")], system) == []
        assert (root / "etc/motd").stat().st_ino == inode
        assert system.written_in_place == {"/etc/motd"}
        assert "cannot be removed" in obstacle(provider, system, spec_of(state="absent")).reason

    def test_asks_for_no_more_than_the_change_needs(self, provider, system, root):
        (root / "etc/motd").write_text("x")
        system.capabilities = 0
        assert obstacle(provider, system, spec_of(mode="0600")) is None
        assert obstacle(provider, system, spec_of(content="y")) is None
        assert "CAP_CHOWN" in obstacle(provider, system, spec_of(owner="12345")).reason
        assert "CAP_CHOWN" in obstacle(provider, system, spec_of(content="y", group="12345")).reason

    @for_root
    def test_keeping_a_foreign_owner_needs_a_capability(self, provider, system, root):
        (root / "etc/motd").write_text("x")
        os.chown(root / "etc/motd", OTHER, OTHER)
        system.capabilities = 0
        assert "CAP_CHOWN" in obstacle(provider, system, spec_of(content="y")).reason
        assert "CAP_FOWNER" in obstacle(provider, system, spec_of(mode="0600")).reason

    @for_root
    def test_a_user_may_not_write_to_a_directory_of_roots(self, provider, system, as_other):
        assert "may not write to /etc" in obstacle(provider, system, spec_of(content="y")).reason

    @for_root
    def test_a_user_converges_what_is_his_own(self, provider, root):
        os.chown(root / "etc", OTHER, OTHER)
        root.parent.chmod(0o711)
        system = FakeSystem(root, capabilities=0)
        os.seteuid(OTHER)
        try:
            assert converge(provider, [spec_of(content="y", mode="0640")], system) == []
        finally:
            os.seteuid(0)
        assert (root / "etc/motd").stat().st_uid == OTHER
