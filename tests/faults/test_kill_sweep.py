"""SIGKILL before every system call of a change: what is seen is old or new, and a second run heals.

Needs strace. `make test-slow` dies before every call, the usual run before every third and
before each that gives or takes a name.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Callable
from pathlib import Path

import pytest

from converge.files.backup import Backups
from faults import scenarios, tracing
from faults.needs import need_mounts, need_strace
from faults.tracing import KILLED, Point

NAMING = ("rename", "unlink", "rmdir", "mkdir", "symlink", "ftruncate")
Wrap = Callable[[Path, list[str]], list[str]]

# Root's owner and mode are two calls: between them a killed run leaves the new owner, never with
# the set-user-ID bit. Everything else is one unit.
BY_UNIT = ["replace", "together", "set-user-id", "create", "directory", "symlink", "remove"]


@pytest.fixture(autouse=True)
def _strace() -> None:
    need_strace()


def plain(folder: Path, argv: list[str]) -> list[str]:
    return argv


def in_a_mount(folder: Path, argv: list[str]) -> list[str]:
    return tracing.mounted(argv, folder / "source", scenarios.target_of(folder))


def prepared(name: str, folder: Path) -> Path:
    scenarios.prepare(name, folder)
    if name == "in-place":
        scenarios.target_of(folder).rename(folder / "source")
        scenarios.target_of(folder).touch()
    return folder


def what_is_seen(name: str, folder: Path) -> tuple[object, ...]:
    inside = folder / "source" if name == "in-place" else scenarios.target_of(folder)
    return scenarios.observe(inside)


class Sweep:
    """All the kill points of one scenario."""

    def __init__(self, name: str, tmp_path: Path, wrap: Wrap = plain) -> None:
        self.name, self.folder, self.wrap = name, tmp_path, wrap
        reference = prepared(name, tmp_path / "reference")
        self.old = what_is_seen(name, reference)
        log = tmp_path / "log"
        ended = self.start(reference, tracing.tracer(log))
        assert ended == 0
        self.new = what_is_seen(name, reference)
        self.points = tracing.points(log.read_text())
        assert self.new != self.old

    def start(self, folder: Path, head: list[str], name: str = "") -> int:
        argv = [*head, *tracing.command(name or self.name, str(folder))]
        return tracing.run(self.wrap(folder, argv)).returncode

    def chosen(self, every: int) -> list[Point]:
        """Return every N-th point counted from the last, and those that give or take a name."""
        backwards = enumerate(reversed(self.points))
        chosen = [p for i, p in backwards if i % every == 0 or p.call.startswith(NAMING)]
        return chosen[::-1]

    def killed(self, point: Point) -> Path:
        """Return the folder of a run that died before one call."""
        folder = prepared(self.name, self.folder / f"{point.call}-{point.nth}")
        assert self.start(folder, tracing.killer(point)) in KILLED, point
        return folder

    def heal(self, folder: Path, point: Point) -> None:
        """A second run converges and leaves nothing behind."""
        assert self.start(folder, []) == 0, point
        assert what_is_seen(self.name, folder) == self.new, point
        assert scenarios.staged(folder) == [], point
        journal = folder / "state/journal"
        assert not journal.exists() or os.listdir(journal) == [], point
        if scenarios.SCENARIOS[self.name].keeps:
            assert scenarios.OLD in kept(folder), point


def kept(folder: Path) -> list[bytes]:
    """Return the contents in the backups."""
    store: Backups = scenarios.backups(folder)
    return [store.read(digest) for digest in {entry["digest"] for entry in store.entries()}]


def assert_no_foreign_set_user_id(folder: Path) -> None:
    """No file, staged or not, has the bit unless content and owner belong together."""
    for path in folder.rglob("*"):
        found = path.lstat()
        if stat.S_ISREG(found.st_mode) and found.st_mode & stat.S_ISUID:
            pair = (found.st_uid, path.read_bytes())
            assert pair in {
                (scenarios.OLD_OWNER, scenarios.OLD),
                (scenarios.NEW_OWNER, scenarios.NEW),
                (scenarios.NEW_OWNER, scenarios.OLD),  # `attributes` asks for just that
            }
            assert path == scenarios.target_of(folder) or pair[1] == scenarios.NEW


EVERY = [pytest.param(3, id="some"), pytest.param(1, id="all", marks=pytest.mark.slow)]


@pytest.mark.parametrize("every", EVERY)
@pytest.mark.parametrize("name", BY_UNIT)
def test_old_or_new_as_one_unit(name, every, tmp_path):
    sweep = Sweep(name, tmp_path)
    assert len(sweep.points) >= 3
    seen = set()
    for point in sweep.chosen(every):
        folder = sweep.killed(point)
        found = what_is_seen(name, folder)
        assert found in (sweep.old, sweep.new), point
        assert_no_foreign_set_user_id(folder)
        if found == sweep.new and scenarios.SCENARIOS[name].keeps:
            assert scenarios.OLD in kept(folder), point
        sweep.heal(folder, point)
        seen.add(found)
    assert seen == {sweep.old, sweep.new}


@pytest.mark.parametrize("every", EVERY)
def test_attributes_never_lend_the_set_user_id_bit(every, tmp_path):
    sweep = Sweep("attributes", tmp_path)
    for point in sweep.chosen(1):
        folder = sweep.killed(point)
        found = scenarios.target_of(folder).lstat()
        assert scenarios.target_of(folder).read_bytes() == scenarios.OLD
        bits = stat.S_IMODE(found.st_mode)
        if scenarios.ROOT and (found.st_uid, bits) != (scenarios.OLD_OWNER, 0o4755):
            assert (found.st_uid, bits) == (scenarios.NEW_OWNER, 0o755), point
        sweep.heal(folder, point)


@pytest.mark.parametrize("every", EVERY)
def test_a_tree_loses_nothing_that_is_not_in_the_backups(every, tmp_path):
    sweep = Sweep("remove-tree", tmp_path)
    for point in sweep.chosen(every):
        folder = sweep.killed(point)
        there = (scenarios.target_of(folder) / "inner/file").exists()
        assert there or kept(folder) == [scenarios.OLD], point
        sweep.heal(folder, point)


@pytest.mark.parametrize("every", EVERY)
def test_what_is_torn_in_place_is_put_back(every, tmp_path):
    need_mounts()
    sweep = Sweep("in-place", tmp_path, in_a_mount)
    torn = 0
    for point in sweep.chosen(every):
        folder = sweep.killed(point)
        whole = (scenarios.OLD, scenarios.NEW)
        torn += (folder / "source").read_bytes() not in whole
        assert sweep.start(folder, [], "recover") == 0
        assert (folder / "source").read_bytes() in whole, point
        sweep.heal(folder, point)
    assert torn, "no point tore the file: the sweep proves nothing"


def test_points_are_counted_from_the_start_of_the_process():
    log = """\
7 openat(AT_FDCWD, "x", O_RDONLY) = 3
7 write(1, "a", 1) = 1
7 chdir("/") = 0
7 openat(3, "t", O_RDWR|O_CREAT|O_EXCL, 0600) = 4
7 openat(3, ".", O_RDONLY) = 5
7 write(4, "b", 1) = 1
"""
    assert [point[:2] for point in tracing.points(log)] == [("openat", 2), ("write", 2)]
