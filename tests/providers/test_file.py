"""The kind `file` against a fake root."""

from __future__ import annotations

import hashlib
import os
import stat

import pytest

from converge import kinds
from converge.backup import Backups
from converge.errors import BatchError, ConvergeError
from converge.journal import Journal
from converge.mounts import Mount
from converge.process import Completed
from converge.provider import Spec, Unmanageable
from converge.testing import FakeSystem, ProviderContract, converge, make_spec, plan, snapshot

ROOT = os.geteuid() == 0
OTHER = 65534 if ROOT else os.geteuid()  # a user that we may give files to
LARGE = (1 << 20) + 1


def for_root(test):
    """Leave out a test of what only root can set up: files of another user's."""
    return test if ROOT else None


@pytest.fixture
def root(tmp_path):
    path = tmp_path / "root"
    (path / "etc").mkdir(parents=True)
    (path / "etc").chmod(0o755)
    (path / "etc/passwd").write_text(f"root:x:0:0::/:/bin/sh\napp:x:{OTHER}:{OTHER}::/:/bin/sh\n")
    (path / "etc/group").write_text(f"root:x:0:\napp:x:{os.getegid()}:\n")
    return path


@pytest.fixture
def system(root, tmp_path):
    state = tmp_path / "state"
    state.mkdir(mode=0o700)
    stores = {
        "backups": Backups(str(state / "backups")),
        "journal": Journal(str(state / "journal")),
    }
    return FakeSystem(root, {"check": lambda argv, stdin: ""}, **stores)


@pytest.fixture
def provider():
    return kinds.load("file")


def spec_of(**declared):
    return make_spec("file", **{"name": "/etc/motd", **declared})


def fields(changes):
    return [field.field for change in changes for field in change.fields]


def mounted(system, monkeypatch, path, *, read_only=False):
    """Make both views of the system see a mount at a path of the fake root."""
    mount = Mount(path=path, type="ext4", source="/dev/x", read_only=read_only)
    for view in (FakeSystem, type(system.read_only())):
        monkeypatch.setattr(view, "mounts", lambda self: {path: mount})


class TestContract(ProviderContract):
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


class TestContent:
    def test_is_written_and_the_old_kept(self, provider, system, root):
        (root / "etc/motd").write_bytes(b"\xff\xfe old")
        (change,) = plan(provider, [spec_of(content="grüße\n")], system)
        assert (change.before.content, change.after.content) == (
            b"\xff\xfe old",
            "grüße\n".encode(),
        )
        assert converge(provider, [change.spec], system) == []
        assert (root / "etc/motd").read_text(encoding="utf-8") == "grüße\n"
        (entry,) = system._writer.backups.entries()
        assert system._writer.backups.read(entry["digest"]) == b"\xff\xfe old"

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
        monkeypatch.setattr(type(system.read_only()), "read", _refuse)
        monkeypatch.setattr(type(system.read_only()), "text", lambda *a, **k: "")
        (change,) = plan(provider, [spec_of(content="small")], system)
        assert change.before.content == b"(%d bytes, not read)\n" % LARGE

    def test_marker_is_never_taken_for_the_content(self, provider, system, root):
        with (root / "etc/motd").open("wb") as file:
            file.truncate(LARGE)
        assert fields(plan(provider, [spec_of(content=f"({LARGE} bytes, not read)\n")], system))

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
        assert fields(plan(provider, [spec], system)) == ["mode"]
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


class TestSource:
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
        assert provider.resolve(spec, _refuse) is spec

    def test_is_copied(self, provider, system, root, tmp_path):
        data = bytes(range(256)) * 1000
        spec = resolved(provider, tmp_path, data)
        assert converge(provider, [spec], system) == []
        assert (root / "etc/motd").read_bytes() == data
        (root / "etc/motd").write_bytes(data[:-1] + b"!")
        assert fields(plan(provider, [spec], system)) == ["digest"]
        assert converge(provider, [spec], system) == []

    def test_that_changed_since_is_refused(self, provider, system, root, tmp_path):
        spec = resolved(provider, tmp_path, b"\xffgood")
        (tmp_path / "blob").write_bytes(b"\xffevil")
        with pytest.raises(BatchError, match="not what the profile was compiled with"):
            converge(provider, [spec], system)
        assert not (root / "etc/motd").exists()

    def test_that_is_a_link_now_is_refused(self, provider, system, tmp_path):
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


