"""`converge exec [OPTIONS] -- COMMAND…`: converge, leave the agent beside, become the command.

The command is exec'd, so it has this process's id, parent, terminal, environment and user, gets
the signals and gives its own exit code. What was given to us goes on to it as it was: descriptors,
signal dispositions and mask, directory, umask. (Two dispositions are set to their defaults, as Python
forgets what they were: SIGPIPE and SIGXFSZ.) The agent, if it is asked to stay (CONVERGE_RESIDENT),
is started by a process between that ends at once, so that it is PID 1's child; its first run is the
start's. Imports little: it stands before every start.
"""

from __future__ import annotations

import _signal  # type: ignore[import-not-found]  # signal.py costs milliseconds of every start
import os
import sys

TYPE_CHECKING = False  # typing costs milliseconds too
if TYPE_CHECKING:
    from typing import Any, NoReturn

_DEFAULT = (_signal.SIGPIPE, _signal.SIGXFSZ)  # Python ignores them, and exec would keep that
_STOPPING = (_signal.SIGTERM, _signal.SIGINT, _signal.SIGHUP)
_HELP = "usage: converge exec [OPTIONS of converge --] COMMAND [ARGUMENT …]"


def main(words: list[str]) -> int:
    """Return an exit code only if the command was not run."""
    options, command = _parse(words)
    if "-h" in options or "--help" in options:
        sys.stdout.write(f"{_HELP}\n")
        return 0
    if not command:
        _say(f"no command to run\n{_HELP}")
        return 1
    waiting = _Waiting()
    code, agent = _converge(options, waiting)
    refused = code != 0 and os.environ.get("CONVERGE_ON_FAILURE") != "continue"
    if agent and (refused or waiting.stopped):
        _end(agent, ask=not waiting.stopped)
    _reap()
    waiting.end()
    if refused:
        remedy = "CONVERGE_ON_FAILURE=continue would run it"
        _say(f"not converged (exit {code}), so the command is not run ({remedy})")
        return code
    return _become(command)


def _parse(words: list[str]) -> tuple[list[str], list[str]]:
    """Split at `--`; a first word that is no option begins the command, whatever is in that."""
    if words and not words[0].startswith("-"):
        return [], words
    at = words.index("--") if "--" in words else len(words)
    return words[:at], words[at + 1 :]


def _say(text: str) -> None:
    try:
        os.write(2, f"converge: {text}\n".encode(errors="backslashreplace"))
    except OSError:
        return  # nobody reads it


class _Waiting:
    """While the start waits, a request to stop goes to `pid` (as SIGTERM), and ends the start after it.

    Handlers are needed, as PID 1 has no default action; a signal that was ignored when it was given
    to us stays ignored. SIGCHLD is set to its default: ignored, it would hide how a child ended.
    """

    def __init__(self) -> None:
        self.pid = 0
        self.stopped: list[int] = []
        self._mask = _signal.pthread_sigmask(_signal.SIG_BLOCK, ())
        self._before = {n: _signal.getsignal(n) for n in (_signal.SIGCHLD, *_STOPPING)}
        _signal.signal(_signal.SIGCHLD, _signal.SIG_DFL)
        for number in _STOPPING:
            if self._before[number] != _signal.SIG_IGN:
                _signal.signal(number, self._pass_on)

    def _pass_on(self, number: int, _frame: object) -> None:
        self.stopped.append(number)
        if self.pid:
            try:
                os.kill(self.pid, _signal.SIGTERM)
            except (ProcessLookupError, PermissionError):
                return

    def hold(self) -> None:
        """Hold signals back until it is known whom to pass them on to."""
        _signal.pthread_sigmask(_signal.SIG_BLOCK, _STOPPING)

    def release(self) -> None:
        """Let signals come as before."""
        _signal.pthread_sigmask(_signal.SIG_SETMASK, self._mask)

    def end(self) -> None:
        """Set all signals as they were; exit with 128 + n if one has asked us to stop."""
        self.hold()
        late = _signal.sigpending() & (set(_STOPPING) - self._mask)
        for number, action in self._before.items():
            _signal.signal(number, action)
        if self.stopped or late:
            sys.exit(128 + int([*self.stopped, *late][0]))
        self.release()


def _converge(options: list[str], waiting: _Waiting) -> tuple[int, int]:
    """Do the start's run; return its exit code and the agent that stays (0: none)."""
    try:
        if os.environ.get("CONVERGE_RESIDENT", "").lower() not in ("1", "true", "yes", "on"):
            return _once(options, waiting), 0
        code, agent = _leave_agent(options, waiting)
    except OSError as error:
        _say(f"the agent cannot be started: {error.strerror}")
        return 1, 0
    if code is not None or waiting.stopped:
        return code or 0, agent
    if agent and _another_is_here(options):
        return _once([*options, "--wait", "60"], waiting), 0
    _say("the agent has ended before its first run did")
    return 1, 0


