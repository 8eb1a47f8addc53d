"""Disks that are full, broken or read-only: the target stays, nothing is left, the error says why."""

from __future__ import annotations

import errno
import json
import os
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from converge.errors import ConvergeError
from converge.files.backup import Backups
from converge.system import System
from faults import scenarios, tracing
from faults.needs import need, need_mounts, need_programs, need_root, need_strace
from faults.tracing import Point

FAIL = "driver_fail.py"
CHANGE = "set-user-id"  # replaces content, owner and mode
ERRORS = {
    "openat": ("ENOSPC", "EDQUOT", "EROFS", "EMFILE", "EIO"),
    "mkdir": ("ENOSPC", "EROFS"),
    "write": ("ENOSPC", "EDQUOT", "EIO"),
    "fsync": ("EIO",),
    "fchown": ("EPERM", "EIO"),
    "fsetxattr": ("ENOSPC", "EOPNOTSUPP"),
    "fchmod": ("EPERM",),
    "rename": ("EXDEV", "EROFS", "ENOSPC", "EIO"),
    "renameat": ("EXDEV", "EROFS", "ENOSPC", "EIO"),
}


def outcome(argv: list[str]) -> dict[str, object]:
    """Run a driver that fails, and return what it says."""
    ended = tracing.run(argv)
    assert ended.returncode == 0, ended.stderr
    found: dict[str, object] = json.loads(ended.stdout)
    return found


def assert_told(found: dict[str, object], error: str, path: str = scenarios.TARGET) -> None:
    assert found["family"], found
    assert path in str(found["text"]), "the path is named"
    assert os.strerror(getattr(errno, error)) in str(found["text"]), "the reason is named"
    assert "\n" not in str(found["text"])
    assert found["leaked"] == 0


def driver(name: str, folder: Path) -> list[str]:
    return tracing.command(name, str(folder), driver=FAIL)


@pytest.fixture(scope="module")
def points(tmp_path_factory) -> list[Point]:
    need_strace()
    folder = tmp_path_factory.mktemp("reference")
    scenarios.prepare(CHANGE, folder / "run")
    log = folder / "log"
    assert outcome([*tracing.tracer(log), *driver(CHANGE, folder / "run")])["class"] is None
    found = tracing.points(log.read_text())
    assert {point.call for point in found} - {"unlinkat"} <= set(ERRORS)
    return [point for point in found if not point.arguments.startswith("1, ")]  # what it prints


class TestEveryCall:
    """Every changing call of a replacement fails in every way that it can."""

    @pytest.mark.parametrize("call", ERRORS)
    def test_leaves_the_old_file_and_nothing_else(self, call, points, tmp_path):
        mine = [point for point in points if point.call == call]
        last = points[-1]  # the directory is made durable after the new name is there
        for point in mine:
            for error in ERRORS[call]:
                folder = tmp_path / f"{point.nth}-{error}"
                scenarios.prepare(CHANGE, folder)
                old = scenarios.observe(scenarios.target_of(folder))
                found = outcome([*tracing.failing(point, error), *driver(CHANGE, folder)])
                assert_told(found, error)
                seen = scenarios.observe(scenarios.target_of(folder))
                if point == last:
                    assert seen[-1] == scenarios.NEW
                else:
                    assert seen == old, (point, error)
                assert scenarios.staged(folder) == [], (point, error)

    def test_they_are_all_there(self, points):
        calls = {point.call for point in points}
        assert {"openat", "write", "fsync", "fchmod"} <= calls
        assert calls & {"rename", "renameat"}


class TestReading:
    @pytest.mark.parametrize("call", ["pread64", "openat"])
    def test_what_cannot_be_read_is_not_absent(self, call, tmp_path):
        """A file that cannot be read must not be written anew, as if it were not there."""
        need_strace()
        scenarios.prepare("read", tmp_path)
        target = scenarios.target_of(tmp_path)
        options = ("-P", str(target))
        head = tracing.failing(Point(call, 1), "EIO", *options)
        if call == "openat":  # by a name below a descriptor, which -P does not match
            head = tracing.failing(Point("openat", _opening(tmp_path)), "EIO")
        assert_told(outcome([*head, *driver("read", tmp_path)]), "EIO")

    def test_no_backup_of_what_cannot_be_read(self, tmp_path):
        need_strace()
        scenarios.prepare("replace", tmp_path)
        target = scenarios.target_of(tmp_path)
        head = tracing.failing(Point("read", 1), "EIO", "-P", str(target))
        assert_told(outcome([*head, *driver("replace", tmp_path)]), "EIO")
        assert target.read_bytes() == scenarios.OLD
        assert scenarios.staged(tmp_path) == []