class TestMode:
    @pytest.mark.parametrize(
        ("mode", "before", "after"),
        [("0755", 0o644, 0o755), ("u+x", 0o640, 0o740), ("go=", 0o755, 0o700), ("4755", 0o755, 0o4755)],
    )  # fmt: skip
    def test_is_set_without_writing_the_file(self, provider, system, root, mode, before, after):
        (root / "etc/motd").touch()
        (root / "etc/motd").chmod(before)
        inode = (root / "etc/motd").stat().st_ino
        (change,) = plan(provider, [spec_of(mode=mode)], system)
        assert (change.before.mode, change.after.mode) == (f"{before:04o}", mode)
        assert converge(provider, [change.spec], system) == []
        found = (root / "etc/motd").stat()
        assert (stat.S_IMODE(found.st_mode), found.st_ino) == (after, inode)

    @pytest.mark.parametrize(("mode", "after"), [("u+x", 0o744), (None, 0o644), ("0400", 0o400)])
    def test_of_a_new_file(self, provider, system, root, mode, after):
        assert converge(provider, [spec_of(content="x", mode=mode)], system) == []
        assert stat.S_IMODE((root / "etc/motd").stat().st_mode) == after

    def test_is_kept_where_the_content_changes(self, provider, system, root):
        (root / "etc/motd").touch()
        (root / "etc/motd").chmod(0o611)
        assert converge(provider, [spec_of(content="x")], system) == []
        assert stat.S_IMODE((root / "etc/motd").stat().st_mode) == 0o611

    @for_root
    @pytest.mark.parametrize("content", [None, "new"])
    @pytest.mark.parametrize(("mode", "after"), [(None, 0o755), ("g-w", 0o755), ("4755", 0o4755)])
    def test_setuid_goes_to_another_owner_only_if_declared(
        self, provider, system, root, content, mode, after
    ):
        (root / "etc/motd").touch()
        os.chown(root / "etc/motd", 12345, 12345)
        (root / "etc/motd").chmod(0o4755)
        spec = spec_of(owner="0", mode=mode, content=content)
        assert converge(provider, [spec], system) == []
        found = (root / "etc/motd").stat()
        assert (found.st_uid, stat.S_IMODE(found.st_mode)) == (0, after)

    def test_setuid_is_set_after_the_owner(self, provider, system, root, monkeypatch):
        seen = []
        for name in ("chown", "fchown", "chmod", "fchmod"):
            real = getattr(os, name)
            monkeypatch.setattr(
                os, name, lambda *a, _r=real, _n=name, **k: (seen.append(_n), _r(*a, **k))
            )
        converge(provider, [spec_of(content="x", mode="4755", owner="app", group="app")], system)
        owners = [i for i, name in enumerate(seen) if "chown" in name]
        assert [name for name in seen if "chmod" in name] == ["fchmod"]
        assert all(i < seen.index("fchmod") for i in owners)


class TestOwner:
    def test_is_set_and_spelled_as_declared(self, provider, system, root):
        (root / "etc/motd").write_text("x")
        for owner in ("app", str(OTHER)):
            spec = spec_of(owner=owner, group="app")
            assert converge(provider, [spec], system) == []
            live = provider.inspect([spec], system.read_only())["/etc/motd"]
            assert (live.owner, live.group) == (owner, "app")
        assert (root / "etc/motd").stat().st_uid == OTHER

    @pytest.mark.parametrize("content", [None, "new"])
    def test_unknown_owner_or_group_fails_before_anything_is_touched(
        self, provider, system, root, content
    ):
        (root / "etc/motd").write_text("x")
        before = snapshot(str(root))
        for wrong in ({"owner": "nobodyhere"}, {"group": "nobodyhere"}):
            with pytest.raises(BatchError, match=r"there is no .* 'nobodyhere'"):
                converge(provider, [spec_of(content=content, **wrong)], system)
        assert snapshot(str(root)) == before

    @for_root
    def test_hard_link_in_another_users_directory_is_refused(self, provider, system, root):
        (root / "shadow").write_text("secret")
        (root / "shadow").chmod(0o600)
        os.chown(root / "etc", OTHER, OTHER)
        os.link(root / "shadow", root / "etc/motd")
        with pytest.raises(BatchError, match="has other names"):
            converge(provider, [spec_of(owner="app", mode="0666")], system)
        found = (root / "shadow").stat()
        assert (found.st_uid, stat.S_IMODE(found.st_mode)) == (0, 0o600)

    def test_hard_link_is_replaced_not_written_through(self, provider, system, root):
        (root / "shadow").write_text("secret")
        os.link(root / "shadow", root / "etc/motd")
        assert converge(provider, [spec_of(content="new")], system) == []
        assert (root / "shadow").read_text() == "secret"


class TestValidate:
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


class TestForce:
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
        assert [entry["path"] for entry in system._writer.backups.entries()] == ["/etc/motd"]


class TestParents:
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


