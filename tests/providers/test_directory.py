"""The kind `directory`: itself, and what may be declared."""

from __future__ import annotations

import json
import os
import stat

import pytest

from converge.errors import BatchError
from converge.provider import Spec
from converge.testing import FakeSystem, ProviderContract, converge, make_spec, plan, snapshot
from providers.fake_tree import OTHER, TreeFixtures, for_root, kept, refused


def spec_of(**declared):
    return make_spec("directory", **{"name": "/srv/app", **declared})


def mode_of(path):
    return f"{stat.S_IMODE(path.lstat().st_mode):04o}"


def only(provider, system, **declared):
    (change,) = plan(provider, [spec_of(**declared)], system)
    return change


class TestContract(TreeFixtures, ProviderContract):
    kind = "directory"

    @pytest.fixture
    def present(self) -> list[Spec]:
        return [
            spec_of(name="/etc/a", mode="0750", owner="app", group="app"),
            spec_of(name="/etc/b", mode="u=rwx,go=", recurse=True, purge=True),
            spec_of(name="/etc/c/d/e", parents=True),
        ]

    @pytest.fixture
    def absent(self) -> list[Spec]:
        return [spec_of(name=name, state="absent") for name in ("/etc/a", "/etc/b", "/etc/c/d/e")]


class TestItself(TreeFixtures):
    kind = "directory"

    @pytest.mark.parametrize(
        ("mode", "made"), [(None, "0755"), ("1777", "1777"), ("g+w", "0775"), ("go=", "0700")]
    )
    def test_is_made(self, provider, system, root, mode, made):
        assert converge(provider, [spec_of(name="/etc/new", mode=mode)], system) == []
        assert mode_of(root / "etc/new") == made

    def test_mode_and_owner_are_set_and_spelled_as_declared(self, provider, system, tree):
        change = only(provider, system, mode="u=rwx,g=rx,o=")
        assert (change.before.mode, change.after.mode) == ("0755", "u=rwx,g=rx,o=")
        spec = spec_of(mode="u=rwx,g=rx,o=", owner="app", group="app")
        assert converge(provider, [spec], system) == []
        assert (mode_of(tree), tree.stat().st_uid) == ("0750", OTHER)
        live = provider.inspect([spec], system.read_only())["/srv/app"]
        assert (live.mode, live.owner, live.group) == ("u=rwx,g=rx,o=", "app", "app")

    def test_octal_mode_clears_an_inherited_set_group_id_bit(self, provider, system, root):
        (root / "etc").chmod(0o2755)
        assert converge(provider, [spec_of(name="/etc/new", mode="0755")], system) == []
        assert mode_of(root / "etc/new") == "0755"

    def test_in_sync_touches_nothing(self, provider, system, root, tree):
        spec = spec_of(mode="0755", recurse=True, file_mode="u=rw,go=r")
        before = snapshot(str(root))
        assert converge(provider, [spec], system) == []
        assert snapshot(str(root)) == before

    def test_root_directory_has_a_mode(self, provider, system, root):
        root.chmod(0o700)
        assert converge(provider, [spec_of(name="/", mode="0755")], system) == []
        assert mode_of(root) == "0755"

    def test_unknown_owner_fails_before_anything_is_made(self, provider, system, root):
        spec = spec_of(name="/etc/new", owner="nobodyhere")
        refused(provider, system, spec, "there is no user 'nobodyhere'")

    def test_missing_parent_is_named(self, provider, system):
        message = "the directory /srv is missing .*`directory: /srv`, or set `parents: true`"
        refused(provider, system, spec_of(name="/srv/a/b"), message)

    def test_file_among_the_parents_is_named(self, provider, system):
        spec = spec_of(name="/etc/passwd/a", parents=True)
        refused(provider, system, spec, "/etc/passwd is a file, not a directory")

    def test_parents_are_made(self, provider, system, root):
        assert converge(provider, [spec_of(mode="0700", parents=True)], system) == []
        assert (mode_of(root / "srv"), mode_of(root / "srv/app")) == ("0755", "0700")

    @for_root
    def test_link_of_another_user_on_the_way_is_refused(self, provider, system, root):
        (root / "home").mkdir()
        (root / "home/link").symlink_to("../etc")
        os.chown(root / "home", OTHER, OTHER)
        os.chown(root / "home/link", OTHER, OTHER, follow_symlinks=False)
        spec = spec_of(name="/home/link/new", mode="0777")
        live = provider.inspect([spec], system.read_only())
        assert "could be moved by another user" in live[spec.name].reason


