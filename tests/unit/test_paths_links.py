"""Symbolic links on the way: which are followed, and that none leads out of the root."""

from __future__ import annotations

import errno
import os

import pytest

from converge.files.paths import Paths, UnsafePathError

STRANGER = 12345


@pytest.fixture(params=["straight", "walk"], autouse=True)
def way(request, monkeypatch):
    """Every test runs with remembered steps and by the walk alone."""
    if request.param == "walk":
        monkeypatch.setattr(Paths, "_straight", lambda *_: None)
    return request.param


@pytest.fixture
def outside(tmp_path):
    """A place beside the root that must never be reached."""
    (tmp_path / "outside/etc").mkdir(parents=True)
    return tmp_path / "outside"


@pytest.fixture
def root(tmp_path, outside):
    root = tmp_path / "root"
    (root / "etc/app/conf.d").mkdir(parents=True)
    (root / "usr/lib").mkdir(parents=True)
    (root / "etc/motd").write_text("hello")
    return root


@pytest.fixture
def paths(root):
    return Paths(str(root))


def where(fd: int) -> str:
    return os.readlink(f"/proc/self/fd/{fd}")


class TestLinks:
    @pytest.mark.parametrize(
        ("target", "real"),
        [
            ("app", "/etc/app"),
            ("./app/", "/etc/app"),
            ("../usr/lib", "/usr/lib"),
            ("/usr/lib", "/usr/lib"),
            ("/", ""),
            ("../../../../usr", "/usr"),
            ("../../outside", None),
            ("/../outside", None),
            ("../outside/etc", None),
        ],
    )
    def test_trusted_links_stay_below_the_root(self, paths, root, target, real):
        (root / "etc/link").symlink_to(target)
        if real is None:
            with pytest.raises(FileNotFoundError):
                paths.directory("/etc/link")
        else:
            assert where(paths.directory("/etc/link")) == f"{root}{real}"

    def test_absolute_links_cannot_leave(self, paths, root, outside):
        (root / "out").symlink_to(outside)
        with pytest.raises(FileNotFoundError):
            paths.directory("/out/etc")

    def test_links_in_a_row(self, paths, root):
        (root / "a").symlink_to("b")
        (root / "b").symlink_to("/etc/c")
        (root / "etc/c").symlink_to("app")
        assert where(paths.directory("/a/conf.d")) == f"{root}/etc/app/conf.d"
        assert paths.resolve("/a/conf.d") == "/etc/app/conf.d"

    def test_dotdot_after_a_link_is_that_of_its_target(self, paths, root):
        (root / "link").symlink_to("etc/app/conf.d")
        assert where(paths.directory("/link/..")) == f"{root}/etc/app"

    def test_a_loop(self, paths, root):
        (root / "a").symlink_to("b")
        (root / "b").symlink_to("a")
        for ask in (lambda: paths.directory("/a/x"), lambda: paths.resolve("/a")):
            with pytest.raises(OSError, match="Too many levels") as caught:
                ask()
            assert caught.value.errno == errno.ELOOP
            assert not isinstance(caught.value, UnsafePathError)

    def test_at_most_40_links(self, paths, root):
        (root / "l0").symlink_to("etc")
        for i in range(1, 41):
            (root / f"l{i}").symlink_to(f"l{i - 1}")
        assert where(paths.directory("/l39")) == f"{root}/etc"
        with pytest.raises(OSError, match="Too many levels"):
            paths.directory("/l40")

    def test_a_link_to_nothing_and_to_a_file(self, paths, root):
        (root / "nothing").symlink_to("gone")
        (root / "file").symlink_to("etc/motd")
        with pytest.raises(FileNotFoundError):
            paths.directory("/nothing")
        with pytest.raises(NotADirectoryError):
            paths.directory("/file/x")
        assert paths.resolve("/file") == "/etc/motd"

    @pytest.mark.parametrize("mode", [0o777, 0o775, 0o757])
    def test_a_link_that_others_could_swap(self, paths, root, mode):
        (root / "etc/link").symlink_to("app")
        (root / "etc").chmod(mode)
        with pytest.raises(UnsafePathError, match="'link' on the way could be moved") as caught:
            paths.directory("/etc/link/conf.d")
        assert caught.value.errno == errno.ELOOP

    def test_every_step_counts(self, paths, root):
        (root / "etc/app/link").symlink_to("conf.d")
        (root / "etc").chmod(0o777)
        with pytest.raises(UnsafePathError):
            paths.directory("/etc/app/link")

    def test_our_link_in_a_sticky_directory(self, paths, root):
        (root / "tmp").mkdir()
        (root / "tmp").chmod(0o1777)
        (root / "tmp/link").symlink_to("/etc")
        assert where(paths.directory("/tmp/link")) == f"{root}/etc"

    def test_our_link_linked_into_a_sticky_directory(self, paths, root):
        (root / "tmp").mkdir()
        (root / "tmp").chmod(0o1777)
        (root / "mine").symlink_to("/etc")
        os.link(root / "mine", root / "tmp/link", follow_symlinks=False)
        with pytest.raises(UnsafePathError):
            paths.directory("/tmp/link")
        assert where(paths.directory("/mine")) == f"{root}/etc"

    def test_plain_directories_of_others_are_walked(self, paths, root):
        (root / "etc").chmod(0o777)
        assert where(paths.directory("/etc/app")) == f"{root}/etc/app"


class TestStrangers:
    @staticmethod
    def give_away(path, monkeypatch):
        """Let something belong to neither root nor the agent; who is not root is someone else."""
        if os.geteuid() == 0:
            os.chown(path, STRANGER, STRANGER, follow_symlinks=False)
        else:
            monkeypatch.setattr(os, "geteuid", lambda: STRANGER)

    def test_a_link_of_another_users(self, paths, root, monkeypatch):
        (root / "link").symlink_to("etc")
        self.give_away(root / "link", monkeypatch)
        with pytest.raises(UnsafePathError):
            paths.directory("/link")

    def test_a_link_in_another_users_directory(self, paths, root, monkeypatch):
        (root / "etc/link").symlink_to("app")
        self.give_away(root / "etc", monkeypatch)
        with pytest.raises(UnsafePathError):
            paths.directory("/etc/link")