def _opening(folder: Path) -> int:
    """Return which openat of the process opens the target."""
    log = folder / "log"
    tracing.run([*tracing.tracer(log), *driver("read", folder)])
    lines = [line for line in log.read_text().splitlines() if "openat(" in line]
    return next(i for i, line in enumerate(lines, 1) if ', "target", ' in line)


class TestFull:
    """Real file systems without room: by bytes and by inodes, at the target and in the state."""

    def run(self, folder: Path, options: str, place: str, prepare: str) -> dict[str, object]:
        need_mounts()
        scenarios.prepare("create", folder)
        script = f'mount -t tmpfs -o "$1" none "$2" && cd "$2" && {{ {prepare}; }}; shift 2; "$@"'
        script += f"; ls -A {folder}/{place} > {folder}/left; cat target > {folder}/seen"
        argv = ["unshare", "-m", "--propagation", "private", "sh", "-c", script, "sh"]
        argv += [options, str(folder / place), *driver("replace", folder)]
        ended = tracing.run(argv)
        found: dict[str, object] = json.loads(ended.stdout)
        return found

    def test_of_bytes(self, tmp_path):
        fill = "printf old > target; cat /dev/zero > ballast 2>/dev/null"
        found = self.run(tmp_path, "size=64k", "root/etc", fill)
        assert_told(found, "ENOSPC")
        assert (tmp_path / "left").read_text().split() == ["ballast", "target"]
        assert (tmp_path / "seen").read_text() == "old"

    def test_of_inodes(self, tmp_path):
        fill = "printf old > target; i=0; while touch f$i; do i=$((i+1)); done 2>/dev/null"
        found = self.run(tmp_path, "nr_inodes=10", "root/etc", fill)
        assert_told(found, "ENOSPC")
        assert not [n for n in (tmp_path / "left").read_text().split() if n.startswith(".")]
        assert (tmp_path / "seen").read_text() == "old"

    def test_state_without_room_means_no_change(self, tmp_path):
        fill = f"cat /dev/zero > ballast 2>/dev/null; printf old > {tmp_path}/root/etc/target"
        found = self.run(tmp_path, "size=64k", "state", fill)
        assert_told(found, "ENOSPC")
        assert (tmp_path / "root/etc/target").read_text() == "old"

    def test_read_only(self, tmp_path):
        found = self.run(
            tmp_path, "size=64k", "root/etc", "printf old > target; mount -o remount,ro ."
        )
        assert_told(found, "EROFS")
        assert (tmp_path / "seen").read_text() == "old"


@pytest.fixture
def immutable(tmp_path) -> Iterator[Callable[[Path], None]]:
    need_root()
    need_programs("chattr")
    marked: list[Path] = []

    def mark(path: Path) -> None:
        marked.append(path)
        done = subprocess.run(["chattr", "+i", str(path)], capture_output=True, text=True)
        need(done.returncode == 0, f"chattr +i does not work here: {done.stderr.strip()}")

    yield mark
    for path in marked:
        subprocess.run(["chattr", "-i", str(path)], capture_output=True)


class TestImmutable:
    """EPERM as root in a directory that can be written says what it may be."""

    @pytest.fixture
    def system(self, tmp_path) -> System:
        (tmp_path / "root/etc/folder").mkdir(parents=True)
        (tmp_path / "root/etc/file").write_bytes(b"old")
        return System(str(tmp_path / "root"), backups=Backups(str(tmp_path / "backups")))

    @pytest.mark.parametrize(
        ("marked", "change"),
        [
            ("etc/file", lambda system: system.write("/etc/file", b"new")),
            ("etc/file", lambda system: system.remove("/etc/file")),
            ("etc/file", lambda system: system.set_attributes("/etc/file", mode=0o600)),
            ("etc/file", lambda system: system.make_symlink("/etc/file", "x")),
            ("etc", lambda system: system.write("/etc/file", b"new")),
            ("etc", lambda system: system.make_directory("/etc/made")),
            ("etc/folder", lambda system: system.remove_tree("/etc/folder")),
        ],
        ids=["write", "remove", "attributes", "symlink", "in-it", "make-in-it", "remove-tree"],
    )
    def test_is_named(self, marked, change, system, tmp_path, immutable):
        immutable(tmp_path / "root" / marked)
        with pytest.raises(ConvergeError, match=r"immutable.*chattr") as caught:
            change(system)
        assert "/etc" in str(caught.value)
        assert (tmp_path / "root/etc/file").read_bytes() == b"old"
        assert scenarios.staged(tmp_path / "root") == []
