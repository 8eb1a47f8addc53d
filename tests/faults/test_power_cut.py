"""The power goes: what is on the disk, and not in the cache, is what counts.

The tree is on an ext4 image of its own. At the cut the image is copied, and the copy mounted, as
after a reboot: the file system's journal is replayed, and what was never written back is lost.
`data=writeback,noauto_da_alloc` turns off ext4's own kindness to programs that forget fsync(2).
"""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from converge.system import System
from faults import scenarios, tracing
from faults.needs import need, need_programs, need_root, need_strace
from faults.tracing import KILLED, Point

OPTIONS = "loop,data=writeback,noauto_da_alloc,commit=300"


def mount(image: Path, where: Path) -> None:
    where.mkdir()
    argv = ["mount", "-t", "ext4", "-o", OPTIONS, str(image), str(where)]
    done = subprocess.run(argv, capture_output=True, text=True)
    need(done.returncode == 0, f"no ext4 image can be mounted here: {done.stderr.strip()}")


def unmount(where: Path) -> None:
    subprocess.run(["umount", str(where)], check=True)


class Disk:
    """An ext4 image, mounted at `live`."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.image, self.live = folder, folder / "image", folder / "live"
        with self.image.open("wb") as file:
            file.truncate(8 << 20)
        subprocess.run(["mkfs.ext4", "-q", "-F", str(self.image)], check=True)
        mount(self.image, self.live)

    def after_the_cut(self, name: str) -> Path:
        """Return where the disk is mounted as it would be after a reboot now."""
        copy, where = self.folder / f"{name}.image", self.folder / name
        shutil.copyfile(self.image, copy)
        mount(copy, where)
        return where


@pytest.fixture
def disk(tmp_path) -> Iterator[Disk]:
    need_root()
    need_programs("mkfs.ext4", "mount", "umount")
    made = Disk(tmp_path)
    yield made
    for folder in tmp_path.iterdir():
        if folder.is_mount():
            unmount(folder)


def prepared(name: str, folder: Path) -> Path:
    """Lay out a scenario that has been on the disk for long."""
    scenarios.prepare(name, folder)
    os.sync()
    return folder


@pytest.mark.parametrize(
    "name", ["replace", "together", "create", "remove", "directory", "symlink"]
)
def test_what_returned_is_on_the_disk(name, disk):
    folder = prepared(name, disk.live / "run")
    scenarios.run(name, folder)
    new = scenarios.observe(scenarios.target_of(folder))
    after = disk.after_the_cut("after") / "run"
    assert scenarios.observe(scenarios.target_of(after)) == new
    assert scenarios.staged(after) == []
    if scenarios.SCENARIOS[name].keeps:
        store = scenarios.backups(after)
        assert [store.read(entry["digest"]) for entry in store.entries()] == [scenarios.OLD]


def test_a_control_that_does_not_sync_is_torn(disk):
    """Else the copy of the image shows what was only in the cache, and the tests prove nothing."""
    folder = prepared("replace", disk.live / "run")
    target = scenarios.target_of(folder)
    (target.parent / "staged").write_bytes(scenarios.NEW)
    (target.parent / "staged").rename(target)
    fd = os.open(target.parent, os.O_RDONLY)
    os.fsync(fd)  # the name is on the disk, its content is not
    os.close(fd)
    after = disk.after_the_cut("after") / "run"
    assert scenarios.target_of(after).read_bytes() not in (scenarios.OLD, scenarios.NEW)


@pytest.mark.parametrize("scenario", ["replace", "together"])
def test_at_any_point_it_is_old_or_new(disk, tmp_path, scenario):
    """The cut comes right before each call that makes something durable or gives a name."""
    need_strace()
    scenarios.prepare(scenario, tmp_path / "reference")
    log = tmp_path / "log"
    argv = [*tracing.tracer(log), *tracing.command(scenario, str(tmp_path / "reference"))]
    assert tracing.run(argv).returncode == 0
    seen = set()
    for point in decisive(tracing.points(log.read_text())):
        name = f"{point.call}-{point.nth}"
        folder = prepared(scenario, disk.live / name)
        old = scenarios.observe(scenarios.target_of(folder))
        head = tracing.killer(point)
        assert tracing.run([*head, *tracing.command(scenario, str(folder))]).returncode in KILLED
        after = disk.after_the_cut(f"after-{name}")
        content = scenarios.target_of(after / name).read_bytes()
        assert content in (scenarios.OLD, scenarios.NEW), point
        if content == scenarios.OLD:
            assert scenarios.observe(scenarios.target_of(after / name)) == old, point
        heal(scenario, after / name)
        seen.add(content)
        unmount(after)
    assert scenarios.OLD in seen


def decisive(points: list[Point]) -> list[Point]:
    return [p for p in points if p.call.startswith(("rename", "fsync", "fchmod"))]


def heal(scenario: str, folder: Path) -> None:
    """A run after the reboot converges, and leaves nothing behind."""
    scenarios.run(scenario, folder)
    assert scenarios.target_of(folder).read_bytes() == scenarios.NEW
    assert scenarios.staged(folder) == []
    store = scenarios.backups(folder)
    assert scenarios.OLD in [store.read(entry["digest"]) for entry in store.entries()]


def test_a_write_in_place_can_be_put_back(disk):
    """The journal's entry is on the disk before the file is touched, and gone for good after it."""
    folder = prepared("replace", disk.live / "run")
    target = scenarios.target_of(folder)
    system = scenarios.system_of(folder)
    assert system.journal is not None
    entry = system.journal.begin(scenarios.TARGET, scenarios.OLD)
    target.write_bytes(b"to")
    os.sync()
    torn = disk.after_the_cut("torn") / "run"
    assert scenarios.target_of(torn).read_bytes() == b"to"
    assert scenarios.recover(torn) == [scenarios.TARGET]
    assert scenarios.target_of(torn).read_bytes() == scenarios.OLD
    system.journal.end(entry)
    ended = disk.after_the_cut("ended") / "run"
    assert System(str(ended / "root"), journal=scenarios.system_of(ended).journal).recover() == []
