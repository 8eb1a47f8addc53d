"""Paths below a root: both ways of resolving give the same answers, and neither leaves the root."""

from __future__ import annotations

import errno
import os

import pytest

from converge import openat2
from converge.errors import ApplyError
from converge.paths import At, Paths, UnsafePathError

STRANGER = 12345


@pytest.fixture(params=["openat2", "walk"], autouse=True)
def way(request, monkeypatch):
    """Every test runs with openat2(2) and without it."""
    if request.param == "walk":
        monkeypatch.setattr(openat2, "_available", False)
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


class TestPlain:
    @pytest.mark.parametrize(
        ("path", "real"),
        [
            ("/", ""),
            ("/etc", "/etc"),
            ("/etc/app/conf.d", "/etc/app/conf.d"),
            ("//etc//app/", "/etc/app"),
            ("/./etc/./app/.", "/etc/app"),
            ("/etc/app/..", "/etc"),
            ("/etc/../usr/lib", "/usr/lib"),
            ("/..", ""),
            ("/../../..", ""),
            ("/../../etc", "/etc"),
        ],
    )
    def test_directory(self, paths, root, path, real):
        assert where(paths.directory(path)) == f"{root}{real}"

    @pytest.mark.parametrize(
        ("path", "number"),
        [
            ("/nothing", errno.ENOENT),
            ("/nothing/x", errno.ENOENT),
            ("/etc/motd", errno.ENOTDIR),
            ("/etc/motd/x", errno.ENOTDIR),
            ("/etc/motd/..", errno.ENOTDIR),
            ("/etc/" + "x" * 256, errno.ENAMETOOLONG),
            ("/etc\0/x", errno.EINVAL),
            ("/etc/\udc00\ud800", errno.EILSEQ),
        ],
    )
    def test_errors_name_the_whole_path(self, paths, path, number):
        with pytest.raises(OSError, match=r".") as caught:
            paths.directory(path)
        assert caught.value.errno == number
        if number not in (errno.EILSEQ,):
            assert caught.value.filename == path

    def test_parent(self, paths, root):
        fd, name = paths.parent("/etc/app/x.conf")
        assert (where(fd), name) == (f"{root}/etc/app", "x.conf")
        fd, name = paths.parent("/top")
        assert (where(fd), name) == (str(root), "top")

    @pytest.mark.parametrize(
        "path", ["", "/", "etc/motd", "/etc/", "/etc/.", "/etc/..", "/etc/a\0b"]
    )
    def test_no_parent(self, paths, path):
        with pytest.raises(OSError, match=r"not a path|NUL") as caught:
            paths.parent(path)
        assert caught.value.errno == errno.EINVAL

    def test_names_that_are_no_utf8(self, paths, root):
        os.mkdir(os.fsencode(root) + b"/caf\xe9")
        assert where(paths.directory("/caf\udce9")) == f"{root}/caf\udce9"

    def test_a_root_that_is_a_link(self, root, tmp_path):
        (tmp_path / "link").symlink_to(root)
        paths = Paths(str(tmp_path / "link"))
        assert (paths.root, paths.real("/etc")) == (str(root), f"{root}/etc")
        assert where(paths.directory("/etc")) == f"{root}/etc"

    def test_real_without_a_prefix(self):
        assert Paths("/").real("/etc/motd") == "/etc/motd"


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


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give files away")
class TestStrangers:
    def test_a_link_of_another_users(self, paths, root):
        (root / "link").symlink_to("etc")
        os.lchown(root / "link", STRANGER, STRANGER)
        with pytest.raises(UnsafePathError):
            paths.directory("/link")

    def test_a_link_in_another_users_directory(self, paths, root):
        (root / "etc/link").symlink_to("app")
        os.chown(root / "etc", STRANGER, STRANGER)
        with pytest.raises(UnsafePathError):
            paths.directory("/etc/link")


class TestCache:
    def test_a_directory_is_opened_once(self, paths):
        assert paths.directory("/etc") == paths.directory("/etc")

    def test_forget(self, paths, root):
        old = where(paths.directory("/etc"))
        (root / "etc").rename(root / "moved")
        (root / "etc").mkdir()
        assert where(paths.directory("/etc")) == str(root / "moved") != old
        paths.forget()
        assert where(paths.directory("/etc")) == str(root / "etc")

    def test_descriptors_do_not_run_out(self, root):
        paths = Paths(str(root))
        before = len(os.listdir("/proc/self/fd"))
        for i in range(300):
            (root / f"d{i}").mkdir()
            paths.directory(f"/d{i}")
        assert len(os.listdir("/proc/self/fd")) - before <= 256
        paths.forget()
        assert len(os.listdir("/proc/self/fd")) == before

    def test_failures_leave_no_descriptor(self, paths, root):
        (root / "etc/link").symlink_to("app")
        (root / "etc").chmod(0o777)
        before = len(os.listdir("/proc/self/fd"))
        for path in ("/etc/link/x", "/nothing/x", "/etc/motd/x", "/etc/app/../motd/.."):
            with pytest.raises(OSError, match=r"."):
                paths.directory(path)
            with pytest.raises(OSError, match=r"."):
                paths.resolve(path)
        assert len(os.listdir("/proc/self/fd")) == before


class TestAt:
    def test_holds_the_directory(self, paths, root):
        with At(paths, "/etc/motd") as (fd, name):
            paths.forget()
            assert (where(fd), name) == (f"{root}/etc", "motd")
        with pytest.raises(OSError, match="Bad file descriptor"):
            os.fstat(fd)

    def test_errors_get_the_whole_path(self, paths):
        with pytest.raises(FileNotFoundError) as caught, At(paths, "/etc/gone") as (fd, name):
            os.stat(name, dir_fd=fd)
        assert caught.value.filename == "/etc/gone"

    @pytest.mark.skipif(os.geteuid() != 0, reason="says what root should look for")
    def test_what_not_even_root_may(self, paths):
        with pytest.raises(ApplyError, match="immutable"), At(paths, "/etc/motd"):
            raise PermissionError(errno.EPERM, os.strerror(errno.EPERM))
