"""The kind `directory`: what lies below, recursion and purging."""

from __future__ import annotations

import os
import stat

import pytest

from converge.errors import BatchError
from converge.provider import Unmanageable
from converge.testing import converge, make_spec, plan
from providers.fake_tree import OTHER, TreeFixtures, for_root, mounted


def spec_of(**declared):
    return make_spec("directory", **{"name": "/srv/app", **declared})


def mode_of(path):
    return f"{stat.S_IMODE(path.lstat().st_mode):04o}"


def only(provider, system, **declared):
    (change,) = plan(provider, [spec_of(**declared)], system)
    return change


class TestRecurse(TreeFixtures):
    kind = "directory"

    def test_names_what_is_wrong_and_mends_it(self, provider, system, tree):
        (tree / "sub").chmod(0o700)
        (tree / "sub/inner").chmod(0o777)
        change = only(provider, system, recurse=True, directory_mode="0755", file_mode="0644")
        assert [(f.field, f.before, f.after) for f in change.fields] == [
            ("wrong", ("sub", "sub/inner"), ())
        ]
        assert provider.deletions(change) == 0
        assert converge(provider, [change.spec], system) == []
        assert (mode_of(tree / "sub"), mode_of(tree / "sub/inner")) == ("0755", "0644")

    def test_directory_mode_falls_back_to_the_mode(self, provider, system, tree):
        assert converge(provider, [spec_of(recurse=True, mode="0711")], system) == []
        assert mode_of(tree) == mode_of(tree / "sub/deep") == "0711"
        assert mode_of(tree / "file") == "0644"

    def test_capital_x(self, provider, system, tree):
        (tree / "file").chmod(0o744)
        spec = spec_of(recurse=True, file_mode="go=rX", directory_mode="go=rX")
        (tree / "sub").chmod(0o700)
        assert converge(provider, [spec], system) == []
        assert [mode_of(tree / p) for p in ("sub", "file", "sub/inner")] == ["0755", "0755", "0644"]

    @for_root
    def test_owner_of_everything_but_not_of_a_links_target(self, provider, system, root, tree):
        assert converge(provider, [spec_of(recurse=True, owner="app", group="12")], system) == []
        for path in ("", "file", "link", "sub", "sub/deep", "sub/inner"):
            found = (tree / path).lstat()
            assert (found.st_uid, found.st_gid) == (OTHER, 12)
        assert (root / "etc/passwd").stat().st_uid == 0

    @for_root
    def test_hard_link_in_another_users_directory_is_refused(self, provider, system, root, tree):
        (root / "shadow").write_text("secret")
        os.link(root / "shadow", tree / "sub/shadow")
        os.chown(tree / "sub", OTHER, OTHER)
        with pytest.raises(BatchError, match="has other names"):
            converge(provider, [spec_of(recurse=True, owner="app")], system)
        assert (root / "shadow").stat().st_uid == 0

    @for_root
    def test_setuid_bit_is_not_given_to_another_owner(self, provider, system, tree):
        os.chown(tree / "file", 12345, 12345)
        (tree / "file").chmod(0o4755)
        assert converge(provider, [spec_of(recurse=True, owner="0")], system) == []
        assert mode_of(tree / "file") == "0755"

    def test_leaves_other_resources_and_the_ignored(self, provider, system, tree):
        for path in ("file", "sub/inner", "sub/deep"):
            (tree / path).chmod(0o700)
        spec = spec_of(recurse=True, file_mode="0644", directory_mode="0755", ignore=["deep"])
        spec = provider.adopt(spec, ["/srv/app", "/srv/app/file", "/srv/application"])
        assert list(spec.managed) == ["/srv/app/file"]
        assert plan(provider, [spec], system)[0].before.wrong == ("sub/inner",)

    def test_a_recursing_directory_below_has_its_own_tree(self, provider, system, tree):
        inner = spec_of(name="/srv/app/sub", recurse=True, file_mode="0600")
        outer = spec_of(recurse=True, file_mode="0640")
        claimed = [
            claim.removeprefix("path:")
            for spec in (outer, inner)
            for claim in provider.claims(spec)
        ]
        specs = [provider.adopt(spec, claimed) for spec in (outer, inner)]
        assert converge(provider, specs, system) == []
        assert (mode_of(tree / "file"), mode_of(tree / "sub/inner")) == ("0640", "0600")

    def test_more_entries_than_the_cap(self, provider, system, tree):
        spec = spec_of(recurse=True, file_mode="0600", max_files=4)
        live = provider.inspect([spec], system.read_only())["/srv/app"]
        assert live == Unmanageable(
            reason="more than 4 entries lie below /srv/app",
            remedy="raise `max_files`, or leave some out by `ignore`",
        )
        assert only(provider, system, recurse=True, file_mode="0600", max_files=5)

    def test_depth_is_no_recursion_of_ours(self, provider, system, tree):
        path = tree
        for _ in range(400):
            path /= "d"
        path.mkdir(parents=True)
        change = only(provider, system, recurse=True, directory_mode="0711")
        assert len(change.before.wrong) == 402

    def test_never_crosses_a_mount(self, provider, system, tree, monkeypatch):
        mounted(system, monkeypatch, "/srv/app/sub")
        change = only(provider, system, recurse=True, directory_mode="0711", file_mode="0600")
        assert change.before.wrong == ("file",)


