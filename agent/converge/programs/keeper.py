"""The process between the agent and a program that it starts, for the time of the start.

The keeper is the program's parent: it learns the exit code if the program ends. It ends with the
agent, or when it is let go, and the program becomes a child of PID 1 (or of the resident agent).
"""

from __future__ import annotations

import os
import resource
import select
import signal

from converge.programs.process import ENVIRONMENT

TYPE_CHECKING = False
if TYPE_CHECKING:
    from converge.programs.launch import Program

_LOOK = 0.025  # seconds between two looks


def keep(program: Program, files: tuple[int, int, int], life: int, news: int) -> None:
    """Be the keeper: start the program, tell how it ends, end with the agent. Never returns.

    `files`: the program's directory, its input, its output. `life` ends with the agent, `news` is
    what is told to it.
    """
    try:
        pid = os.fork()
        if pid == 0:
            _become(program, files, news)
        os.write(news, b"pid %d\n" % pid)
        while not select.select([life], [], [], _LOOK)[0]:
            ended, status = os.waitpid(pid, os.WNOHANG)
            if ended:
                os.write(news, b"code %d\n" % os.waitstatus_to_exitcode(status))
                break
    finally:
        os._exit(0)


def _become(program: Program, files: tuple[int, int, int], news: int) -> None:
    """Be the program. Never returns."""
    folder, source, output = files
    context = program.context
    try:
        os.setsid()
        for number in signal.valid_signals():
            if number not in (signal.SIGKILL, signal.SIGSTOP):
                signal.signal(number, signal.SIG_DFL)
        signal.pthread_sigmask(signal.SIG_SETMASK, ())
        _undo_limits()
        os.dup2(source, 0)
        os.dup2(output, 1)
        os.dup2(output, 2)
        _close_all_but(news, folder)
        os.umask(context.umask)
        if context.gid is not None:
            os.setgroups(context.groups or ())
            os.setgid(context.gid)
        if context.uid is not None:
            os.setuid(context.uid)
        os.fchdir(folder)  # as the user: it may not enter every directory
        environment = {**ENVIRONMENT, **program.environment}
        environment.pop("DEBIAN_FRONTEND")
        os.execve(program.path, list(program.argv), environment)  # noqa: S606
    except OSError as error:
        os.write(news, f"error {error.strerror}\n".encode())
    finally:
        os._exit(127)


def _close_all_but(*kept: int) -> None:
    """Close what is open from descriptor 3 on; the agent may have inherited some itself."""
    try:
        numbers = [int(name) for name in os.listdir("/proc/self/fd")]
    except OSError:
        numbers = list(range(3, os.sysconf("SC_OPEN_MAX")))
    for number in numbers:
        if number > 2 and number not in kept:
            os.closerange(number, number + 1)  # one that has gone is no error


def _undo_limits() -> None:
    """Take back what the agent gave itself alone: to be killed early, and without a core."""
    try:
        with open("/proc/1/oom_score_adj", encoding="ascii") as first:
            wanted = first.read()
        with open("/proc/self/oom_score_adj", "r+", encoding="ascii") as own:
            if own.read() != wanted:
                own.write(wanted)
        resource.setrlimit(resource.RLIMIT_CORE, resource.prlimit(1, resource.RLIMIT_CORE))
    except (OSError, ValueError):
        return
