"""`converge exec [OPTIONS] -- COMMAND…`: converge, leave the agent beside, become the command.

The command is exec'd, so it has this process's id, parent, terminal, environment and user, gets
the signals and gives its own exit code. The agent, if it is asked to stay (CONVERGE_RESIDENT), is
started by a process between that ends at once, so that it is PID 1's child; its first run is the
start's. Imports little: it stands before every start.
"""

from __future__ import annotations

import os
import sys

_SIGTERM, _SIGPIPE, _SIGXFSZ = 15, 13, 25
_HELP = "usage: converge exec [OPTIONS of converge] -- COMMAND [ARGUMENT …]\n"
_YES = ("1", "true", "yes", "on")


def main(words: list[str]) -> int:
    """Return an exit code only if the command was not run."""
    options, command = _parse(words)
    if "-h" in options or "--help" in options:
        sys.stdout.write(_HELP)
        return 0
    if not command:
        sys.stderr.write(f"converge: no command to run\n{_HELP}")
        return 1
    resident = os.environ.get("CONVERGE_RESIDENT", "").lower() in _YES
    code, agent = _leave_agent(options) if resident else (_once(options), 0)
    if code and os.environ.get("CONVERGE_ON_FAILURE") != "continue":
        if agent:
            _end(agent)
        sys.stderr.write(f"converge: not converged (exit {code}), so the command is not run\n")
        return code
    return _become(command)


def _parse(words: list[str]) -> tuple[list[str], list[str]]:
    """Split at `--`; without it the command begins at the first word that is no option."""
    if "--" in words:
        at = words.index("--")
        return words[:at], words[at + 1 :]
    return [], words


def _self(*words: str) -> list[str]:
    return [sys.executable, "-IB", "-m", "converge", *words]


def _once(options: list[str]) -> int:
    """Run `converge --once`: nothing to read, and what it prints goes to stderr."""
    actions = [
        (os.POSIX_SPAWN_OPEN, 0, os.devnull, os.O_RDONLY, 0),
        (os.POSIX_SPAWN_DUP2, 2, 1),
    ]
    argv = _self("--once", *options)
    child = os.posix_spawn(argv[0], argv, os.environ, file_actions=actions, setsigdef=(_SIGPIPE,))
    return _wait_for(child)


def _wait_for(child: int) -> int:
    """Return a child's exit code; a request to stop is passed on to it, and ends us after it."""
    import signal

    stopped: list[int] = []

    def pass_on(number: int, _frame: object) -> None:
        stopped.append(number)
        os.kill(child, number)

    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        signal.signal(number, pass_on)
    code = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        signal.signal(number, signal.SIG_DFL)
    if stopped:
        sys.exit(128 + stopped[0])
    return code if code >= 0 else 128 - code


def _leave_agent(options: list[str]) -> tuple[int, int]:
    """Start the agent and wait for its first run; return that run's exit code and its process."""
    ready, theirs = os.pipe()
    between = os.fork()
    if between == 0:
        os.close(ready)
        _start_agent(options, theirs)
    os.close(theirs)
    os.waitpid(between, 0)
    with open(ready, encoding="ascii") as file:
        pid = int(file.readline() or 0)
        try:
            code = int(file.readline() or 1)
        except KeyboardInterrupt:
            _end(pid)
            raise
    return code, pid


def _start_agent(options: list[str], ready: int) -> None:
    """Be the process between: start the agent in a session of its own, say its id, end."""
    try:
        os.set_inheritable(ready, True)
        argv = _self("--ready-fd", str(ready), *options)
        actions = [
            (os.POSIX_SPAWN_OPEN, 0, os.devnull, os.O_RDONLY, 0),
            (os.POSIX_SPAWN_DUP2, 2, 1),
        ]
        pid = os.posix_spawn(
            argv[0], argv, os.environ, file_actions=actions, setsid=True, setsigdef=(_SIGPIPE,)
        )
        os.write(ready, b"%d\n" % pid)
    finally:
        os._exit(0)


def _end(agent: int) -> None:
    try:
        os.kill(agent, _SIGTERM)
    except ProcessLookupError:
        return


def _become(command: list[str]) -> int:
    """Replace this process by the command; return an exit code if that is impossible, as sh does."""
    import signal

    for number in (_SIGPIPE, _SIGXFSZ):  # Python ignores them, and exec would keep that
        signal.signal(number, signal.SIG_DFL)
    try:
        os.execvp(command[0], command)  # noqa: S606  an argv list, no shell
    except OSError as error:
        sys.stderr.write(f"converge: {command[0]}: {error.strerror}\n")
        return 127 if isinstance(error, FileNotFoundError) else 126
