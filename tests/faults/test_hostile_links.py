"""Links that another user may have put on the way, and second names of files that are not theirs."""

from __future__ import annotations

import os

import pytest

from converge.errors import ApplyError
from converge.files.paths import Paths, UnsafePathError
from faults import scenarios


class TestLinksOnTheWay:
    def test_of_roots_are_followed(self, root, system, way):
        (root / "real").mkdir()
        (root / "link").symlink_to("/real")
        system.write("/link/file", b"x")
        assert (root / "real/file").read_bytes() == b"x"
        assert Paths(str(root)).resolve("/link/file") == "/real/file"

    def test_in_a_directory_that_others_may_write_to_are_not(self, root, system, others, way):
        (root / "real").mkdir()
        (others / "link").symlink_to("/real")
        with pytest.raises(UnsafePathError, match="/others/link"):
            system.write("/others/link/file", b"x")

    def test_nor_further_down_from_there(self, root, system, others, way):
        """Its owner may exchange `inner` for another directory of root's, with another link."""
        (others / "inner").mkdir()
        (root / "real").mkdir()
        (others / "inner/link").symlink_to("/real")
        with pytest.raises(UnsafePathError):
            system.write("/others/inner/link/file", b"x")

    def test_in_a_sticky_directory_only_what_is_no_hard_link(self, root, system, others, way):
        others.chmod(0o1777)
        (root / "real").mkdir()
        (others / "link").symlink_to("/real")
        system.write("/others/link/file", b"x")
        os.link(others / "link", root / "second", follow_symlinks=False)
        system.forget()
        with pytest.raises(UnsafePathError):
            system.write("/others/link/file", b"y")

    def test_as_the_last_step_are_no_better(self, root, system, others, way):
        (root / "secret").write_bytes(b"secret")
        (others / "conf").symlink_to("/secret")
        with pytest.raises(UnsafePathError):
            system.read("/others/conf", follow=True)
        (root / "conf").symlink_to("/secret")
        assert system.read("/conf", follow=True) == b"secret"
        (root / "dangling").symlink_to("nothing")
        assert system.read("/dangling", follow=True) is None

    def test_out_of_the_root_stay_in_it(self, root, system, tmp_path, way):
        (root / "up").symlink_to("../../../../etc")
        (root / "etc").mkdir()
        system.write("/up/file", b"x")
        assert (root / "etc/file").exists()

    def test_in_a_circle_end(self, root, system, way):
        (root / "a").symlink_to("b")
        (root / "b").symlink_to("a")
        with pytest.raises(OSError, match="symbolic links"):
            system.write("/a/file", b"x")


class TestHardLinks:
    """CVE-2017-18078: the other name may be /etc/shadow."""

    @pytest.mark.parametrize("mode", [0o777, 0o1777, 0o775])
    def test_in_a_directory_of_others_take_no_attributes(self, mode, root, system, others):
        others.chmod(mode)
        (root / "shadow").write_bytes(b"secret")
        (root / "shadow").chmod(0o600)
        os.link(root / "shadow", others / "file")
        for change in (
            lambda: system.set_attributes("/others/file", mode=0o666),
            lambda: system.write("/others/file", mode=0o666),
        ):
            with pytest.raises(ApplyError, match="hard links"):
                change()
        assert (root / "shadow").stat().st_mode & 0o777 == 0o600
        assert scenarios.staged(root) == []

    def test_in_a_directory_of_roots_do(self, root, system):
        (root / "a").touch()
        os.link(root / "a", root / "b")
        system.set_attributes("/a", mode=0o600)
        assert (root / "b").stat().st_mode & 0o777 == 0o600
