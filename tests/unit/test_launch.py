"""Programs that outlive the run: detached, with nothing of the agent's, and told of honestly."""

from __future__ import annotations

import errno
import json
import os
import signal
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from converge.errors import ApplyError
from converge.programs import launch, pidfd, process
from converge.programs.launch import Program
from converge.programs.process import Context
from converge.read_only import ReadOnlySystem

# Tells what it sees of itself, and stays.
TELL = """
import json, os, sys, time
told = {
    "pid": os.getpid(), "session": os.getsid(0), "directory": os.getcwd(), "mask": os.umask(0),
    "files": sorted(os.listdir("/proc/self/fd"), key=int), "environment": dict(os.environ),
    "standard": [os.readlink(f"/proc/self/fd/{n}") for n in (0, 1, 2)],
}
with open(sys.argv[1] + ".new", "w") as file:
    json.dump(told, file)
os.rename(sys.argv[1] + ".new", sys.argv[1])
time.sleep(60)
"""
USR = Context(folder="/usr")
HERE = ReadOnlySystem()
DETACH = """
import os, sys
print("on its way", flush=True)
if os.fork():
    sys.exit(0)
"""
FLOOD = """
for _ in range(100):
    try:
        os.write(2, b"x" * 4096)
    except OSError:
        pass
"""


def python(code: str, *words: str, **options: object) -> Program:
    argv = [sys.executable, "-I", "-c", code, *words]
    return Program(path=sys.executable, argv=argv, **{"environment": {}, **options})  # type: ignore[arg-type]


def until(true: Callable[[], object]) -> bool:
    for _ in range(200):
        if true():
            return True
        time.sleep(0.05)
    return False


def parent(pid: int) -> int:
    with open(f"/proc/{pid}/stat", encoding="ascii") as file:
        return int(file.read().rpartition(") ")[2].split()[1])


@pytest.fixture
def told(tmp_path: Path) -> Iterator[Path]:
    """Where a program tells of itself; it is ended after the test."""
    file = tmp_path / "told"
    yield file
    if file.exists():
        os.kill(json.loads(file.read_text())["pid"], signal.SIGKILL)


def test_what_stays_is_detached_and_has_nothing_of_ours(told, monkeypatch):
    fd = os.open("/", os.O_RDONLY)
    os.set_inheritable(fd, True)
    monkeypatch.setenv("SECRET", "x")
    program = python(TELL, str(told), stays=True, environment={"A": "b"}, context=USR)
    launch.start(HERE, program, told.exists, 20)
    os.close(fd)
    seen = json.loads(told.read_text())
    assert seen["session"] == seen["pid"]
    assert parent(seen["pid"]) != os.getpid()
    assert (seen["directory"], seen["mask"]) == ("/usr", 0o022)
    assert len(seen["files"]) == 4  # the fourth is that of the listing itself
    assert seen["standard"] == ["/dev/null"] * 3
    expected = {"A": "b", **process.ENVIRONMENT}
    expected.pop("DEBIAN_FRONTEND")
    seen["environment"].pop("LC_CTYPE", None)
    assert seen["environment"] == expected


def test_what_detaches_itself(told):
    launch.start(HERE, python(DETACH + TELL, str(told)), told.exists, 20)
    seen = json.loads(told.read_text())
    assert seen["standard"][0] == "/dev/null"
    assert parent(seen["pid"]) != os.getpid()


def test_output_of_what_detaches_cannot_fill_the_memory(told):
    launch.start(HERE, python(DETACH + FLOOD + TELL, str(told)), told.exists, 20)
    pid = json.loads(told.read_text())["pid"]
    assert os.stat(f"/proc/{pid}/fd/2").st_size == 64 << 10


def test_output_goes_where_it_is_told_to(told, tmp_path):
    log = tmp_path / "log"
    log.write_text("before\n")
    program = python("print('said', flush=True)\n" + TELL, str(told), stays=True, log=str(log))
    launch.start(HERE, program, told.exists, 20)
    assert log.read_text() == "before\nsaid\n"


@pytest.mark.parametrize("what", ["link", "fifo", "directory", "missing"])
def test_a_log_that_is_no_file(tmp_path, what):
    log = tmp_path / "log"
    if what == "link":
        log.symlink_to("elsewhere")
    elif what == "fifo":
        os.mkfifo(log)
    elif what == "directory":
        log.mkdir()
    else:
        log = tmp_path / "no/log"
    with pytest.raises(OSError):  # noqa: PT011  which errno is the kernel's
        launch.start(HERE, python("pass", log=str(log)), lambda: True, 5)
    assert not (tmp_path / "elsewhere").exists()


