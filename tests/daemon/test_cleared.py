"""Somebody clears the directory of the lock and the socket, as start scripts do with /run."""

from __future__ import annotations

import fcntl
import os
import shutil
import signal

import pytest

from converge.daemon.place import AlreadyError, Place
from daemon.supervisor import until


def removed(one):
    shutil.rmtree(one.run_directory)


def emptied(one):
    for path in one.run_directory.iterdir():
        path.unlink()


def moved_away(one):
    one.run_directory.rename(one.folder / "away")


@pytest.mark.parametrize("clear", [removed, emptied, moved_away])
def test_it_can_be_asked_again_and_is_still_the_only_one(supervisor, clear):
    one = supervisor(events="on").start()
    until(one.idle)
    with one.connection() as early:
        clear(one)
        assert not one.answers()
        until(one.answers)
        early.sendall(b"status\n")
        assert early.recv(65536).startswith(b"ok\n"), "who was connected is answered"
    assert oct(os.stat(one.run_directory).st_mode) == "0o40700"
    assert oct(os.stat(one.socket).st_mode) == "0o140600"
    assert one.trigger() == 0
    assert one.spawn().wait(30) == 1
    assert "another agent is resident here" in one.log()
    descriptors = len(os.listdir(f"/proc/{one.pid}/fd"))
    emptied(one)
    until(one.answers)
    assert len(os.listdir(f"/proc/{one.pid}/fd")) == descriptors


def test_without_events_it_is_seen_at_the_next_run(supervisor):
    one = supervisor().start()
    until(one.idle)
    removed(one)
    one.signal(signal.SIGUSR1)
    until(one.answers)


def test_who_was_faster_is_the_only_one_then(supervisor, tmp_path):
    one = supervisor(events="on").start()
    until(one.idle)
    theirs = tmp_path / "theirs"
    theirs.mkdir(mode=0o700)
    with open(theirs / "agent.lock", "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        removed(one)
        theirs.rename(one.run_directory)
        assert one.process.wait(30) == 0
    assert "another agent has taken over" in one.log()
    assert os.listdir(one.run_directory) == ["agent.lock"]


def test_what_is_not_its_own_alone_is_not_used(supervisor):
    one = supervisor(events="on").start()
    until(one.idle)
    removed(one)
    one.run_directory.mkdir(mode=0o755)
    until(lambda: "cannot be put back" in one.log())
    assert os.listdir(one.run_directory) == []
    assert one.end() == 0


def test_its_own_lock_does_not_keep_it_out(tmp_path):
    """A file system may give one file two inode numbers."""
    tmp_path.chmod(0o700)
    place = Place(str(tmp_path))
    place.put_back()
    assert not place.is_lost()
    with pytest.raises(AlreadyError):
        Place(str(tmp_path))
    (tmp_path / "agent.lock").unlink()
    (tmp_path / "agent.lock").mkdir()
    with pytest.raises(IsADirectoryError):
        place.put_back()
    assert place.is_lost(), "it is tried again"