class TestForce(TreeFixtures):
    kind = "directory"

    @pytest.mark.parametrize("state", ["present", "absent"])
    def test_file_in_the_way(self, provider, system, root, state):
        (root / "etc/x").touch()
        refused(provider, system, spec_of(name="/etc/x", state=state), "a file is in the way")
        change = only(provider, system, name="/etc/x", state=state, force=True)
        assert provider.deletions(change) == 1
        assert converge(provider, [change.spec], system) == []
        assert (root / "etc/x").is_dir() == (state == "present")
        assert list(kept(system)) == ["/etc/x"]

    @pytest.mark.parametrize("state", ["present", "absent"])
    def test_link_to_a_directory_in_the_way(self, provider, system, root, tree, state):
        (root / "link").symlink_to("/srv/app")
        refused(provider, system, spec_of(name="/link", state=state), "a symlink is in the way")
        spec = spec_of(name="/link", state=state, force=True)
        assert converge(provider, [spec], system) == []
        assert not (root / "link").is_symlink()
        assert (tree / "sub/inner").read_text() == "inner"

    @pytest.mark.parametrize("state", ["present", "absent"])
    def test_fifo_in_the_way_never_blocks(self, provider, system, root, state):
        os.mkfifo(root / "etc/fifo")
        refused(provider, system, spec_of(name="/etc/fifo", state=state), "a fifo is in the way")
        assert (
            converge(provider, [spec_of(name="/etc/fifo", state=state, force=True)], system) == []
        )

    def test_absent_needs_it_unless_empty(self, provider, system, root, tree):
        (root / "etc/empty").mkdir()
        change = only(provider, system, name="/etc/empty", state="absent")
        assert provider.deletions(change) == 1
        assert converge(provider, [change.spec], system) == []
        refused(provider, system, spec_of(state="absent"), "/srv/app is not empty")

    def test_absent_counts_and_removes_everything(self, provider, system, tree):
        change = only(provider, system, state="absent", force=True)
        assert provider.deletions(change) == 6
        assert converge(provider, [change.spec], system) == []
        assert not tree.exists()
        assert kept(system) == {"/srv/app/file": b"file", "/srv/app/sub/inner": b"inner"}

    def test_no_backup_no_removal(self, provider, root, tree):
        bare = FakeSystem(root)
        with pytest.raises(BatchError, match="no backup can be made"):
            converge(provider, [spec_of(state="absent", force=True)], bare)
        assert (tree / "file").exists()
        spec = spec_of(state="absent", force=True, backup=False)
        assert converge(provider, [spec], bare) == []


class TestDeclaration(TreeFixtures):
    kind = "directory"

    @pytest.mark.parametrize(
        ("declared", "message"),
        [
            ({"managed": ["/srv/app/x"]}, "filled in by the compiler"),
            ({"max_files": 0}, "at least 1"),
            ({"name": "/", "purge": True}, "of `/` itself"),
            ({"name": "/", "state": "absent"}, "of `/` itself"),
            ({"state": "absent", "purge": True}, "make no sense"),
            ({"ignore": ["*.bak"]}, "goes with `recurse` or `purge`"),
            ({"file_mode": "0644"}, "goes with `recurse: true`"),
            ({"directory_mode": "0755"}, "goes with `recurse: true`"),
            ({"recurse": True}, "needs an owner, a group or a mode"),
            ({"ignore": "*.bak", "purge": True}, "(?i)sequence|list"),
        ],
    )
    def test_problems(self, declared, message):
        with pytest.raises(AssertionError, match=message):
            spec_of(**declared)

    def test_depends_and_claims(self, provider):
        spec = spec_of(owner="app", group="adm", purge=True)
        above = {f"{kind}:/srv" for kind in ("directory", "symlink", "archive", "mount")}
        needs = {*above, "user:app", "group:adm"}
        assert set(provider.depends(spec)) == needs
        assert list(provider.claims(spec)) == ["path:/srv/app", "path:/srv/app/"]
        assert list(provider.claims(spec_of())) == ["path:/srv/app"]
        assert list(provider.depends(spec_of(name="/"))) == []

    def test_survives_the_cache(self, provider, system, tree):

        spec = provider.adopt(spec_of(purge=True, ignore=["sub"]), ["/srv/app/file"])
        again = provider.spec(**json.loads(json.dumps(spec.as_dict())))
        assert plan(provider, [again], system)[0].before.unmanaged == ("link",)
