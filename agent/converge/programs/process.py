"""The one place that runs a program to its end: an argv list, a fixed environment, a deadline."""

from __future__ import annotations

import os

from converge.errors import ApplyError
from converge.record import Record
from converge.textdiff import masked

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from subprocess import Popen

SEARCH_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
ENVIRONMENT = {
    "PATH": SEARCH_PATH,
    "LANG": "C.UTF-8",
    "LC_ALL": "C.UTF-8",
    "DEBIAN_FRONTEND": "noninteractive",
}
_SHOWN = 2000  # characters of a program's words that an error repeats
_LOOK = 0.5  # seconds after which we look whether the program itself has ended
_LOOK_CLOSELY = 0.05  # the same, where it may not print more than so much


class Context(Record):
    """Where and as whom a program runs; None: as the agent. `groups` are the supplementary ones."""

    folder: str = "/"
    umask: int = 0o022
    uid: int | None = None
    gid: int | None = None
    groups: tuple[int, ...] | None = None


class Completed(Record):
    """What a program answered. A negative code is the signal that ended it."""

    argv: tuple[str, ...]
    code: int
    out: str
    err: str

    def check(self) -> Completed:
        """Return self; raise ApplyError with the program's own words if it did not exit with 0."""
        if self.code != 0:
            words = masked(self.err.strip() or self.out.strip())[-_SHOWN:]
            how = f"was ended by signal {-self.code}" if self.code < 0 else f"exit {self.code}"
            raise ApplyError(
                f"{os.path.basename(self.argv[0])}: {how}{': ' if words else ''}{words}"
            )
        return self


def which(program: str) -> str | None:
    """Return a program's absolute path by our own search path; None: it is not here."""
    for folder in SEARCH_PATH.split(":"):
        path = f"{folder}/{program}"
        if os.access(path, os.X_OK) and not os.path.isdir(path):
            return path
    return None


def run(
    argv: Sequence[str],
    *,
    timeout: float,
    stdin: bytes = b"",
    environment: Mapping[str, str] | None = None,
    context: Context | None = None,
    most: int | None = None,
) -> Completed:
    """Run a program by its absolute path and wait; its whole process group dies at the deadline.

    `timeout` is in seconds. `most` is the number of bytes that it may print; it dies soon after it
    has printed more. Raises ApplyError if it cannot be started, takes too long or prints too much.
    """
    child = _start(argv, {**ENVIRONMENT, **(environment or {})}, context or Context())
    with child:  # closes the pipes
        try:
            out, err = _communicate(child, argv[0], stdin, timeout, most)
        except BaseException:
            _end_group(child.pid)
            raise
    return Completed(
        argv=tuple(argv),
        code=child.returncode,
        out=out.decode(errors="replace"),
        err=err.decode(errors="replace"),
    )


def _start(argv: Sequence[str], environment: Mapping[str, str], context: Context) -> Popen[bytes]:
    import subprocess

    try:
        return subprocess.Popen(
            list(argv),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            env=environment,
            cwd=context.folder,
            start_new_session=True,
            umask=context.umask,
            user=context.uid,
            group=context.gid,
            extra_groups=context.groups,
        )
    except (OSError, ValueError) as error:  # ValueError: a NUL in a word, an id out of range
        why = getattr(error, "strerror", None) or error
        raise ApplyError(f"{argv[0]} cannot be started: {why}") from error


def _communicate(
    child: Popen[bytes], program: str, stdin: bytes, timeout: float, most: int | None
) -> tuple[bytes, bytes]:
    """Return what a program wrote until it ended, though a daemon of its may keep the pipes open.

    Raises ApplyError at the deadline, or when it has printed more than `most` bytes.
    """
    import subprocess
    import time

    deadline = time.monotonic() + timeout
    look = _LOOK if most is None else _LOOK_CLOSELY
    ended = False
    while True:
        left = deadline - time.monotonic()
        try:
            out, err = child.communicate(stdin, _LOOK if ended else max(min(left, look), 0))
            _check_size(program, out, most)
            return out, err
        except subprocess.TimeoutExpired as slow:
            _check_size(program, slow.output or b"", most)
            if ended:
                return slow.output or b"", slow.stderr or b""
            ended = child.poll() is not None  # then once more, for its last words
            if not ended and left <= look:
                raise ApplyError(f"{program} took longer than {timeout:g} seconds") from None
            stdin = b""  # communicate() goes on with what it was given first


def _check_size(program: str, out: bytes, most: int | None) -> None:
    if most is not None and len(out) > most:
        raise ApplyError(f"{program} printed more than {most} bytes")


def _end_group(pid: int) -> None:
    import signal

    try:
        os.killpg(pid, signal.SIGKILL)
    except ProcessLookupError:
        return
