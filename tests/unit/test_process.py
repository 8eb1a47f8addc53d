"""Programs: a fixed environment, a deadline that holds, and their own words in errors."""

from __future__ import annotations

import json
import os
import signal
import sys
import time
from collections.abc import Callable

import pytest

from converge.errors import ApplyError
from converge.programs import process
from converge.programs.process import Completed

PYTHON = sys.executable
# A daemon: another session, which has the pipes, and outlives the program that started it.
DAEMON = """
import os, sys, time
print("started", flush=True)
if os.fork():
    {parent}
os.setsid()
open(sys.argv[1], "w").write(str(os.getpid()))
time.sleep(60)
"""


def python(code: str, *words: str, timeout: float = 20, **options: object) -> Completed:
    return process.run([PYTHON, "-I", "-c", code, *words], timeout=timeout, **options)  # type: ignore[arg-type]


def test_answer():
    answer = python("import sys; print('out'); print('err', file=sys.stderr); sys.exit(3)")
    assert (answer.code, answer.out, answer.err) == (3, "out\n", "err\n")
    assert answer.argv[0] == PYTHON


def test_environment_is_fixed(monkeypatch):
    monkeypatch.setenv("LD_PRELOAD_TEST", "x")
    monkeypatch.setenv("PATH", "/nowhere")
    seen = json.loads(python("import os, json; print(json.dumps(dict(os.environ)))").out)
    seen.pop("LC_CTYPE", None)  # python itself may add it
    assert seen == process.ENVIRONMENT
    more = python("import os; print(os.environ['A'], os.environ['LANG'])", environment={"A": "b"})
    assert more.out == "b C.UTF-8\n"


def test_where_and_how_it_runs():
    code = "import os; print(os.getcwd(), oct(os.umask(0)), os.getsid(0) == os.getpid())"
    assert python(code).out == "/ 0o22 True\n"


def test_another_place_and_another_user(tmp_path):
    def seen(context: process.Context) -> list[str]:
        argv = ["/bin/sh", "-c", "pwd; umask; id -u; id -g; id -G"]
        return process.run(argv, timeout=20, context=context).check().out.splitlines()

    context = process.Context(folder=str(tmp_path), umask=0o077)
    ids = [str(os.geteuid()), str(os.getegid())]
    assert seen(context)[:4] == [str(tmp_path), "0077", *ids]
    if os.geteuid() == 0:
        tmp_path.chmod(0o700)  # entered before the user is another one
        assert seen(context.replace(uid=65534, gid=65533, groups=(65532,))) == [
            str(tmp_path), "0077", "65534", "65533", "65533 65532",
        ]  # fmt: skip


def test_an_argument_with_a_nul():
    with pytest.raises(ApplyError, match="/bin/echo cannot be started: embedded null byte"):
        process.run(["/bin/echo", "a\0b"], timeout=5)


def test_no_descriptor_is_passed_on(tmp_path):
    fd = os.open(tmp_path, os.O_RDONLY)
    os.set_inheritable(fd, True)
    try:
        code = "import os, sys; os.fstat(int(sys.argv[1]))"
        assert "Bad file descriptor" in python(code, str(fd)).err
    finally:
        os.close(fd)


def test_stdin():
    assert python("import sys; print(sys.stdin.read()[::-1])", stdin=b"abc").out == "cba\n"
    assert python("import sys; print(repr(sys.stdin.read()))").out == "''\n"


def test_stdin_that_nobody_reads():
    assert python("pass", stdin=b"x" * 1_000_000).code == 0


def test_much_output():
    answer = python("import sys; sys.stdout.write('o' * 300000); sys.stderr.write('e' * 300000)")
    assert (len(answer.out), len(answer.err)) == (300000, 300000)


def test_output_that_is_no_utf8():
    assert python("import os; os.write(1, b'a\\xff')").out == "a\ufffd"


def test_words_are_not_interpreted():
    words = ["$(id)", "`id`", "; id", "a b", "*", "--", "-x", ""]
    code = "import sys, json; print(json.dumps(sys.argv[1:]))"
    assert json.loads(python(code, *words).out) == words


