"""The kind `symlink` against a fake root."""

from __future__ import annotations

import os

import pytest

from converge.provider import Spec
from converge.testing import FakeSystem, ProviderContract, converge, make_spec, plan, snapshot
from providers.fake_tree import OTHER, TreeFixtures, for_root, kept, mounted, obstacle, refused


def spec_of(**declared):
    if declared.get("state") != "absent":
        declared.setdefault("target", "y")
    return make_spec("symlink", **{"name": "/etc/a", **declared})


class TestContract(TreeFixtures, ProviderContract):
    kind = "symlink"

    @pytest.fixture
    def present(self) -> list[Spec]:
        return [
            spec_of(name="/etc/localtime", target="/usr/share/zoneinfo/UTC"),
            spec_of(name="/etc/owned", owner="app", group="app"),
        ]

    @pytest.fixture
    def absent(self) -> list[Spec]:
        return [spec_of(name=name, state="absent") for name in ("/etc/localtime", "/etc/owned")]


class TestTarget(TreeFixtures):
    kind = "symlink"

    def test_replaces_another_target(self, provider, system, root):
        (root / "etc/a").symlink_to("x")
        (change,) = plan(provider, [spec_of()], system)
        assert [(f.field, f.before, f.after) for f in change.fields] == [("target", "x", "y")]
        assert provider.deletions(change) == 0
        assert converge(provider, [spec_of()], system) == []
        assert os.readlink(root / "etc/a") == "y"

    def test_in_sync_touches_nothing(self, provider, system, root):
        spec = spec_of(owner="app", group="app")
        converge(provider, [spec], system)
        before = snapshot(str(root))
        assert converge(provider, [spec], system) == []
        assert snapshot(str(root)) == before

    @pytest.mark.parametrize("target", ["gone", "/gone", "a", "../../etc/passwd", "with space"])
    def test_says_what_it_is_told_dangling_or_not(self, provider, system, root, target):
        assert converge(provider, [spec_of(target=target)], system) == []
        assert os.readlink(root / "etc/a") == target

    def test_removes_a_dangling_link(self, provider, system, root):
        (root / "etc/a").symlink_to("gone")
        (change,) = plan(provider, [spec_of(state="absent")], system)
        assert provider.deletions(change) == 1
        assert converge(provider, [change.spec], system) == []
        assert not (root / "etc/a").is_symlink()


class TestOwner(TreeFixtures):
    kind = "symlink"

    @for_root
    def test_is_the_links_own_not_its_targets(self, provider, system, root):
        (root / "etc/y").touch()
        (root / "etc/a").symlink_to("y")
        (change,) = plan(provider, [spec_of(owner="app", group="12")], system)
        assert [f.field for f in change.fields] == ["owner", "group"]
        inode = (root / "etc/a").lstat().st_ino
        assert converge(provider, [change.spec], system) == []
        found = (root / "etc/a").lstat()
        assert (found.st_uid, found.st_gid, found.st_ino) == (OTHER, 12, inode)
        assert (root / "etc/y").stat().st_uid == 0

    @for_root
    def test_of_a_new_link(self, provider, system, root):
        assert converge(provider, [spec_of(owner=str(OTHER), group="12")], system) == []
        found = (root / "etc/a").lstat()
        assert (found.st_uid, found.st_gid) == (OTHER, 12)

    def test_unknown_one_fails_before_anything_is_touched(self, provider, system, root):
        (root / "etc/a").write_text("x")
        spec = spec_of(owner="nobodyhere", force=True)
        refused(provider, system, spec, "there is no user 'nobodyhere'")
        refused(provider, system, spec_of(group="g", force=True), "there is no group 'g'")


