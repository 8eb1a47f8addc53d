"""What a container allows, as far as the kernel's rules go: chown(2), chmod(2), unlink(2)."""

from __future__ import annotations

import os

import pytest

from converge import probe
from converge.mounts import Mount
from converge.testing import FakeSystem

ROOT = os.geteuid() == 0
ME, MINE = os.geteuid(), os.getegid()
OTHER = 65534 if ME != 65534 else 65533
CHOWN, FOWNER = 1 << probe.CAP_CHOWN, 1 << probe.CAP_FOWNER


def for_root(test):
    """Leave out a test of what only root can set up: files of another user's."""
    return test if ROOT else None


@pytest.fixture
def root(tmp_path):
    (tmp_path / "etc").mkdir()
    (tmp_path / "etc").chmod(0o755)
    (tmp_path / "etc/f").touch()
    return tmp_path


def attributes(
    root, capabilities=0, *, owner=None, group=None, mode=False, path="/etc/f", new=False
):
    """Return the capability that is missing, "" for none."""
    system = FakeSystem(root, capabilities=capabilities)
    why = probe.attributes(system, path, owner=owner, group=group, mode=mode, new=new)
    return why.reason.rpartition(" ")[2] if why else ""


class TestAttributesOfOnesOwn:
    @pytest.mark.parametrize("path", ["/etc/f", "/etc/new"])
    def test_mode_and_own_ids_need_nothing(self, root, path):
        assert attributes(root, owner=ME, group=MINE, mode=True, path=path) == ""

    @pytest.mark.parametrize("path", ["/etc/f", "/etc/new"])
    def test_another_owner_or_group_needs_chown(self, root, path):
        assert attributes(root, owner=OTHER, path=path) == "CAP_CHOWN"
        assert attributes(root, group=OTHER, path=path) == "CAP_CHOWN"
        assert attributes(root, CHOWN, owner=OTHER, group=OTHER, path=path) == ""

    @pytest.mark.parametrize("path", ["/etc/f", "/etc/new"])
    def test_mode_is_set_after_the_owner_who_then_is_another(self, root, path):
        assert attributes(root, CHOWN, owner=OTHER, mode=True, path=path) == "CAP_FOWNER"
        assert attributes(root, CHOWN | FOWNER, owner=OTHER, mode=True, path=path) == ""

    def test_supplementary_groups_need_nothing(self, root, monkeypatch):
        monkeypatch.setattr(os, "getgroups", lambda: [4242])
        assert attributes(root, group=4242) == ""
        assert attributes(root, group=4243) == "CAP_CHOWN"

    @for_root
    def test_group_that_holds_needs_nothing(self, root):
        os.chown(root / "etc/f", 0, 4242)
        assert attributes(root, owner=0, group=4242, mode=True) == ""

    @for_root
    def test_new_one_takes_the_group_of_a_set_group_id_directory(self, root):
        os.chown(root / "etc", 0, 4242)
        assert attributes(root, group=4242, path="/etc/new") == "CAP_CHOWN"
        (root / "etc").chmod(0o2755)
        assert attributes(root, group=4242, path="/etc/new") == ""


class TestAttributesOfAnothers:
    @pytest.fixture(autouse=True)
    def given(self, root):
        if ROOT:
            os.chown(root / "etc/f", OTHER, OTHER)

    @for_root
    def test_what_holds_needs_nothing(self, root):
        assert attributes(root, owner=OTHER, group=OTHER) == ""

    @for_root
    def test_mode_needs_fowner_alone(self, root):
        assert attributes(root, CHOWN, mode=True) == "CAP_FOWNER"
        assert attributes(root, FOWNER, owner=OTHER, group=OTHER, mode=True) == ""

    @for_root
    def test_taking_it_needs_chown_alone(self, root):
        assert attributes(root, FOWNER, owner=ME) == "CAP_CHOWN"
        assert attributes(root, CHOWN, owner=ME, mode=True) == ""

    @for_root
    def test_our_own_group_needs_chown_all_the_same(self, root):
        assert attributes(root, FOWNER, group=MINE) == "CAP_CHOWN"
        assert attributes(root, CHOWN, group=MINE) == ""

    @for_root
    def test_replacing_it_makes_it_ours(self, root):
        assert attributes(root, owner=ME, group=MINE, mode=True, new=True) == ""