def _spawn(words: list[str], *, session: bool = False) -> int:
    """Start converge: nothing to read, what it prints goes to stderr, signals as in a fresh process."""
    actions: list[Any] = [(os.POSIX_SPAWN_OPEN, 0, os.devnull, os.O_RDONLY, 0)]
    actions += [(os.POSIX_SPAWN_DUP2, 2, 1) if sys.stderr else (os.POSIX_SPAWN_CLOSE, 1)]
    program = os.path.join(os.path.dirname(__file__), "__main__.py")  # not by -m: runpy costs 3 ms
    argv = [sys.executable, "-IB", program, *words]
    return os.posix_spawn(
        argv[0], argv, os.environ, file_actions=actions, setsid=session, setsigmask=(),
        setsigdef=(*_DEFAULT, _signal.SIGCHLD, *_STOPPING),
    )  # fmt: skip


def _once(options: list[str], waiting: _Waiting) -> int:
    """Run `converge --once` and return its exit code."""
    waiting.hold()
    waiting.pid = _spawn(["--once", *options])
    waiting.release()
    code = os.waitstatus_to_exitcode(os.waitpid(waiting.pid, 0)[1])
    waiting.pid = 0
    return code if code >= 0 else 128 - code


def _leave_agent(options: list[str], waiting: _Waiting) -> tuple[int | None, int]:
    """Start the agent; return its first run's exit code (None: it came to none) and its process."""
    ready, theirs = (_above_standard(fd) for fd in os.pipe())
    born, tell = (_above_standard(fd) for fd in os.pipe())
    if os.getppid() == 1:  # an init, and LXC's ends only when all that it has inherited has ended
        options = ["--beside", str(os.getpid()), *options]
    waiting.hold()
    between = os.fork()
    if between == 0:
        _start_agent(options, theirs, tell)
    os.close(theirs)
    os.close(tell)
    os.waitpid(between, 0)
    waiting.pid = agent = int(_line(born) or 0)
    waiting.release()
    code = _line(ready)
    waiting.pid = 0
    return int(code) if code else None, agent


def _line(fd: int) -> str:
    with open(fd, encoding="ascii") as file:
        return file.readline()


def _start_agent(options: list[str], ready: int, tell: int) -> NoReturn:
    """Be the process between: start the agent in a session of its own, say its id, end."""
    try:
        for name in os.listdir("/proc/self/fd"):  # what the command was given is not the agent's
            if int(name) > 2 and int(name) not in (ready, tell):
                os.closerange(int(name), int(name) + 1)  # which does not mind that it is closed
        os.set_inheritable(ready, True)
        agent = _spawn(["--ready-fd", str(ready), *options], session=True)
        os.write(tell, b"%d\n" % agent)
    except OSError as error:
        _say(f"the agent cannot be started: {error.strerror}")
    finally:
        os._exit(0)


def _another_is_here(options: list[str]) -> bool:
    """Tell whether an agent is resident already: left by a start before this one, or a service."""
    from converge import cli, client, config
    from converge.errors import ConvergeError

    try:
        wanted = {name: cli.parse(options).get(name) for name in ("root", "runtime_dir")}
        client.ask(config.load(wanted, os.environ), "status")
    except ConvergeError:
        return False
    return True


def _above_standard(fd: int) -> int:
    import fcntl  # for a descriptor that is none of stdin, stdout and stderr, should these be closed

    found = fcntl.fcntl(fd, fcntl.F_DUPFD_CLOEXEC, 3)
    os.close(fd)
    return found


def _end(agent: int, *, ask: bool) -> None:
    """Wait for the agent's end, ten seconds at most, so that the next start does not meet it."""
    import select

    try:
        fd = os.pidfd_open(agent)
        if ask:
            _signal.pidfd_send_signal(fd, _signal.SIGTERM)
    except OSError:
        return  # it has ended, or may not be ended by us
    select.select([fd], [], [], 10)  # seconds
    os.close(fd)


def _reap() -> None:
    """As PID 1, take the exit status of what a run has left behind, before the command inherits it."""
    try:
        while os.getpid() == 1 and os.waitpid(-1, os.WNOHANG)[0]:
            pass
    except ChildProcessError:
        return


def _environment() -> dict[bytes, bytes]:
    """Return the environment as it was given to us: Python puts LC_CTYPE into it (PEP 538)."""
    try:
        with open("/proc/self/environ", "rb") as file:
            pairs = [word.partition(b"=") for word in file.read().split(b"\0")]
    except OSError:
        return dict(os.environb)
    found = {name: value for name, equals, value in reversed(pairs) if equals and name}
    return dict(reversed(found.items()))  # in the order, and of two the first, as getenv(3) has it


def _become(command: list[str]) -> int:
    """Replace this process by the command; return an exit code if that is impossible, as sh does."""
    for number in _DEFAULT:
        _signal.signal(number, _signal.SIG_DFL)
    try:
        os.execvpe(command[0], command, _environment())  # noqa: S606  an argv list, no shell
    except OSError as error:
        _say(f"{command[0]}: {error.strerror}")
        return 127 if isinstance(error, FileNotFoundError) else 126
