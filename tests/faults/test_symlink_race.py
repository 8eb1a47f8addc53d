"""Another user exchanges a directory for a symbolic link, as fast as they can, while root works in it.

The agent must do nothing to the victim that the link points at; the same work done by paths must,
or the attack proves nothing (CVE-2017-1002101, CVE-2018-6954, CVE-2021-25741). Needs root.
"""

from __future__ import annotations

import ctypes
import os
import shutil
import signal
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from converge.errors import ConvergeError
from converge.files.backup import Backups
from converge.files.paths import Paths
from converge.system import System
from faults.needs import need_root
from faults.scenarios import observe

ATTACKER = 65534
ROUNDS = 2000
SECRET = b"the victim's secret\n"
FOLDER = "/box/data"
_AT_FDCWD, _RENAME_EXCHANGE = -100, 2

Operation = Callable[[System], object]
OPERATIONS: dict[str, Operation] = {
    "write": lambda system: system.write(f"{FOLDER}/file", b"x", backup=False),
    "replace": lambda system: system.write(f"{FOLDER}/secret", b"x", uid=ATTACKER, mode=0o666),
    "attributes": lambda system: system.set_attributes(
        f"{FOLDER}/secret", uid=ATTACKER, mode=0o666
    ),
    "read": lambda system: system.read(f"{FOLDER}/secret"),
    "follow": lambda system: system.read("/box/link", follow=True),
    "remove": lambda system: system.remove(f"{FOLDER}/secret"),
    "make-directory": lambda system: system.make_directory(f"{FOLDER}/made", uid=ATTACKER),
    "make-symlink": lambda system: system.make_symlink(f"{FOLDER}/file", "x", uid=ATTACKER),
    "link-owner": lambda system: system.set_link_owner(
        f"{FOLDER}/loose", uid=ATTACKER, gid=ATTACKER
    ),
    "remove-tree": lambda system: system.remove_tree(f"{FOLDER}/tree"),
    "remove-tree-around": lambda system: system.remove_tree("/box"),
}


class Arena:
    """`victim/` is root's, `box/` the attacker's: `box/data` and a link to `victim` change places."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.box = folder, folder / "box"
        self.victim = folder / "victim"
        self.fill(self.victim)
        self.before = observe(self.victim)
        self.box.mkdir()
        os.chown(self.box, ATTACKER, ATTACKER)
        self.lay()

    @staticmethod
    def fill(folder: Path) -> None:
        folder.mkdir(exist_ok=True)
        (folder / "tree/inner").mkdir(parents=True, exist_ok=True)
        (folder / "tree/inner/file").write_bytes(SECRET)
        (folder / "secret").write_bytes(SECRET)
        (folder / "secret").chmod(0o600)
        if not (folder / "loose").is_symlink():
            (folder / "loose").symlink_to("nowhere")

    def lay(self) -> None:
        """Put the attacker's directory and links there. Call it while nobody exchanges them."""
        data = self.box / "data"
        for name in ("data", "other"):
            if (self.box / name).is_symlink():
                (self.box / name).unlink()
        if (self.box / "other").is_dir():  # exchanged, and then left by a removal that was refused
            shutil.rmtree(self.box / "other")
        data.mkdir(exist_ok=True)
        for name, target in (("other", self.victim), ("link", "data/secret")):
            if not (self.box / name).is_symlink() and not (self.box / name).exists():
                (self.box / name).symlink_to(target)
        for path in (data, self.box / "other", self.box / "link"):
            os.chown(path, ATTACKER, ATTACKER, follow_symlinks=False)
        self.data_fd = os.open(data, os.O_PATH | os.O_DIRECTORY | os.O_NOFOLLOW)

    def refill(self) -> None:
        """Put back, by descriptor, what a round took out of the attacker's directory."""
        here = f"/proc/self/fd/{self.data_fd}"
        for name in ("made", "file"):
            if os.path.isdir(f"{here}/{name}"):
                os.rmdir(f"{here}/{name}")
        os.makedirs(f"{here}/tree/inner", exist_ok=True)
        for name in ("tree/inner/file", "secret"):
            if not os.path.lexists(f"{here}/{name}"):
                Path(f"{here}/{name}").write_bytes(b"theirs")
        if not os.path.lexists(f"{here}/loose"):
            os.symlink("nowhere", f"{here}/loose")


def attack(box: Path) -> int:
    """Start the exchange loop as the attacker; return its process id."""
    one, other = os.fsencode(box / "data"), os.fsencode(box / "other")
    child = os.fork()
    if child:
        return child
    try:
        os.setgroups([])
        os.setgid(ATTACKER)
        os.setuid(ATTACKER)
        renameat2 = ctypes.CDLL(None, use_errno=True).renameat2
        while True:
            renameat2(_AT_FDCWD, one, _AT_FDCWD, other, _RENAME_EXCHANGE)
    finally:
        os._exit(1)


