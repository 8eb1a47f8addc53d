"""Starting a program that is to outlive the run: a session of its own, and nothing of the agent's.

A keeper, forked for the time of the start, is the program's parent: it learns the exit code if the
program ends, and where it ends first itself, the program becomes a child of PID 1, as a daemon
does, or of the resident agent, which reaps it. So it is never left a zombie, nor ended with us.
"""

from __future__ import annotations

import errno
import fcntl
import os
import signal
import stat
import time

from converge.errors import ApplyError, CannotManageError
from converge.files.attributes import refuse_foreign_link
from converge.files.paths import At
from converge.programs import keeper
from converge.programs.process import Context
from converge.record import Record

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from converge.read_only import ReadOnlySystem

_LOOK = 0.05  # seconds between two looks
_SETTLED = 1.0  # seconds that a program in the background has to stay
_DECLARE = "say in `process` or `pidfile` how it is found"
_MOST_OUTPUT = 64 << 10  # bytes that are kept of what a program says while it starts
_SHOWN = 2000  # characters of it that an error repeats


class Program(Record):
    """What to start: the absolute `path` of a program, its words, where and as whom.

    `stays`: it does not detach itself. `log`: the file that its output is appended to, or `container`,
    where that of PID 1 goes; None: what it says until it has detached is kept for an error, or goes
    nowhere if it stays.
    """

    path: str
    argv: Sequence[str]
    environment: Mapping[str, str]
    context: Context = Context()
    stays: bool = False
    log: str | None = None


def start(
    system: ReadOnlySystem, program: Program, ready: Callable[[], bool], timeout: float
) -> None:
    """Start a program and wait until `ready()` says so; it lives on as a child of PID 1.

    Raises OSError, ApplyError: it cannot be started, failed, or was not ready within `timeout`
    seconds.
    """
    if system.prefixed:
        raise CannotManageError(f"{program.path} is not started below --root {system.root}")
    output = None if program.log is None else _open_log(system, program.log)
    try:
        launched = _Launched(system, program, output)
    finally:
        if output is not None:
            os.close(output)
    try:
        _wait(launched, ready, timeout)
    finally:
        launched.release()
        system.forget()


def _open_log(system: ReadOnlySystem, path: str) -> int:
    """Return a descriptor that appends to a file, made if need be."""
    if path == "container":
        return os.open("/proc/1/fd/1", os.O_WRONLY | os.O_APPEND | os.O_NOCTTY | os.O_CLOEXEC)
    flags = os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
    with At(system.paths, path) as (folder_fd, name):
        fd = os.open(name, flags, 0o600, dir_fd=folder_fd)
        try:
            found = os.fstat(fd)
            if not stat.S_ISREG(found.st_mode):
                raise OSError(errno.EINVAL, "not a regular file", path)
            refuse_foreign_link(found, folder_fd, path)
            os.set_blocking(fd, True)
        except BaseException:
            os.close(fd)
            raise
    return fd


def _wait(launched: _Launched, ready: Callable[[], bool], timeout: float) -> None:
    stays, deadline, since = launched.program.stays, time.monotonic() + timeout, 0.0
    while True:
        launched.look()
        ended = launched.code is not None
        if launched.code or (ended and stays):
            raise ApplyError(launched.describe_end(), _remedy(launched))
        if (ended or stays) and ready():
            since = since or time.monotonic()
            if not stays or time.monotonic() - since >= _SETTLED:
                return
        else:
            since = 0.0
        if time.monotonic() > deadline:
            break
        time.sleep(_LOOK)
    if ended or stays:
        words = launched.words()
        said = f"; it said: {words}" if words else ""
        launched.end()  # or every run would start one more
        raise ApplyError(f"{launched.name} was started, but is not seen to run{said}", _DECLARE)
    launched.end()
    raise ApplyError(
        f"{launched.name} did not detach within {timeout:g} seconds",
        "set `background: true` if it stays in the foreground",
    )


def _remedy(launched: _Launched) -> str:
    if launched.code == 0:
        return "leave out `background: true` if it detaches itself"
    return "" if launched.program.log is None and not launched.program.stays else "see its `log`"


class _Launched:
    """A program that was started, and its keeper."""

    def __init__(self, system: ReadOnlySystem, program: Program, output: int | None) -> None:
        self.program = program
        self.name = os.path.basename(program.path)
        self.code: int | None = None
        self._pid = 0
        self._kept = _output_file() if output is None and not program.stays else None
        output = self._kept if output is None else output
        folder = system.paths.directory(program.context.folder)
        life, self._life = os.pipe2(os.O_CLOEXEC)
        self._news, news = os.pipe2(os.O_CLOEXEC)
        nowhere = os.open(os.devnull, os.O_RDWR | os.O_CLOEXEC)
        try:
            self._keeper = os.fork()
            if self._keeper == 0:
                os.close(self._life)
                output = nowhere if output is None else output
                keeper.keep(program, (folder, nowhere, output), life, news)
        except OSError as error:
            for fd in (self._life, self._news, self._kept):
                if fd is not None:
                    os.close(fd)
            raise ApplyError(f"{self.name} cannot be started: {error.strerror}") from error
        finally:
            for fd in (life, news, nowhere):
                os.close(fd)
        os.set_blocking(self._news, False)

    def look(self) -> None:
        """Take in what the keeper has told. Raises ApplyError if the program could not be started."""
        try:
            lines = os.read(self._news, 4096).decode().split("\n")
        except BlockingIOError:
            return
        for line in lines:
            what, _, value = line.partition(" ")
            if what == "pid":
                self._pid = int(value)
            elif what == "code":
                self.code = int(value)
            elif what == "error":
                raise ApplyError(f"{self.program.path} cannot be started: {value}")

    def words(self) -> str:
        """Return the end of what it has said."""
        if self._kept is None:
            return ""
        data = os.pread(self._kept, _MOST_OUTPUT, 0).rstrip(b"\0")
        return data.decode(errors="replace").strip()[-_SHOWN:]

    def describe_end(self) -> str:
        """Say how it ended."""
        code = self.code or 0
        how = f"was ended by signal {-code}" if code < 0 else f"exit {code}"
        words = self.words()
        return f"{self.name}: {how}{': ' if words else ''}{words}"

    def end(self) -> None:
        """End it and what it started in its session, as it is not what was declared."""
        if self._pid and self.code is None:
            try:
                os.killpg(self._pid, signal.SIGKILL)
            except ProcessLookupError:
                return

    def release(self) -> None:
        """Let the keeper go, and with it the program."""
        os.close(self._life)
        os.waitpid(self._keeper, 0)
        os.close(self._news)
        if self._kept is not None:
            os.close(self._kept)


def _output_file() -> int:
    """Return a file in memory that cannot grow: a daemon that keeps it open fills nothing."""
    fd = os.memfd_create("output", os.MFD_CLOEXEC | os.MFD_ALLOW_SEALING)
    os.ftruncate(fd, _MOST_OUTPUT)
    fcntl.fcntl(fd, fcntl.F_ADD_SEALS, fcntl.F_SEAL_GROW | fcntl.F_SEAL_SHRINK)
    return fd
