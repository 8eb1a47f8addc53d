"""`converge exec`: what the command is given, and what a request to stop leads to."""

from __future__ import annotations

import json
import os
import pty
import select
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from converge import entrypoint

# The entrypoint with another program in place of converge: the source comes as argv[1].
DRIVER = """
import os, sys, time
from converge import entrypoint
real, program = entrypoint.os.posix_spawn, sys.argv[1]
def spawn(path, argv, env, **options):
    pid = real(path, [path, "-c", program, *argv[3:]], env, **options)
    time.sleep(float(os.environ.get("LATE", 0)))
    return pid
entrypoint.os.posix_spawn = spawn
sys.exit(entrypoint.main(sys.argv[2:]))
"""
# As the agent is: `--ready-fd N`, or `--once`.
AGENT = """
import os, signal, sys, time
if sys.argv[1] == "--once":
    sys.exit(%(once)d)
ready = int(sys.argv[2])
open("agent", "w").write(str(os.getpid()))
print("on stdout", flush=True)
%(first)s
os.write(ready, b"%(code)d\\n")
os.close(ready)
time.sleep(60)
"""
SEEN = """
import json, os, signal, sys
status = dict(line.split(":", 1) for line in open("/proc/self/status"))
masks = {name: status[name].strip() for name in ("SigBlk", "SigIgn", "SigCgt", "SigPnd")}
fds = sorted(int(fd) for fd in os.listdir("/proc/self/fd"))
tty = os.isatty(0) and os.ttyname(0)
umask = os.umask(0)
raw = open("/proc/self/environ").read()
json.dump({"masks": masks, "fds": fds, "cwd": os.getcwd(), "umask": umask, "pid": os.getpid(),
           "environ": raw, "tty": tty, "session": os.getsid(0), "argv": sys.argv[1:],
           "children": open("/proc/self/task/%d/children" % os.getpid()).read().split()},
          open("seen", "w"))
"""


def agent(first="", code=0, once=0):
    return AGENT % {"first": first, "code": code, "once": once}


class Start:
    """A start in a folder: its process, and what it has printed."""

    def __init__(self, folder, program, *words, resident=True, wrapper=(), env=None, **options):
        self.folder = folder
        given = environment(folder) | ({"CONVERGE_RESIDENT": "1"} if resident else {})
        argv = [*wrapper, sys.executable, "-IB", "-c", DRIVER, program, *words]
        self.process = run(folder, argv, env=given | (env or {}), **options)

    def end(self):
        """Wait for the end; return the exit code, stdout and stderr."""
        code = self.process.wait(60)
        return code, (self.folder / "out").read_text(), (self.folder / "err").read_text()


def environment(folder):
    return {"PATH": os.environ["PATH"], "CONVERGE_RUNTIME_DIR": str(folder / "run")}


def run(folder, argv, *, stdin=subprocess.DEVNULL, **options):
    with (folder / "out").open("w") as out, (folder / "err").open("w") as err:
        return subprocess.Popen(argv, cwd=folder, stdin=stdin, stdout=out, stderr=err, **options)


def until(condition):
    for _ in range(600):
        if condition():
            return
        time.sleep(0.05)
    raise AssertionError("it did not come to that in 30 seconds")


def alive(pid):
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(") ")[2][0] != "Z"
    except (FileNotFoundError, ProcessLookupError):
        return False


@pytest.fixture
def folder(tmp_path):
    """A directory to start in; the agent that has left its id there is ended."""
    old = signal.signal(signal.SIGHUP, signal.SIG_DFL)  # nohup(1) has us ignore it
    yield tmp_path
    signal.signal(signal.SIGHUP, old)
    file = tmp_path / "agent"
    if file.exists() and alive(int(file.read_text())):
        os.kill(int(file.read_text()), signal.SIGKILL)


def agent_of(folder):
    until(lambda: (folder / "agent").exists() and (folder / "agent").read_text())
    return int((folder / "agent").read_text())


@pytest.mark.parametrize("resident", [True, False])
def test_the_command_follows_a_good_run(folder, resident):
    start = Start(folder, agent(), "--", "sh", "-c", "echo app; exit 7", resident=resident)
    assert start.end() == (7, "app\n", "on stdout\n" if resident else "")
    assert (folder / "agent").exists() == resident