@pytest.mark.parametrize("program", ["/nowhere/program", "/etc/passwd", "/"])
def test_what_cannot_be_started(program):
    with pytest.raises(ApplyError, match=f"{program} cannot be started: "):
        process.run([program], timeout=5)


def test_check():
    assert python("pass").check().code == 0
    with pytest.raises(ApplyError, match=r"^python[^:]*: exit 3: why$"):
        python("import sys; print('no'); sys.exit('why' if 0 else 3)").replace(err=" why\n").check()
    with pytest.raises(ApplyError, match=r"exit 1$"):
        python("import sys; sys.exit(1)").check()
    with pytest.raises(ApplyError, match="exit 1: said on stdout"):
        python("import sys; print('said on stdout'); sys.exit(1)").check()


def test_a_signal_is_named():
    answer = python("import os, signal; os.kill(os.getpid(), signal.SIGTERM)")
    assert answer.code == -signal.SIGTERM
    with pytest.raises(ApplyError, match="was ended by signal 15"):
        answer.check()


def test_long_words_are_cut_to_their_end():
    answer = Completed(argv=("/bin/x",), code=1, out="", err="a" * 5000 + "the end")
    with pytest.raises(ApplyError) as caught:
        answer.check()
    assert len(str(caught.value)) < 2100
    assert str(caught.value).endswith("the end")


def test_deadline():
    with pytest.raises(ApplyError, match=r"took longer than 0\.2 seconds"):
        python("import time; time.sleep(60)", timeout=0.2)


def test_deadline_ends_the_children_too(tmp_path):
    file = tmp_path / "pid"
    code = """
import os, sys, time
if not os.fork():
    open(sys.argv[1], "w").write(str(os.getpid()))
time.sleep(60)
"""
    with pytest.raises(ApplyError, match="took longer"):
        python(code, str(file), timeout=1)
    assert wait_until(lambda: not alive(int(file.read_text())))


def test_a_daemon_that_keeps_the_pipes_does_not_keep_us(tmp_path):
    answer, pid = with_daemon(tmp_path, "os._exit(0)", timeout=30)
    assert isinstance(answer, Completed)
    assert (answer.code, answer.out) == (0, "started\n")
    assert alive(pid)  # it may live: it is what was asked for
    os.kill(pid, signal.SIGKILL)


def test_a_daemon_cannot_outstay_the_deadline(tmp_path):
    answer, pid = with_daemon(tmp_path, "time.sleep(60)", timeout=1)
    assert isinstance(answer, ApplyError)
    assert "took longer than 1 seconds" in str(answer)
    os.kill(pid, signal.SIGKILL)


def with_daemon(tmp_path, parent: str, timeout: float) -> tuple[Completed | ApplyError, int]:
    """Start a program that leaves a daemon behind; return its answer and the daemon's pid."""
    file = tmp_path / "pid"
    answer: Completed | ApplyError
    try:
        answer = python(DAEMON.format(parent=parent), str(file), timeout=timeout)
    except ApplyError as error:
        answer = error
    assert wait_until(lambda: file.exists() and file.read_text() != "")
    return answer, int(file.read_text())


def wait_until(true: Callable[[], bool]) -> bool:
    for _ in range(100):
        if true():
            return True
        time.sleep(0.05)
    return False


def alive(pid: int) -> bool:
    try:
        with open(f"/proc/{pid}/stat", encoding="ascii") as file:
            return file.read().rpartition(") ")[2][0] not in "ZX"
    except FileNotFoundError:
        return False


def test_a_program_that_may_not_print_much():
    assert python("print('x' * 99)", most=100).out == "x" * 99 + "\n"
    with pytest.raises(ApplyError, match="printed more than 100 bytes"):
        python("print('x' * 100)", most=100)


def test_a_program_that_never_stops_printing_is_ended():
    with pytest.raises(ApplyError, match="printed more than 100 bytes"):
        process.run(["/usr/bin/yes"], timeout=20, most=100)
