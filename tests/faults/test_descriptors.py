"""Failures close what they opened, say which path, and few descriptors are enough."""

from __future__ import annotations

import gc
import os
import resource
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from converge.errors import ConvergeError
from converge.files.backup import Backups
from converge.system import System
from faults import scenarios, tracing


class TestDescriptors:
    FAILURES = (
        lambda system: system.write("/etc/missing/file", b"x"),
        lambda system: system.write("/etc/file/below", b"x"),
        lambda system: system.write("/etc/folder", b"x"),
        lambda system: system.write("/etc/fifo", b"x"),
        lambda system: system.write("/etc/link", b"x"),
        lambda system: system.write("/etc/" + "n" * 256, b"x"),
        lambda system: system.write("/etc/a\0b", b"x"),
        lambda system: system.write("/etc/\ud800", b"x"),
        lambda system: system.write("/theirs/link/x", b"x"),
        lambda system: system.read("/etc/fifo"),
        lambda system: system.read("/etc/folder"),
        lambda system: system.read("/etc/file", limit=1),
        lambda system: system.digest("/etc/fifo"),
        lambda system: system.digest("/etc/folder"),
        lambda system: system.set_attributes("/etc/link", mode=0o600),
        lambda system: system.set_link_owner("/etc/file", uid=0, gid=0),
        lambda system: system.make_directory("/etc/folder"),
        lambda system: system.make_symlink("/etc/folder", "x"),
        lambda system: system.remove("/etc/folder"),
        lambda system: system.remove_tree("/etc/file"),
        lambda system: system.remove_tree("/etc/missing"),
        lambda system: system.write_kernel("/etc/missing", b"x"),
        lambda system: system.lstat("/etc/loop/x"),
    )

    @pytest.fixture
    def system(self, tmp_path) -> System:
        root = tmp_path / "root"
        (root / "etc/folder").mkdir(parents=True)
        (root / "etc/folder/inside").write_bytes(b"not empty")
        (root / "etc/file").write_bytes(b"old")
        (root / "etc/link").symlink_to("file")
        (root / "etc/loop").symlink_to("loop")
        os.mkfifo(root / "etc/fifo")
        (root / "theirs").mkdir(mode=0o777)
        (root / "theirs").chmod(0o777)
        (root / "theirs/link").symlink_to("../etc")
        return System(str(root), backups=Backups(str(tmp_path / "backups")))

    def test_a_thousand_failures_leak_none(self, system):
        """Nor do they raise anything but OSError and our own family, each with the path."""
        gc.collect()  # the systems of other tests hold directories
        before = 0
        for cycle in range(1000 // len(self.FAILURES) + 1):
            for failure in self.FAILURES:
                with pytest.raises((OSError, ConvergeError), match=r"/etc|/theirs"):
                    failure(system)
            if cycle == 0:
                before = len(os.listdir("/proc/self/fd"))
        assert len(os.listdir("/proc/self/fd")) == before
        assert scenarios.staged(Path(system.root)) == []

    @pytest.fixture
    def few(self) -> Iterator[Callable[[int], None]]:
        """Lower the limit of descriptors to some more than are open."""
        soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
        filled: list[int] = []

        def lower(more: int) -> None:
            highest = max(int(fd) for fd in os.listdir("/proc/self/fd"))
            while not filled or filled[-1] < highest:
                filled.append(os.open("/dev/null", os.O_RDONLY))
            resource.setrlimit(resource.RLIMIT_NOFILE, (filled[-1] + 1 + more, hard))

        yield lower
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
        for fd in filled:
            os.close(fd)

    @pytest.mark.parametrize("limit", [16, 24, 64])
    def test_few_are_enough_for_many_directories(self, limit, tmp_path):
        work = (
            "import sys; from converge.system import System; system = System(sys.argv[1])\n"
            "for i in range(100):\n"
            "    system.make_directory(f'/d{i}')\n"
            "    system.write(f'/d{i}/file', b'x')\n"
            "assert system.read('/d0/file') == b'x'"
        )
        script = f'ulimit -n {limit} && exec "$@"'
        argv = ["sh", "-c", script, "sh", *tracing.PYTHON, "-c", work, str(tmp_path)]
        ended = tracing.run(argv)
        assert ended.returncode == 0, ended.stderr

    @pytest.mark.parametrize("left", range(1, 4))
    def test_none_left_is_an_error_and_no_leak(self, left, system, tmp_path, few):
        system.lstat("/etc/file")
        few(left)
        with pytest.raises((OSError, ConvergeError), match="Too many open files"):
            system.write("/etc/file", b"new")
        few(20)
        before = os.listdir("/proc/self/fd")
        assert system.read("/etc/file") == b"old"
        assert os.listdir("/proc/self/fd") == before
        assert (tmp_path / "root/etc/file").read_bytes() == b"old"
        assert scenarios.staged(tmp_path) == []