def test_no_process_and_no_descriptor_is_left(told):
    HERE.forget()
    before = sorted(os.listdir("/proc/self/fd"))
    launch.start(HERE, python(TELL, str(told), stays=True), told.exists, 20)
    for program in (
        python("raise SystemExit(3)"),
        Program(path="/nowhere", argv=["x"], environment={}),
    ):
        with pytest.raises(ApplyError):
            launch.start(HERE, program, told.exists, 20)
    assert sorted(os.listdir("/proc/self/fd")) == before
    with pytest.raises(ChildProcessError):
        os.waitpid(-1, os.WNOHANG)


@pytest.mark.parametrize(
    ("program", "message"),
    [
        (python("import sys; sys.exit('its own words')"), "exit 1: its own words$"),
        (python("import os; os.kill(os.getpid(), 11)"), "was ended by signal 11"),
        (python("pass", stays=True), r"exit 0 \(leave out `background: true`"),
        (python("raise SystemExit(2)", stays=True), r"exit 2 \(see its `log`\)"),
        (python("pass"), "was started, but is not seen to run"),
        (python("print('hm')"), "not seen to run; it said: hm"),
        (
            Program(path="/etc/passwd", argv=["x"], environment={}),
            "/etc/passwd cannot be started: Per",
        ),
    ],
)
def test_what_does_not_run_is_told_of(program, message):
    with pytest.raises(ApplyError, match=message):
        launch.start(HERE, program, lambda: False, 0.5)


def test_what_does_not_detach_in_time_is_ended(told):
    with pytest.raises(ApplyError, match=r"did not detach within 1 seconds .*background: true"):
        launch.start(HERE, python(TELL, str(told)), told.exists, 1)
    pid = json.loads(told.read_text())["pid"]
    told.unlink()
    assert until(lambda: not os.path.exists(f"/proc/{pid}") or state(pid) == "Z")


def test_no_descriptor_is_left_of_what_cannot_be_started(monkeypatch):
    def full() -> int:
        raise BlockingIOError(errno.EAGAIN, "Resource temporarily unavailable")

    program = python("pass")
    HERE.forget()
    before = os.listdir("/proc/self/fd")
    monkeypatch.setattr(os, "fork", full)
    with pytest.raises(ApplyError, match="cannot be started: Resource temporarily"):
        launch.start(HERE, program, lambda: True, 5)
    HERE.forget()
    assert os.listdir("/proc/self/fd") == before


def test_the_keeper_ends_with_the_agent(told):
    """An agent that is killed while it waits leaves the program, and nothing else."""
    ours = os.fork()
    if ours == 0:
        launch.start(HERE, python(TELL, str(told), stays=True), lambda: False, 60)
    assert until(told.exists)
    pid = json.loads(told.read_text())["pid"]
    keeper = parent(pid)
    os.kill(ours, signal.SIGKILL)
    os.waitpid(ours, 0)
    assert until(lambda: parent(pid) != keeper)
    assert state(pid) in "SR"


def test_a_signal_reaches_only_the_process_that_was_meant(told):
    launch.start(HERE, python(TELL, str(told), stays=True), told.exists, 20)
    pid = json.loads(told.read_text())["pid"]
    started = pidfd.started_at(pid)
    assert started is not None
    assert not pidfd.send(HERE, pid, started + 1, signal.SIGKILL)
    assert pidfd.send(HERE, pid, started, 0)
    assert pidfd.send(HERE, pid, started, signal.SIGKILL)
    told.unlink()
    assert until(lambda: not os.path.exists(f"/proc/{pid}") or state(pid) == "Z")


def test_where_the_kernel_has_no_pidfd(monkeypatch):
    def missing(pid: int, flags: int = 0) -> int:
        raise OSError(38, "Function not implemented")

    monkeypatch.setattr(os, "pidfd_open", missing)
    started = pidfd.started_at(os.getpid())
    assert started is not None
    assert pidfd.send(HERE, os.getpid(), started, 0)
    assert not pidfd.send(HERE, os.getpid(), started + 1, signal.SIGKILL)


def test_nobody_is_no_process():
    assert pidfd.started_at(1 << 30) is None
    assert not pidfd.send(HERE, 1 << 22, 1, 0)


def state(pid: int) -> str:
    with open(f"/proc/{pid}/stat", encoding="ascii") as file:
        return file.read().rpartition(") ")[2][0]
