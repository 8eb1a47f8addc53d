"""The kind `file`: owner and mode, and which contents are shown."""

from __future__ import annotations

import os
import stat

import pytest

from converge.errors import BatchError
from converge.testing import converge, make_spec, plan, snapshot
from providers.fake_tree import OTHER, TreeFixtures, for_root


def spec_of(**declared):
    return make_spec("file", **{"name": "/etc/motd", **declared})


class TestMode(TreeFixtures):
    kind = "file"

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


class TestOwner(TreeFixtures):
    kind = "file"

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


class TestShowDiff(TreeFixtures):
    kind = "file"

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