class TestShowDiff:
    @pytest.mark.parametrize(
        ("declared", "live_mode", "hidden"),
        [
            ({}, 0o644, False),
            ({"mode": "0640"}, 0o640, False),
            ({"mode": "0600"}, 0o644, True),
            ({"mode": "go="}, 0o644, True),
            ({"mode": "0644"}, 0o600, True),
            ({"mode": "u+x"}, 0o700, True),
            ({}, 0o600, True),
            ({"mode": "0600", "show_diff": True}, 0o600, False),
            ({"show_diff": False}, 0o644, True),
            ({"name": "/etc/shadow"}, 0o640, True),
            ({"name": "/etc/gshadow-"}, 0o640, True),
            ({"name": "/etc/tls.key"}, 0o644, True),
            ({"name": "/etc/ssh_host_rsa_key"}, 0o644, True),
            ({"name": "/etc/ssh_host_rsa_key.pub"}, 0o644, False),
            ({"name": "/etc/id_ed25519"}, 0o644, True),
            ({"content": "-----BEGIN PRIVATE KEY-----\n"}, 0o644, True),
        ],
    )
    def test_hides_what_looks_like_a_secret(
        self, provider, system, root, declared, live_mode, hidden
    ):
        spec = spec_of(**{"content": "new", **declared})
        live = root / spec.name[1:]
        live.write_text("old")
        live.chmod(live_mode)
        (change,) = plan(provider, [spec], system)
        assert provider.hidden(change) == (frozenset({"content"}) if hidden else frozenset())

    def test_hides_a_key_that_goes_and_a_new_private_file(self, provider, system, root):
        (change,) = plan(provider, [spec_of(content="x", mode="0600")], system)
        assert provider.hidden(change) == {"content"}
        (root / "etc/motd").write_text("-----BEGIN OPENSSH PRIVATE KEY-----\n")
        (change,) = plan(provider, [spec_of(content="x")], system)
        assert provider.hidden(change) == {"content"}


class TestObstacles:
    def test_read_only_mount(self, provider, system, root, monkeypatch):
        (root / "etc/motd").write_text("x")
        mounted(system, monkeypatch, "/etc/motd", read_only=True)
        for declared in ({"content": "y"}, {"mode": "0600"}, {"state": "absent"}):
            assert "mount" in obstacle(provider, system, **declared).reason
        assert obstacle(provider, system, content="y").remedy == "change it at its source"

    def test_mount_is_written_in_place_but_not_removed(self, provider, system, root, monkeypatch):
        (root / "etc/motd").write_text("x")
        mounted(system, monkeypatch, "/etc/motd")
        inode = (root / "etc/motd").stat().st_ino
        assert obstacle(provider, system, content="y") is None
        assert converge(provider, [spec_of(content="y", mode="0600")], system) == []
        assert (root / "etc/motd").stat().st_ino == inode
        assert system.written_in_place == {"/etc/motd"}
        assert "cannot be removed" in obstacle(provider, system, state="absent").reason

    def test_asks_for_no_more_than_the_change_needs(self, provider, system, root):
        (root / "etc/motd").write_text("x")
        system.capabilities = 0
        assert obstacle(provider, system, mode="0600") is None
        assert obstacle(provider, system, content="y") is None
        assert "CAP_CHOWN" in obstacle(provider, system, owner="12345").reason
        assert "CAP_CHOWN" in obstacle(provider, system, content="y", group="12345").reason

    @for_root
    def test_keeping_a_foreign_owner_needs_a_capability(self, provider, system, root):
        (root / "etc/motd").write_text("x")
        os.chown(root / "etc/motd", OTHER, OTHER)
        system.capabilities = 0
        assert "CAP_CHOWN" in obstacle(provider, system, content="y").reason
        assert "CAP_FOWNER" in obstacle(provider, system, mode="0600").reason

    @for_root
    def test_a_user_may_not_write_to_a_directory_of_roots(self, provider, system, as_other):
        assert "may not write to /etc" in obstacle(provider, system, content="y").reason

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


class TestDeclaration:
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
        }  # fmt: skip
        assert list(provider.claims(spec)) == ["path:/etc/a/b"]


def _refuse(*arguments, **options):
    raise AssertionError("must not be read")


def _fail(*arguments, **options):
    raise OSError(5, "Input/output error")


def resolved(provider, folder, data):
    """Return a spec whose source is a file beside the fake root."""
    (folder / "blob").write_bytes(data)
    real = os.path.realpath(folder / "blob")
    return provider.resolve(spec_of(source="blob"), lambda name: (real, data))


def refused(provider, system, spec, message):
    before = snapshot(system.root)
    with pytest.raises(BatchError, match=message):
        provider.apply(plan(provider, [spec], system), system)
    assert snapshot(system.root) == before


def obstacle(provider, system, **declared):
    changes = plan(provider, [spec_of(**declared)], system)
    assert changes
    return provider.obstacles(changes, system.read_only()).get("/etc/motd")


@pytest.fixture
def as_other(root, system):
    root.parent.chmod(0o711)
    os.seteuid(OTHER)
    yield
    os.seteuid(0)
