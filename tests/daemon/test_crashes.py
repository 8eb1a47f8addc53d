"""Whatever a worker does, the supervisor lives, says what it was, and holds no more than before."""

from __future__ import annotations

import os
import resource
import select
import signal
from contextlib import ExitStack

import pytest

from daemon.supervisor import ORDERED, Held, children, until

# What an ORDERED worker does, and what the supervisor says of it.
SAY = "os.write(3, %r);"
CRASHES = {
    "killed": ("os.kill(os.getpid(), 9)", "was killed by signal 9, perhaps for want of memory"),
    "segmentation fault": ("import ctypes; ctypes.string_at(0)", "was ended by signal 11"),
    "abort": ("os.abort()", "was ended by signal 6"),
    "bus error": ("os.kill(os.getpid(), 7)", "was ended by signal 7"),
    "illegal instruction": ("os.kill(os.getpid(), 4)", "was ended by signal 4"),
    "floating point": ("os.kill(os.getpid(), 8)", "was ended by signal 8"),
    "broken pipe": (
        "import _signal; _signal.signal(13, _signal.SIG_DFL); os.kill(os.getpid(), 13)",
        "was ended by signal 13",
    ),
    "cpu time": (
        "import resource; resource.setrlimit(resource.RLIMIT_CPU, (1, 1)); os.kill(os.getpid(), 24)",
        "was ended by signal 24",
    ),
    "exit 0 without a word": ("sys.exit(0)", "exited with 0"),
    "exit 1": ("sys.exit(1)", "exited with 1"),
    "exit 2": ("os._exit(2)", "exited with 2"),
    "exit 255": ("os._exit(255)", "exited with 255"),
    "exception": ("raise RuntimeError('a fault')", "exited with 1"),
    "memory": (
        "import resource\nresource.setrlimit(resource.RLIMIT_AS, (1 << 26, 1 << 26))\nbytes(1 << 28)",
        "exited with 1",
    ),
    "endless recursion": (
        "def f(): f()\nf()",
        "exited with 1",
    ),
    "no descriptor 3": ("os.close(3); sys.exit(0)", "exited with 0"),
    "half a result": (SAY % b"0\0id\0whole\0", "exited with 0"),
    "a result and then no end": (SAY % b"0\0id\0whole\0\0en", "exited with 0"),
    "garbage": ("os.write(3, os.urandom(60000))", "exited with 0"),
    "garbage with an end": (
        "os.write(3, os.urandom(60000) + b'\\0end\\0')", "gave a result that makes no sense",
    ),
    "only an end": (SAY % b"\0end\0", "gave a result that makes no sense"),
    "no exit code": (SAY % b"zero\0id\0whole\0\0end\0", "gave a result that makes no sense"),
    "no record": (SAY % b"0\0id\0whole\0\0what\0end\0", "gave a result that makes no sense"),
    "no print": (SAY % b"0\0id\0whole\0\0f x /etc\0end\0", "gave a result that makes no sense"),
    "no path": (SAY % b"0\0id\0whole\0\0f 1 etc\0end\0", "gave a result that makes no sense"),
    "a result without measure": (
        "[os.write(3, bytes(1 << 16)) for _ in range(400)]; os.write(3, b'\\0end\\0')",
        "gave a result of more than 16777216 bytes",
    ),
    "a child that keeps descriptor 3": (
        "os.fork() or (__import__('time').sleep(0.2), os._exit(0)); os._exit(3)", "exited with 3",
    ),
}  # fmt: skip


def test_200_crashes_of_every_sort_cost_nothing(supervisor, capsys):
    one = supervisor(ORDERED, events="on").start()
    until(lambda: one.runs() == 1)

    def crash(sort: str) -> None:
        code, said = CRASHES[sort]
        assert one.order(code) == 1, sort
        assert one.status()["last_end"] == f"the worker {said}", sort

    for sort in CRASHES:  # once, for what is imported or grown once
        crash(sort)
    until(lambda: not children(one.pid))
    before = Held(one.pid)
    for number in range(200):
        crash(list(CRASHES)[number % len(CRASHES)])
    until(lambda: not children(one.pid))
    after = Held(one.pid)
    with capsys.disabled():
        print(f"\n200 crashes: {after.since(before)}")
    assert after.descriptors == before.descriptors
    assert after.resident < before.resident + 512
    told = one.status()
    assert int(told["crashes"]) == one.runs() == int(told["runs"])  # the start was the first
    assert one.order("os.write(3, b'0\\0id\\0whole\\0\\0end\\0')") == 0
    assert one.status()["failures"] == "0"
    assert one.end() == 0


def test_a_worker_that_cannot_be_started(supervisor):
    one = supervisor().start()
    until(lambda: one.runs() == 1 and not children(one.pid))
    before = Held(one.pid)
    text = one.worker.read_text()
    for program in ("#!/no/such\n", "\x7fELF", ""):
        one.worker.write_text(program)
        assert one.trigger() == 1
    one.worker.unlink()
    assert one.trigger() == 1
    assert "a worker cannot be started: No such file or directory" in one.status()["last_end"]
    assert Held(one.pid).descriptors == before.descriptors
    one.worker.write_text(text)
    one.worker.chmod(0o755)
    assert one.trigger() == 0


@pytest.mark.parametrize("free", [0, 1, 2, 3])
def test_where_no_descriptors_are_left_none_leaks(supervisor, free):
    """Of the three that a worker needs, and the one that a connection does."""
    one = supervisor().start()
    until(lambda: one.runs() == 1 and not children(one.pid))
    before = Held(one.pid)
    _, most = resource.prlimit(one.pid, resource.RLIMIT_NOFILE)
    resource.prlimit(one.pid, resource.RLIMIT_NOFILE, (before.descriptors + free, most))
    if free < 3:
        one.signal(signal.SIGUSR1)
        until(lambda: "a worker cannot be started: Too many open files" in one.log())
    with ExitStack() as connections:
        for _ in range(8):
            connections.enter_context(one.connection())
        one.signal(signal.SIGUSR1)
        until(lambda: one.log().count("a worker cannot be started") >= (2 if free < 3 else 1))
    resource.prlimit(one.pid, resource.RLIMIT_NOFILE, (most, most))
    assert one.trigger() == 0
    assert Held(one.pid).descriptors == before.descriptors


def test_who_waits_for_its_first_run_is_not_kept_waiting_by_what_it_started(supervisor):
    """The descriptor by which `converge exec` is told ends with the agent, killed or not."""
    read, write = os.pipe()
    one = supervisor(ORDERED)
    one.options["ready"] = write
    (one.folder / "order").write_text("open('here', 'w')\nimport time\ntime.sleep(1000)")
    one.start(ready=write)
    os.close(write)
    until((one.folder / "here").exists)
    (worker,) = children(one.pid)
    try:
        os.kill(one.pid, signal.SIGKILL)
        assert select.select([read], [], [], 20)[0]
        assert os.read(read, 10) == b""
    finally:
        os.kill(worker, signal.SIGKILL)
        os.close(read)