@for_root
@pytest.mark.parametrize("capabilities", [0, CHOWN, FOWNER, CHOWN | FOWNER])
@pytest.mark.parametrize("holder", [0, OTHER])
@pytest.mark.parametrize("wanted", [(0, 0), (OTHER, 0), (0, OTHER), (12345, 12345)])
def test_agrees_with_the_kernel(root, capabilities, holder, wanted):
    """Do it in a child with exactly these capabilities, and compare."""
    os.chown(root / "etc/f", holder, holder)
    uid, gid = wanted
    predicted = attributes(root, capabilities, owner=uid, group=gid, mode=True) == ""
    child = os.fork()
    if child == 0:
        try:
            _drop_to(capabilities)
            found = os.stat(root / "etc/f")
            if (found.st_uid, found.st_gid) != wanted:
                os.chown(root / "etc/f", uid, gid)
            os.chmod(root / "etc/f", 0o600)
            os._exit(0)
        except PermissionError:
            os._exit(1)
    assert (os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0) == predicted


def _drop_to(capabilities):
    """Keep these capabilities and those to reach the file, by capset(2), version 3."""
    import ctypes

    kept = capabilities | 1 << probe.CAP_DAC_OVERRIDE
    header = (ctypes.c_uint32 * 2)(0x20080522, 0)
    data = (ctypes.c_uint32 * 6)(kept, kept, 0, 0, 0, 0)
    if ctypes.CDLL(None, use_errno=True).capset(header, data) != 0:
        os._exit(2)


class TestWritable:
    def see(self, system, monkeypatch, path, *, read_only):
        mount = Mount(path=path, type="ext4", source="/dev/x", read_only=read_only)
        monkeypatch.setattr(FakeSystem, "mounts", lambda self: {path: mount})
        return system

    def test_nothing_in_the_way(self, root):
        assert probe.writable(FakeSystem(root), "/etc/f") is None
        assert probe.writable(FakeSystem(root), "/not/yet/there") is None

    def test_read_only_file_mount(self, root, monkeypatch):
        system = self.see(FakeSystem(root), monkeypatch, "/etc/f", read_only=True)
        why = probe.writable(system, "/etc/f")
        assert (why.reason, why.remedy) == (
            "/etc/f is a read-only mount",
            "change it at its source",
        )
        assert probe.writable(system, "/etc/g") is None

    def test_below_a_read_only_mount(self, root, monkeypatch):
        system = self.see(FakeSystem(root), monkeypatch, "/etc", read_only=True)
        why = probe.writable(system, "/etc/sub/f")
        assert why.reason == "/etc is mounted read-only"
        assert "mount a volume at /etc/sub" in why.remedy
        assert probe.read_only_mount(system, "/etc/sub/f") == why
        assert probe.read_only_mount(system, "/srv") is None

    @for_root
    def test_a_mount_point_must_be_writable_itself(self, root, monkeypatch):
        system = self.see(FakeSystem(root), monkeypatch, "/etc/f", read_only=False)
        (root / "etc").chmod(0o777)
        for mode, reason in ((0o644, f"uid {OTHER} may not write to /etc/f"), (0o666, None)):
            (root / "etc/f").chmod(mode)
            why = as_other(root, lambda: probe.writable(system, "/etc/f"))
            assert (why.reason if why else None) == reason

    @for_root
    def test_otherwise_its_directory_must_be(self, root):
        system = FakeSystem(root, capabilities=0)
        (root / "etc/f").chmod(0o666)
        for mode, reason in ((0o755, f"uid {OTHER} may not write to /etc"), (0o777, None)):
            (root / "etc").chmod(mode)
            for path in ("/etc/f", "/etc/new", "/etc/a/b"):
                why = as_other(root, lambda path=path: probe.writable(system, path))
                assert (why.reason if why else None) == reason

    @for_root
    def test_writable_but_not_searchable_directory(self, root):
        system = FakeSystem(root, capabilities=0)
        (root / "etc").chmod(0o766)
        assert as_other(root, lambda: probe.may_write(system, "/etc")) is False

    @for_root
    def test_sticky_directory_keeps_what_is_anothers(self, root):
        (root / "etc").chmod(0o1777)
        os.chown(root / "etc", 12345, 12345)
        bare, able = FakeSystem(root, capabilities=0), FakeSystem(root, capabilities=FOWNER)
        why = as_other(root, lambda: probe.writable(bare, "/etc/f"))
        assert (
            why.reason == "/etc/f is uid 0's in a sticky directory; replacing it needs CAP_FOWNER"
        )
        assert as_other(root, lambda: probe.writable(able, "/etc/f")) is None
        assert as_other(root, lambda: probe.writable(bare, "/etc/new")) is None
        os.chown(root / "etc/f", OTHER, OTHER)
        assert as_other(root, lambda: probe.writable(bare, "/etc/f")) is None

    def test_a_trusted_link_to_a_directory(self, root):
        (root / "link").symlink_to("/etc")
        assert probe.may_write(FakeSystem(root), "/link")
        assert probe.writable(FakeSystem(root), "/link/f") is None


def as_other(root, ask):
    """Return what `ask` returns when asked by another user."""
    root.chmod(0o711)
    os.seteuid(OTHER)
    try:
        return ask()
    finally:
        os.seteuid(0)