@pytest.mark.parametrize("resident", [True, False])
def test_the_command_does_not_follow_a_failed_run(folder, resident):
    start = Start(folder, agent(code=4, once=4), "--", "echo", "app", resident=resident)
    code, out, err = start.end()
    assert (code, out) == (4, "")
    assert "so the command is not run (CONVERGE_ON_FAILURE=continue would run it)\n" in err
    if resident:
        assert not alive(agent_of(folder)), "the agent of a start that failed is ended first"


@pytest.mark.parametrize("code", [0, 4])
def test_an_agent_that_is_ready_before_its_id_is_told(folder, code):
    start = Start(folder, agent(code=code), "--", "echo", "app", env={"LATE": "0.5"})
    assert start.end()[0] == code


def test_on_failure_continue(folder):
    on = {"CONVERGE_ON_FAILURE": "continue"}
    start = Start(folder, agent(code=4), "--", "echo", "app", env=on)
    assert start.process.wait(60) == 0
    assert alive(agent_of(folder))


@pytest.mark.parametrize("first", ["sys.exit(0)", "os.kill(os.getpid(), 9)"])
def test_an_agent_that_ends_before_it_is_ready(folder, first):
    code, out, err = Start(folder, agent(first), "--", "echo", "app").end()
    assert (code, out) == (1, "")
    assert "the agent has ended before its first run did" in err


def test_an_agent_that_cannot_be_started(folder):
    driver = "import os\ndef fail(*a, **k): raise OSError(11, 'Try again')\nos.posix_spawn = fail\n"
    code = (
        driver + "import sys; from converge import entrypoint; sys.exit(entrypoint.main(['true']))"
    )
    for resident in ("", "1"):
        done = subprocess.run(
            [sys.executable, "-Ic", code],
            env={"CONVERGE_RESIDENT": resident}, capture_output=True, text=True,
        )  # fmt: skip
        assert done.returncode == 1
        assert "the agent cannot be started: Try again" in done.stderr


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGHUP])
def test_a_stop_while_the_agent_is_at_its_first_run(folder, number):
    start = Start(folder, agent("time.sleep(60)"), "--", "echo", "app")
    pid = agent_of(folder)
    start.process.send_signal(number)
    code, out, _ = start.end()
    assert (code, out) == (128 + number, "")
    assert not alive(pid)


def test_a_stop_waits_for_the_resource_that_the_agent_is_at(folder):
    slow = "signal.signal(15, lambda *_: (time.sleep(0.5), open('done', 'w'), sys.exit()))"
    start = Start(folder, agent(f"{slow}; open('set', 'w'); time.sleep(60)"), "--", "true")
    until((folder / "set").exists)
    start.process.send_signal(signal.SIGTERM)
    assert start.end()[0] == 143
    assert (folder / "done").exists()


def test_a_stop_while_it_converges_once(folder):
    program = "import os, time; open('pid', 'w').write(str(os.getpid())); time.sleep(60)"
    start = Start(folder, program, "--", "echo", "app", resident=False)
    until(lambda: (folder / "pid").exists() and (folder / "pid").read_text())
    start.process.send_signal(signal.SIGTERM)
    assert start.end()[:2] == (143, "")
    assert not alive((folder / "pid").read_text())


def test_a_hangup_that_is_ignored_stays_ignored(folder):
    first = "time.sleep(1)"
    wrapper = (sys.executable, "-Ic", IGNORING, "1")
    start = Start(folder, agent(first), "--", sys.executable, "-Ic", SEEN, wrapper=wrapper)
    agent_of(folder)
    start.process.send_signal(signal.SIGHUP)
    assert start.process.wait(60) == 0
    assert int(seen(folder)["masks"]["SigIgn"], 16) & 1


def seen(folder):
    return json.loads((folder / "seen").read_text())


