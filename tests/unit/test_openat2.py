"""openat2(2) where it is there, and the way without it."""

from __future__ import annotations

import ctypes
import errno
import os

import pytest

from converge import openat2
from converge.openat2 import open_beneath


@pytest.fixture
def root_fd(tmp_path):
    (tmp_path / "a/b").mkdir(parents=True)
    (tmp_path / "file").touch()
    (tmp_path / "link").symlink_to("a")
    fd = os.open(tmp_path, os.O_PATH | os.O_DIRECTORY)
    yield fd
    os.close(fd)


@pytest.fixture(autouse=True)
def asked_anew(monkeypatch):
    monkeypatch.setattr(openat2, "_available", True)
    monkeypatch.setattr(openat2, "_call", None)


def refuse_with(monkeypatch, number: int) -> list[object]:
    """Let the kernel answer with an error; return the calls that were made."""
    calls: list[object] = []

    def call(*words):
        calls.append(words)
        ctypes.set_errno(number)
        return -1

    monkeypatch.setattr(openat2, "_call", call)
    return calls


def opened(root_fd: int, path: str) -> str | None:
    """Return where a path leads below the root; None: walk instead."""
    fd = open_beneath(root_fd, path)
    if fd is None:
        return None
    try:
        root = os.readlink(f"/proc/self/fd/{root_fd}")
        return os.path.relpath(os.readlink(f"/proc/self/fd/{fd}"), root)
    finally:
        os.close(fd)


def test_this_kernel_has_it(root_fd):
    assert opened(root_fd, "a/b") == "a/b"
    assert opened(root_fd, ".") == "."
    assert openat2._available


def test_the_descriptor_is_not_passed_on(root_fd):
    fd = open_beneath(root_fd, "a")
    assert fd is not None
    assert not os.get_inheritable(fd)
    os.close(fd)


@pytest.mark.parametrize("path", ["link", "link/b", "a/../link"])
def test_a_link_on_the_way_is_walked_instead(root_fd, path):
    assert opened(root_fd, path) is None
    assert openat2._available


@pytest.mark.parametrize("path", ["..", "a/../..", "/", "/etc"])
def test_it_does_not_leave_the_root(root_fd, path):
    assert opened(root_fd, path) is None


@pytest.mark.parametrize(
    ("path", "family"),
    [("nothing", FileNotFoundError), ("file", NotADirectoryError), ("file/x", NotADirectoryError)],
)
def test_errors(root_fd, path, family):
    with pytest.raises(family) as caught:
        open_beneath(root_fd, path)
    assert caught.value.filename == f"/{path}"


@pytest.mark.parametrize("number", [errno.ENOSYS, errno.EPERM, errno.EINVAL])
def test_a_kernel_without_it_is_asked_once(root_fd, monkeypatch, number):
    calls = refuse_with(monkeypatch, number)
    assert open_beneath(root_fd, "a") is None
    assert open_beneath(root_fd, "a") is None
    assert len(calls) == 1
    assert not openat2._available


@pytest.mark.parametrize("number", [errno.ELOOP, errno.EXDEV, errno.EAGAIN])
def test_what_it_leaves_to_the_walk(root_fd, monkeypatch, number):
    refuse_with(monkeypatch, number)
    assert open_beneath(root_fd, "a") is None
    assert openat2._available


@pytest.mark.parametrize("number", [errno.EACCES, errno.EMFILE, errno.EIO])
def test_other_errors_are_raised(root_fd, monkeypatch, number):
    refuse_with(monkeypatch, number)
    with pytest.raises(OSError, match=os.strerror(number)) as caught:
        open_beneath(root_fd, "a")
    assert (caught.value.errno, caught.value.filename) == (number, "/a")


def test_a_python_without_ctypes(root_fd, monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "ctypes", None)
    assert open_beneath(root_fd, "a") is None
    assert not openat2._available
