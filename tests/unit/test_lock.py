"""One run at a time, whatever ends the holder."""

from __future__ import annotations

import os
import signal
import subprocess
import sys

import pytest

from converge.errors import LockedError, UsageError
from converge.state import lock


@pytest.fixture
def folder(tmp_path):
    return str(tmp_path / "run")


class Child:
    """A forked process that runs `action`, tells what came of it, and stays until it is ended."""

    def __init__(self, action, *, stay=True):
        self._reader, writer = os.pipe()
        self._gate, gate = os.pipe()
        self.pid = os.fork()
        if self.pid == 0:
            try:
                os.close(gate)

                def tell(word):
                    os.write(writer, word.encode())
                    os.close(writer)
                    if stay:
                        os.read(self._gate, 1)

                action(tell)
            finally:
                os._exit(0)
        os.close(writer)
        self._gate_writer = gate

    def answer(self):
        with os.fdopen(self._reader) as file:
            return file.read()  # until every copy of the other end is closed

    def end(self, number=None):
        if number:
            os.kill(self.pid, number)
        else:
            os.write(self._gate_writer, b".")  # closing is not enough: later children have it too
        os.waitpid(self.pid, 0)
        os.close(self._gate_writer)
        os.close(self._gate)


def holding(folder):
    def action(tell):
        with lock.hold(folder):
            tell("held")

    return action


def trying(folder, wait=0.0):
    def action(tell):
        try:
            with lock.hold(folder, wait):
                tell("held")
        except LockedError:
            tell("locked")

    return action


def test_second_holder_is_told_who_has_it(folder):
    child = Child(holding(folder))
    assert child.answer() == "held"
    expected = rf"{folder}/lock: process {child.pid}, for \d+ s"
    with pytest.raises(LockedError, match=expected), lock.hold(folder):
        pass
    child.end()
    with lock.hold(folder):
        pass


def test_a_directory_and_a_file_of_our_own(folder):
    with lock.hold(folder):
        assert os.stat(folder).st_mode & 0o7777 == 0o700
        assert os.stat(f"{folder}/lock").st_mode & 0o7777 == 0o600
        inode = os.stat(f"{folder}/lock").st_ino
    assert os.stat(f"{folder}/lock").st_ino == inode  # never unlinked


def test_kill_9_frees_it_at_once(folder):
    child = Child(holding(folder))
    assert child.answer() == "held"
    child.end(signal.SIGKILL)
    with lock.hold(folder):
        pass


def test_waits_for_it(folder):
    child = Child(holding(folder))
    assert child.answer() == "held"
    waiting = Child(trying(folder, wait=30), stay=False)
    child.end(signal.SIGKILL)
    assert waiting.answer() == "held"
    waiting.end()


def test_waits_no_longer_than_it_was_told(folder):
    child = Child(holding(folder))
    assert child.answer() == "held"
    assert Child(trying(folder, wait=0.06), stay=False).answer() == "locked"
    child.end()


@pytest.fixture
def sleeper():
    """Return a function that starts a program which lives until the end of the test."""
    reader, writer = os.pipe()

    def start():
        return subprocess.Popen([sys.executable, "-Ic", "input()"], stdin=reader, close_fds=False)

    yield start
    os.close(writer)
    os.close(reader)


def test_a_program_of_the_holder_does_not_keep_it(folder, sleeper):
    with lock.hold(folder):
        program = sleeper()
    with lock.hold(folder):
        assert program.poll() is None
        program.kill()
        program.wait()


def test_a_program_of_a_killed_holder_does_not_keep_it(folder, sleeper):
    def action(tell):
        with lock.hold(folder):
            tell(str(sleeper().pid))

    child = Child(action)
    program = int(child.answer())
    child.end(signal.SIGKILL)
    with lock.hold(folder, wait=30):
        os.kill(program, signal.SIGKILL)  # it is still there


def test_a_forked_child_does_not_keep_it_after_the_end(folder):
    with lock.hold(folder):
        child = Child(lambda tell: tell("forked"))
        assert child.answer() == "forked"
    with lock.hold(folder):
        child.end()


def test_it_is_free_after_an_error(folder):
    with pytest.raises(ZeroDivisionError), lock.hold(folder):
        raise ZeroDivisionError
    with lock.hold(folder):
        pass


@pytest.mark.parametrize("note", [b"", b"garbage", b"1 2 3", b"\xff\xff", b"7 99999999999"])
def test_a_strange_note_is_no_error(folder, note):
    with lock.hold(folder):
        with open(f"{folder}/lock", "wb") as file:
            file.write(note)
        expected = f"another run holds {folder}/lock"
        with pytest.raises(LockedError, match=expected), lock.hold(folder):
            pass


def test_a_hundred_double_starts(folder):
    for _ in range(100):
        pair = [Child(trying(folder)) for _ in range(2)]
        assert sorted(child.answer() for child in pair) == ["held", "locked"]
        for child in pair:
            child.end()


def test_a_directory_that_is_not_ours_alone(tmp_path):
    (tmp_path / "run").mkdir()
    (tmp_path / "run").chmod(0o755)
    with (
        pytest.raises(UsageError, match=r"the lock: .*mode 0755"),
        lock.hold(str(tmp_path / "run")),
    ):
        pass
    assert os.listdir(tmp_path / "run") == []


def test_a_symbolic_link_is_not_followed(tmp_path):
    (tmp_path / "run").mkdir(mode=0o700)
    (tmp_path / "run/lock").symlink_to("../elsewhere")
    with pytest.raises(UsageError, match="cannot be opened"), lock.hold(str(tmp_path / "run")):
        pass
    assert not (tmp_path / "elsewhere").exists()


def test_runtime_directory(tmp_path):
    assert lock.runtime_directory(None, str(tmp_path)) == f"{tmp_path}/run/converge"
    assert lock.runtime_directory(f"{tmp_path}/own") == f"{tmp_path}/own"
    (tmp_path / "root").mkdir()
    (tmp_path / "root/run").write_text("in the way")
    assert lock.runtime_directory(None, str(tmp_path / "root")) is None
    with pytest.raises(UsageError, match="CONVERGE_RUNTIME_DIR"):
        lock.runtime_directory(f"{tmp_path}/root/run")


if os.geteuid() == 0:

    def test_another_user_cannot_open_it(tmp_path, folder):
        for path in (tmp_path, *tmp_path.parents[:2]):
            assert path.owner() == "root"
        with lock.hold(folder):
            fd = os.open(folder, os.O_RDONLY)

        def action(tell):
            os.fchdir(fd)  # stands in the directory, as if every one above let it pass
            os.setgroups([])
            os.setgid(65534)
            os.setuid(65534)
            for flags in (os.O_RDONLY, os.O_RDWR, os.O_PATH):
                try:
                    os.open("lock", flags)
                except PermissionError:
                    continue
                tell("opened")
                return
            tell("refused")

        child = Child(action)
        assert child.answer() == "refused"
        child.end()
        os.close(fd)