# Ignores the signals that argv[1] names by number, blocks those of argv[1] that are negative.
IGNORING = """
import os, signal, sys
for word in sys.argv[1].split(","):
    if word.startswith("-"):
        signal.pthread_sigmask(signal.SIG_BLOCK, [-int(word)])
    else:
        signal.signal(int(word), signal.SIG_IGN)
for number in (13, 25):
    signal.signal(number, signal.SIG_DFL)
os.execv(sys.argv[2], sys.argv[2:])
"""


def with_and_without(folder, wrapper, command, *, resident, **options):
    """Return what a command sees after a start, and what it sees without us."""
    command = (*command, sys.executable, "-IBc", SEEN, "a b", "")
    given = environment(folder) | {"CONVERGE_RESIDENT": "1" if resident else "", "X": "a=b\n"}
    assert run(folder, [*wrapper, *command], env=given, **options).wait(60) == 0
    without = seen(folder)
    start = Start(folder, agent(), "--", *command, wrapper=wrapper, env=given, **options)
    assert start.end()[0] == 0
    found = seen(folder)
    assert found.pop("pid") == start.process.pid
    assert without.pop("pid")
    return found, without


@pytest.mark.parametrize("resident", [True, False])
def test_the_command_is_given_what_we_were_given(folder, resident):
    read, write = os.pipe()
    wrapper = (sys.executable, "-IBc", IGNORING, "17,12,-10,-15")
    command = ("/usr/bin/env", "--")
    found, without = with_and_without(
        folder, wrapper, command, resident=resident, pass_fds=[write], umask=0o027
    )
    assert found == without
    assert found["children"] == [], "no child, alive or ended, is left to the command"
    assert found["argv"] == ["a b", ""]
    assert found["umask"] == 0o027
    assert write in found["fds"]
    os.close(write)
    poll = select.poll()
    poll.register(read, select.POLLIN)
    assert poll.poll(10_000)
    assert os.read(read, 1) == b"", "the agent holds what was meant for the command"
    os.close(read)


@pytest.mark.parametrize("resident", [True, False])
@pytest.mark.parametrize("closed", ["<&-", ">&-", "2>&-", "<&- >&- 2>&-"])
def test_closed_streams_stay_closed(folder, closed, resident):
    wrapper = ("/bin/sh", "-c", f'exec "$@" {closed}', "sh")
    found, without = with_and_without(folder, wrapper, (), resident=resident)
    assert found == without


def test_the_terminal_stays_the_commands(folder):
    leader, follower = pty.openpty()
    start = Start(
        folder, agent(), "--", sys.executable, "-IBc", SEEN,
        stdin=follower, start_new_session=True,
    )  # fmt: skip
    assert start.process.wait(60) == 0
    assert seen(folder)["tty"] == os.ttyname(follower)
    assert seen(folder)["session"] == start.process.pid
    assert os.getsid(agent_of(folder)) != start.process.pid
    os.close(leader)
    os.close(follower)


@pytest.mark.parametrize(
    ("words", "options", "command"),
    [
        (["--", "a", "-b"], [], ["a", "-b"]),
        (["a", "--", "b"], [], ["a", "--", "b"]),
        (["--profile", "x", "--", "a", "--", "b"], ["--profile", "x"], ["a", "--", "b"]),
        (["--profile", "x", "a"], ["--profile", "x", "a"], []),
        (["--"], [], []),
        ([], [], []),
    ],
)
def test_where_the_command_begins(words, options, command):
    assert entrypoint._parse(words) == (options, command)


@pytest.mark.parametrize("words", [[], ["--"], ["--profile", "x", "true"]])
def test_no_command(folder, words):
    code, out, err = Start(folder, agent(), *words).end()
    assert (code, out) == (1, "")
    assert "no command to run" in err
    assert not (folder / "agent").exists()


def test_a_command_that_cannot_be_run(folder):
    (folder / "data").write_text("x")
    for name, expected in (("/no/such", 127), ("no-such", 127), ("./data", 126)):
        code, _, err = Start(folder, agent(), "--", name, resident=False).end()
        assert code == expected
        assert f"converge: {name}: " in err


def test_help(folder):
    code, out, _ = Start(folder, agent(), "--help").end()
    assert code == 0
    assert out.startswith("usage: converge exec")