def pause(child: int) -> None:
    """Stop it, and wait until it has: the signal alone lets a last exchange through."""
    os.kill(child, signal.SIGSTOP)
    os.waitpid(child, os.WUNTRACED)


def end(child: int) -> None:
    os.kill(child, signal.SIGKILL)
    os.waitpid(child, 0)


@pytest.fixture
def arena(tmp_path, monkeypatch) -> Iterator[Arena]:
    need_root()
    for folder in (tmp_path, *tmp_path.parents[:2]):
        folder.chmod(folder.stat().st_mode | 0o711)
    monkeypatch.setattr(os, "fsync", lambda fd: None)  # durability is another test's
    made = Arena(tmp_path / "root")
    yield made
    os.close(made.data_fd)


@pytest.fixture(autouse=True)
def _root_of_the_arena(tmp_path) -> None:
    (tmp_path / "root").mkdir(mode=0o755)


def agent(arena: Arena) -> System:
    return System(str(arena.folder), backups=Backups(str(arena.folder.parent / "backups")))


def rounds(arena: Arena, system: System, operation: Operation) -> tuple[int, list[object]]:
    """Do it again and again under attack; return how often it was done, and what it returned."""
    done, returned = 0, []
    child = attack(arena.box)
    try:
        for _ in range(ROUNDS):
            arena.refill()
            system.forget()
            try:
                returned.append(operation(system))
                done += 1
            except (OSError, ConvergeError):
                continue  # refused, as it should be where it meets the link
    finally:
        end(child)
    return done, returned


@pytest.mark.parametrize("way", ["straight", "walk"])
@pytest.mark.parametrize("name", [name for name in OPERATIONS if name != "remove-tree-around"])
def test_the_victim_is_never_reached(name, way, arena, monkeypatch):
    if way == "walk":
        monkeypatch.setattr(Paths, "_straight", lambda *_: None)
    system = agent(arena)
    done, returned = rounds(arena, system, OPERATIONS[name])
    assert observe(arena.victim) == arena.before
    assert SECRET not in returned
    store = Backups(str(arena.folder.parent / "backups"))
    assert SECRET not in {store.read(entry["digest"]) for entry in store.entries()}
    assert sorted(os.listdir(arena.folder)) == ["box", "victim"]
    if name == "follow":
        assert done == 0, "the attacker's own link is not followed, wherever it points"
    else:
        assert 0 < done < ROUNDS, "the agent must meet both the directory and the link"


@pytest.mark.parametrize("way", ["straight", "walk"])
def test_a_tree_whose_directories_change_places_is_removed_alone(way, arena, monkeypatch):
    if way == "walk":
        monkeypatch.setattr(Paths, "_straight", lambda *_: None)
    system = agent(arena)
    child = attack(arena.box)
    removed = 0
    try:
        for _ in range(ROUNDS // 10):
            pause(child)
            arena.box.mkdir(exist_ok=True)
            stale = arena.data_fd
            arena.lay()
            os.close(stale)
            arena.refill()
            os.chown(arena.box, ATTACKER, ATTACKER)
            os.kill(child, signal.SIGCONT)
            try:
                system.remove_tree("/box", backup=False)
                removed += 1
            except OSError:
                continue
    finally:
        end(child)
    assert observe(arena.victim) == arena.before
    assert removed


def naive(folder: Path, name: str) -> None:
    """Look, then act by path: what the agent must not do."""
    if folder.is_symlink() or not folder.is_dir():
        return
    if name == "write":
        (folder / "file").write_bytes(b"x")
    elif name == "attributes":
        (folder / "secret").chmod(0o666)
    elif (folder / "secret").read_bytes():  # a backup, say
        (folder / "secret").unlink(missing_ok=True)


@pytest.mark.parametrize("name", ["write", "attributes", "remove"])
def test_a_naive_control_loses(name, arena):
    """The attack works here: it wins more than 20 times against a check by path."""
    wins, deadline = 0, time.monotonic() + 60
    child = attack(arena.box)
    try:
        while wins <= 20 and time.monotonic() < deadline:
            arena.refill()
            naive(arena.box / "data", name)
            if observe(arena.victim) != arena.before:
                wins += 1
                (arena.victim / "file").unlink(missing_ok=True)
                arena.fill(arena.victim)
    finally:
        end(child)
    assert wins > 20, "the attack does not work here, so the other tests prove nothing"
