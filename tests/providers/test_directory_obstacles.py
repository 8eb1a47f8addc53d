"""The kind `directory`: what the container forbids."""

from __future__ import annotations

import os
import stat

import pytest

from converge.errors import BatchError
from converge.testing import FakeSystem, converge, make_spec
from providers.fake_tree import OTHER, TreeFixtures, for_root, mounted, obstacle


def spec_of(**declared):
    return make_spec("directory", **{"name": "/srv/app", **declared})


def mode_of(path):
    return f"{stat.S_IMODE(path.lstat().st_mode):04o}"


class TestObstacles(TreeFixtures):
    kind = "directory"

    def test_read_only_mount(self, provider, system, tree, monkeypatch):
        mounted(system, monkeypatch, "/srv", read_only=True)
        cases = (
            {"mode": "0700"}, {"name": "/srv/new"}, {"state": "absent", "force": True},
            {"recurse": True, "file_mode": "0600"}, {"purge": True},
        )  # fmt: skip
        for declared in cases:
            assert (
                obstacle(provider, system, spec_of(**declared)).reason
                == "/srv is mounted read-only"
            )

    @pytest.mark.parametrize("point", ["/srv/app", "/srv/app/sub/deep"])
    def test_mount_at_or_below_is_not_removed(self, provider, system, tree, monkeypatch, point):
        mounted(system, monkeypatch, point)
        found = obstacle(provider, system, spec_of(state="absent", force=True))
        assert (
            found.reason == f"{point} is a mount, which cannot be removed or replaced from inside"
        )
        with pytest.raises(BatchError, match="is a mount"):
            converge(provider, [spec_of(state="absent", force=True)], system)
        assert (tree / "file").exists()

    def test_mode_of_a_mount_can_be_set(self, provider, system, tree, monkeypatch):
        mounted(system, monkeypatch, "/srv/app")
        assert obstacle(provider, system, spec_of(mode="0700")) is None

    def test_asks_for_no_more_than_the_change_needs(self, provider, system, tree):
        system.capabilities = 0
        assert obstacle(provider, system, spec_of(mode="0700")) is None
        assert obstacle(provider, system, spec_of(recurse=True, file_mode="0600")) is None
        assert obstacle(provider, system, spec_of(name="/etc/new", mode="0700")) is None
        assert (
            "CAP_CHOWN"
            in obstacle(provider, system, spec_of(name="/etc/new", owner="12345")).reason
        )
        assert (
            "CAP_CHOWN" in obstacle(provider, system, spec_of(recurse=True, group="12345")).reason
        )

    @for_root
    def test_mode_of_another_users_needs_a_capability(self, provider, system, tree):
        os.chown(tree / "sub", OTHER, OTHER)
        system.capabilities = 0
        found = obstacle(provider, system, spec_of(recurse=True, directory_mode="0700"))
        assert "CAP_FOWNER" in found.reason
        assert "/srv/app/sub" in found.reason

    @for_root
    def test_a_user_may_set_the_mode_where_he_may_not_write(self, provider, root, tree):
        os.chown(tree, OTHER, OTHER)
        root.parent.chmod(0o711)
        system = FakeSystem(root, capabilities=0)
        os.seteuid(OTHER)
        try:
            assert obstacle(provider, system, spec_of(mode="0700")) is None
            assert (
                "may not write to /srv" in obstacle(provider, system, spec_of(name="/srv/b")).reason
            )
            assert converge(provider, [spec_of(mode="0700")], system) == []
        finally:
            os.seteuid(0)
        assert mode_of(tree) == "0700"