class TestPurge(TreeFixtures):
    kind = "directory"

    def test_names_what_goes_whole(self, provider, system, tree):
        change = only(provider, system, purge=True, force=True)
        assert change.before.unmanaged == ("file", "link", "sub")
        assert provider.deletions(change) == 5
        assert converge(provider, [change.spec], system) == []
        assert list(tree.iterdir()) == []

    def test_leaves_what_is_managed_and_its_directories(self, provider, system, tree):
        spec = provider.adopt(spec_of(purge=True, force=True), ["/srv/app/sub/inner"])
        (change,) = plan(provider, [spec], system)
        assert change.before.unmanaged == ("file", "link", "sub/deep")
        assert provider.deletions(change) == 3
        assert converge(provider, [spec], system) == []
        assert sorted(os.listdir(tree / "sub")) == ["inner"]

    def test_leaves_a_directory_for_what_is_yet_to_come(self, provider, system, tree):
        spec = provider.adopt(spec_of(purge=True, force=True), ["/srv/app/sub/deep/new"])
        assert plan(provider, [spec], system)[0].before.unmanaged == ("file", "link", "sub/inner")

    @pytest.mark.parametrize(
        ("ignore", "purged"),
        [
            (["inner"], ("file", "link", "sub/deep")),
            (["sub/*"], ("file", "link")),
            (["*i*"], ("sub/deep",)),
            (["fil", "sub"], ("file", "link")),
        ],
    )
    def test_leaves_what_is_ignored(self, provider, system, tree, ignore, purged):
        change = only(provider, system, purge=True, force=True, ignore=ignore)
        assert change.before.unmanaged == purged

    def test_sub_directories_need_force(self, provider, system, tree):
        change = only(provider, system, purge=True)
        assert provider.deletions(change) == 2
        with pytest.raises(BatchError, match=r"not purged: /srv/app/sub .*`force: true`"):
            provider.apply([change], system)
        assert sorted(os.listdir(tree)) == ["sub"]
        assert (tree / "sub/inner").exists()

    def test_removes_a_link_not_its_target(self, provider, system, root, tree):
        (tree / "out").symlink_to("../../etc")
        converge(provider, [spec_of(purge=True, force=True)], system)
        assert (root / "etc/passwd").exists()

    def test_leaves_mounts(self, provider, system, tree, monkeypatch):
        mounted(system, monkeypatch, "/srv/app/sub/deep")
        change = only(provider, system, purge=True, force=True)
        assert change.before.unmanaged == ("file", "link", "sub/inner")

    def test_new_directory_has_nothing_to_purge(self, provider, system):
        change = only(provider, system, name="/etc/new", purge=True, recurse=True, mode="0755")
        assert provider.deletions(change) == 0
        assert converge(provider, [change.spec], system) == []

    def test_adopt_takes_nothing_without_recursion(self, provider):
        spec = spec_of()
        assert provider.adopt(spec, ["/srv/app/file"]) is spec
