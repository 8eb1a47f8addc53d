"""The kind `directory` against a fake root."""

from __future__ import annotations

import os
import stat

import pytest

from converge import kinds
from converge.backup import Backups
from converge.errors import BatchError
from converge.mounts import Mount
from converge.provider import Spec, Unmanageable
from converge.testing import FakeSystem, ProviderContract, converge, make_spec, plan, snapshot

ROOT = os.geteuid() == 0
OTHER = 65534 if ROOT else os.geteuid()  # a user that we may give files to


def for_root(test):
    """Leave out a test of what only root can set up: files of another user's."""
    return test if ROOT else None


@pytest.fixture
def root(tmp_path):
    path = tmp_path / "root"
    (path / "etc").mkdir(parents=True)
    (path / "etc").chmod(0o755)
    (path / "etc/passwd").write_text(f"app:x:{OTHER}:{OTHER}::/:/bin/sh\n")
    (path / "etc/group").write_text(f"app:x:{os.getegid()}:\n")
    return path


@pytest.fixture
def system(root, tmp_path):
    return FakeSystem(root, backups=Backups(str(tmp_path)))


@pytest.fixture
def provider():
    return kinds.load("directory")


@pytest.fixture
def tree(root):
    """A directory with a file, a link, a sub-directory and a file in that."""
    path = root / "srv/app"
    (path / "sub/deep").mkdir(parents=True)
    (path / "file").write_text("file")
    (path / "sub/inner").write_text("inner")
    (path / "link").symlink_to("/etc/passwd")
    for folder in (root / "srv", path, path / "sub", path / "sub/deep"):
        folder.chmod(0o755)
    for file in (path / "file", path / "sub/inner"):
        file.chmod(0o644)
    return path


def spec_of(**declared):
    return make_spec("directory", **{"name": "/srv/app", **declared})


def mode_of(path):
    return f"{stat.S_IMODE(path.lstat().st_mode):04o}"


def only(provider, system, **declared):
    (change,) = plan(provider, [spec_of(**declared)], system)
    return change


def refused(provider, system, spec, message):
    before = snapshot(system.root)
    with pytest.raises(BatchError, match=message):
        provider.apply(plan(provider, [spec], system), system)
    assert snapshot(system.root) == before


def obstacle(provider, system, **declared):
    change = only(provider, system, **declared)
    return provider.obstacles([change], system.read_only()).get(change.spec.name)


def mounted(system, monkeypatch, path, *, read_only=False):
    mount = Mount(path=path, type="ext4", source="/dev/x", read_only=read_only)
    for view in (FakeSystem, type(system.read_only())):
        monkeypatch.setattr(view, "mounts", lambda self: {path: mount})


class TestContract(ProviderContract):
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


class TestItself:
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


class TestForce:
    @pytest.mark.parametrize("state", ["present", "absent"])
    def test_file_in_the_way(self, provider, system, root, state):
        (root / "etc/x").touch()
        refused(provider, system, spec_of(name="/etc/x", state=state), "a file is in the way")
        change = only(provider, system, name="/etc/x", state=state, force=True)
        assert provider.deletions(change) == 1
        assert converge(provider, [change.spec], system) == []
        assert (root / "etc/x").is_dir() == (state == "present")
        assert [entry["path"] for entry in system._writer.backups.entries()] == ["/etc/x"]

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
        kept = {entry["path"] for entry in system._writer.backups.entries()}
        assert kept == {"/srv/app/file", "/srv/app/sub/inner"}

    def test_no_backup_no_removal(self, provider, root, tree):
        bare = FakeSystem(root)
        with pytest.raises(BatchError, match="no backup can be made"):
            converge(provider, [spec_of(state="absent", force=True)], bare)
        assert (tree / "file").exists()
        spec = spec_of(state="absent", force=True, backup=False)
        assert converge(provider, [spec], bare) == []


class TestRecurse:
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


class TestPurge:
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


class TestObstacles:
    def test_read_only_mount(self, provider, system, tree, monkeypatch):
        mounted(system, monkeypatch, "/srv", read_only=True)
        cases = (
            {"mode": "0700"}, {"name": "/srv/new"}, {"state": "absent", "force": True},
            {"recurse": True, "file_mode": "0600"}, {"purge": True},
        )  # fmt: skip
        for declared in cases:
            assert obstacle(provider, system, **declared).reason == "/srv is mounted read-only"

    @pytest.mark.parametrize("point", ["/srv/app", "/srv/app/sub/deep"])
    def test_mount_at_or_below_is_not_removed(self, provider, system, tree, monkeypatch, point):
        mounted(system, monkeypatch, point)
        found = obstacle(provider, system, state="absent", force=True)
        assert (
            found.reason == f"{point} is a mount, which cannot be removed or replaced from inside"
        )
        with pytest.raises(BatchError, match="is a mount"):
            converge(provider, [spec_of(state="absent", force=True)], system)
        assert (tree / "file").exists()

    def test_mode_of_a_mount_can_be_set(self, provider, system, tree, monkeypatch):
        mounted(system, monkeypatch, "/srv/app")
        assert obstacle(provider, system, mode="0700") is None

    def test_asks_for_no_more_than_the_change_needs(self, provider, system, tree):
        system.capabilities = 0
        assert obstacle(provider, system, mode="0700") is None
        assert obstacle(provider, system, recurse=True, file_mode="0600") is None
        assert obstacle(provider, system, name="/etc/new", mode="0700") is None
        assert "CAP_CHOWN" in obstacle(provider, system, name="/etc/new", owner="12345").reason
        assert "CAP_CHOWN" in obstacle(provider, system, recurse=True, group="12345").reason

    @for_root
    def test_mode_of_another_users_needs_a_capability(self, provider, system, tree):
        os.chown(tree / "sub", OTHER, OTHER)
        system.capabilities = 0
        found = obstacle(provider, system, recurse=True, directory_mode="0700")
        assert "CAP_FOWNER" in found.reason
        assert "/srv/app/sub" in found.reason

    @for_root
    def test_a_user_may_set_the_mode_where_he_may_not_write(self, provider, root, tree):
        os.chown(tree, OTHER, OTHER)
        root.parent.chmod(0o711)
        system = FakeSystem(root, capabilities=0)
        os.seteuid(OTHER)
        try:
            assert obstacle(provider, system, mode="0700") is None
            assert "may not write to /srv" in obstacle(provider, system, name="/srv/b").reason
            assert converge(provider, [spec_of(mode="0700")], system) == []
        finally:
            os.seteuid(0)
        assert mode_of(tree) == "0700"


class TestDeclaration:
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
        needs = {"directory:/srv", "symlink:/srv", "user:app", "group:adm"}
        assert set(provider.depends(spec)) == needs
        assert list(provider.claims(spec)) == ["path:/srv/app", "path:/srv/app/"]
        assert list(provider.claims(spec_of())) == ["path:/srv/app"]
        assert list(provider.depends(spec_of(name="/"))) == []

    def test_survives_the_cache(self, provider, system, tree):
        import json

        spec = provider.adopt(spec_of(purge=True, ignore=["sub"]), ["/srv/app/file"])
        again = provider.spec(**json.loads(json.dumps(spec.as_dict())))
        assert plan(provider, [again], system)[0].before.unmanaged == ("link",)
