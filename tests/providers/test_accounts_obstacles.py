"""Containers in which accounts cannot be changed."""

from __future__ import annotations

import os

import pytest

from converge import kinds
from converge.mounts import Mount
from converge.probe import CAP_CHOWN
from converge.testing import make_spec, plan
from providers.accounts_root import ME, make_root

NO_CHOWN = (1 << 41) - 1 & ~(1 << CAP_CHOWN)


@pytest.fixture
def system(tmp_path):
    return make_root(tmp_path)


def obstacle(kind, system, **declared):
    provider = kinds.load(kind)
    spec = make_spec(kind, **declared)
    return provider.obstacles(plan(provider, [spec], system), system.read_only()).get(spec.name)


def mount(monkeypatch, system, path, *, read_only):
    found = {path: Mount(path=path, type="ext4", source="/dev/x", read_only=read_only)}
    for view in (type(system), type(system.read_only())):
        monkeypatch.setattr(view, "mounts", lambda self: found)


@pytest.mark.parametrize(
    ("kind", "declared"),
    [("user", {"name": "web"}), ("user", {"name": "old", "state": "absent"}),
     ("user", {"name": "old", "uid": 9, "password": "*", "groups": ["adm"]}),
     ("group", {"name": "web"}), ("group", {"name": "adm", "gid": 9})],
)  # fmt: skip
def test_nothing_is_in_the_way_of_a_writable_machine(system, kind, declared):
    assert obstacle(kind, system, **declared) is None


@pytest.mark.parametrize(
    ("kind", "declared", "path"),
    [
        ("user", {"name": "old", "shell": "/x"}, "/etc/passwd"),
        ("user", {"name": "old", "locked": True}, "/etc/shadow"),
        ("user", {"name": "old", "groups": ["adm"]}, "/etc/group"),
        ("user", {"name": "old", "state": "absent"}, "/etc/gshadow"),
        ("group", {"name": "adm", "members": ["x"]}, "/etc/gshadow"),
        ("group", {"name": "old", "gid": 9}, "/etc/passwd"),
    ],
)
def test_a_read_only_mount_matters_to_what_is_in_it(monkeypatch, system, kind, declared, path):
    mount(monkeypatch, system, path, read_only=True)
    assert obstacle(kind, system, **declared).reason == f"{path} is a read-only mount"
    mount(monkeypatch, system, "/etc/hosts", read_only=True)
    assert obstacle(kind, system, **declared) is None
    mount(monkeypatch, system, "/etc", read_only=True)
    assert "mounted read-only" not in (obstacle(kind, system, **declared).remedy)


def test_a_writable_mount_is_written_in_place(monkeypatch, system):
    mount(monkeypatch, system, "/etc/passwd", read_only=False)
    assert obstacle("user", system, name="old", shell="/x") is None


def test_a_home_on_a_read_only_mount(monkeypatch, system):
    mount(monkeypatch, system, "/home", read_only=True)
    assert obstacle("user", system, name="old", shell="/x") is None
    assert "/home" in obstacle("user", system, name="old", manage_home=True).reason


def test_giving_a_home_needs_a_capability(tmp_path, system):
    system.capabilities = NO_CHOWN
    reason = "giving a home to its user needs CAP_CHOWN"
    assert obstacle("user", system, name="old", manage_home=True).reason == reason
    assert obstacle("user", system, name="old", uid=1600).reason == reason
    assert obstacle("user", system, name="old", shell="/x") is None


def test_missing_shadows_are_not_needed(tmp_path):
    system = make_root(tmp_path, without=["shadow", "gshadow"])
    assert obstacle("user", system, name="old", state="absent") is None


if ME == 0:

    def test_replacing_a_file_of_another_group_needs_a_capability(tmp_path, system):
        os.chown(tmp_path / "root/etc/shadow", 0, 42)
        system.capabilities = NO_CHOWN
        found = obstacle("user", system, name="old", locked=True)
        assert found.reason == "replacing /etc/shadow, of 0:42, needs CAP_CHOWN"
        assert obstacle("user", system, name="old", shell="/x") is None

    def test_an_arbitrary_user_is_told_to_build_it_in(tmp_path, system):
        for folder in (tmp_path, tmp_path / "root", tmp_path / "root/etc"):
            folder.chmod(0o755)
        changes = plan(kinds.load("user"), [make_spec("user", name="web")], system)
        tmp_path.parent.chmod(0o755)
        os.seteuid(65534)
        try:
            found = kinds.load("user").obstacles(changes, system.read_only())["web"]
        finally:
            os.seteuid(0)
        assert found.reason == "uid 65534 may not write /etc/passwd"
        assert "add the user when the image is built" in found.remedy