class TestForce(TreeFixtures):
    kind = "symlink"

    @pytest.mark.parametrize("state", ["present", "absent"])
    def test_file_in_the_way_is_kept_as_a_backup(self, provider, system, root, state):
        (root / "etc/a").write_text("precious")
        refused(provider, system, spec_of(state=state), "a file is in the way .*`force: true`")
        assert converge(provider, [spec_of(state=state, force=True)], system) == []
        assert (root / "etc/a").is_symlink() == (state == "present")
        assert kept(system) == {"/etc/a": b"precious"}

    @pytest.mark.parametrize("state", ["present", "absent"])
    def test_directory_in_the_way_is_counted_whole(self, provider, system, root, state):
        (root / "etc/a/b").mkdir(parents=True)
        (root / "etc/a/b/c").write_text("x")
        refused(provider, system, spec_of(state=state), "a directory is in the way")
        (change,) = plan(provider, [spec_of(state=state, force=True)], system)
        assert provider.deletions(change) == 3
        assert converge(provider, [change.spec], system) == []
        assert (root / "etc/a").is_symlink() == (state == "present")

    def test_fifo_in_the_way_never_blocks(self, provider, system, root):
        os.mkfifo(root / "etc/a")
        refused(provider, system, spec_of(), "a fifo is in the way")
        assert converge(provider, [spec_of(force=True)], system) == []

    def test_missing_directory_is_named(self, provider, system):
        refused(provider, system, spec_of(name="/srv/app/a"), "the directory /srv is missing")

    def test_without_a_backup_a_file_is_not_replaced(self, provider, root):
        (root / "etc/a").write_text("precious")
        bare = FakeSystem(root)
        refused(provider, bare, spec_of(force=True), "no backup can be made")


class TestObstacles(TreeFixtures):
    kind = "symlink"

    @pytest.mark.parametrize("point", ["/etc/a", "/etc/a/deep"])
    def test_mount_in_the_way(self, provider, system, root, monkeypatch, point):
        (root / "etc/a/deep").mkdir(parents=True)
        mounted(system, monkeypatch, point)
        for state in ("present", "absent"):
            found = obstacle(provider, system, spec_of(state=state, force=True))
            assert found.reason.startswith(f"{point} is a mount, which cannot be removed")

    def test_read_only_mount(self, provider, system, root, monkeypatch):
        (root / "etc/a").symlink_to("y")
        mounted(system, monkeypatch, "/etc", read_only=True)
        for declared in ({"target": "z"}, {"owner": "12345"}, {"state": "absent"}):
            assert (
                obstacle(provider, system, spec_of(**declared)).reason
                == "/etc is mounted read-only"
            )

    def test_asks_for_no_more_than_the_change_needs(self, provider, system, root):
        (root / "etc/a").symlink_to("x")
        system.capabilities = 0
        assert obstacle(provider, system, spec_of()) is None
        assert obstacle(provider, system, spec_of(state="absent", owner="12345")) is None
        assert "CAP_CHOWN" in obstacle(provider, system, spec_of(owner="12345")).reason

    @for_root
    def test_link_of_another_users_in_a_sticky_directory(self, provider, system, root):
        (root / "etc/a").symlink_to("x")
        os.chown(root / "etc/a", OTHER, OTHER, follow_symlinks=False)
        os.chown(root / "etc", 12345, 12345)
        (root / "etc").chmod(0o1777)
        assert obstacle(provider, system, spec_of()) is None
        system.capabilities = 0
        assert "CAP_FOWNER" in obstacle(provider, system, spec_of()).reason


class TestDeclaration(TreeFixtures):
    kind = "symlink"

    @pytest.mark.parametrize(
        ("declared", "message"),
        [
            ({"target": None}, "needs a `target`"),
            ({"target": "a\nb"}, "not one line of text"),
            ({"name": "/"}, "`/` is a directory"),
            ({"name": "a"}, "not an absolute path"),
        ],
    )
    def test_problems(self, declared, message):
        with pytest.raises(AssertionError, match=message):
            spec_of(**declared)

    def test_depends_and_claims(self, provider):
        spec = spec_of(name="/opt/a", target="../srv/b", owner="app")
        assert set(provider.depends(spec)) == {
            "directory:/opt", "symlink:/opt", "archive:/opt", "mount:/opt", "user:app",
            "file:/srv/b", "directory:/srv/b", "symlink:/srv/b", "download:/srv/b",
        }  # fmt: skip
        assert list(provider.claims(spec)) == ["path:/opt/a"]
