"""Another user exchanges a directory for a symbolic link, thousands of times, while root works.

The agent must lose nothing; the same work done by paths must lose, or the attack proves nothing.
"""

from __future__ import annotations

import ctypes
import os
import signal
import time
from pathlib import Path

import pytest

from converge import openat2
from converge.system import System

ATTACKER = 65534
ROUNDS = 2000
EXCHANGE = 2  # RENAME_EXCHANGE


@pytest.fixture
def arena(tmp_path):
    if os.geteuid() != 0:
        why = "the race needs root, to act as two users"
        pytest.fail(why) if os.environ.get("CI") else pytest.skip(why)
    for folder in (tmp_path, *tmp_path.parents[:3]):
        folder.chmod(0o755)
    (tmp_path / "victim").mkdir()
    open_folder = tmp_path / "theirs"
    (open_folder / "data").mkdir(parents=True)
    (open_folder / "other").symlink_to(tmp_path / "victim")
    for path in (open_folder, open_folder / "data", open_folder / "other"):
        os.chown(path, ATTACKER, ATTACKER, follow_symlinks=False)
    child = os.fork()
    if child == 0:
        try:
            os.setgid(ATTACKER)
            os.setuid(ATTACKER)
            exchange(str(open_folder / "data").encode(), str(open_folder / "other").encode())
        finally:
            os._exit(0)
    yield tmp_path
    os.kill(child, signal.SIGKILL)
    os.waitpid(child, 0)


def exchange(one: bytes, other: bytes) -> None:
    renameat2 = ctypes.CDLL(None, use_errno=True).renameat2
    while True:
        renameat2(-100, one, -100, other, EXCHANGE)


def state_of(victim: Path) -> dict[str, tuple[int, int, bytes]]:
    found = {}
    for path in [victim, *victim.iterdir()]:
        status = path.stat()
        content = path.read_bytes() if path.is_file() else b""
        found[path.name] = (status.st_mode, status.st_uid, content)
    return found


def work(system: System, number: int) -> None:
    folder = "/theirs/data"
    match number % 6:
        case 0:
            system.write(f"{folder}/file", b"agent\n", backup=False)
        case 1:
            system.set_attributes(f"{folder}/secret", uid=ATTACKER, mode=0o666)
        case 2:
            system.remove(f"{folder}/secret", backup=False)
        case 3:
            system.make_directory(f"{folder}/made{number}")
        case 4:
            system.make_symlink(f"{folder}/link", "/etc/passwd")
        case 5:
            system.remove_tree(f"{folder}/tree", backup=False)


@pytest.mark.parametrize("walk", [False, True], ids=["openat2", "walk"])
def test_the_agent_never_reaches_the_victim(arena, monkeypatch, walk):
    if walk:
        monkeypatch.setattr(openat2, "_available", False)
    victim = arena / "victim"
    (victim / "secret").write_bytes(b"secret\n")
    (victim / "tree").mkdir()
    before = state_of(victim)
    system = System(str(arena))
    done = 0
    for number in range(ROUNDS * 3):
        system.forget()
        try:
            work(system, number)
            done += 1
        except Exception:  # noqa: BLE001  refused, as it should be, or not there
            continue
    assert state_of(victim) == before
    assert done > 0, "the agent must get some work done where it is no link"


def test_a_naive_control_loses(arena):
    victim, folder = arena / "victim", arena / "theirs/data"
    wins, deadline = 0, time.monotonic() + 30
    while wins <= 20 and time.monotonic() < deadline:
        for _ in range(ROUNDS):
            try:
                if not folder.is_symlink():
                    (folder / "file").write_bytes(b"x")
            except OSError:
                continue
        if (victim / "file").exists():
            wins += 1
            (victim / "file").unlink()
    assert wins > 0, "the attack does not work here, so the other test proves nothing"
