"""Paths below a root: both ways of resolving give the same answers, and neither leaves the root."""

from __future__ import annotations

import errno
import os

import pytest

from converge.errors import ApplyError
from converge.files.paths import At, Paths


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


class TestCache:
    def test_a_directory_is_opened_once(self, paths):
        assert paths.directory("/etc") == paths.directory("/etc")

    def test_a_step_is_opened_once(self, paths, root, way):
        folder = paths.directory("/etc/app")
        (root / "etc").rename(root / "moved")
        below = paths.directory("/etc") if way == "straight" else folder
        assert where(below).startswith(str(root / "moved"))
        assert where(folder) == str(root / "moved/app")

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
        assert len(os.listdir("/proc/self/fd")) <= before

    def test_failures_leave_no_descriptor(self, paths, root):
        (root / "etc/link").symlink_to("app")
        (root / "etc").chmod(0o777)
        before = len(os.listdir("/proc/self/fd"))
        for path in ("/etc/link/x", "/nothing/x", "/etc/motd/x", "/etc/app/../motd/.."):
            with pytest.raises(OSError, match=r"."):
                paths.directory(path)
            with pytest.raises(OSError, match=r"."):
                paths.resolve(path)
        paths.forget()
        assert len(os.listdir("/proc/self/fd")) <= before


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

    def test_what_not_even_root_may(self, paths, monkeypatch):
        monkeypatch.setattr(os, "geteuid", lambda: 0)
        with pytest.raises(ApplyError, match="immutable"), At(paths, "/etc/motd"):
            raise PermissionError(errno.EPERM, os.strerror(errno.EPERM))
