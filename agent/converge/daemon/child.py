"""The worker's process: a new one for each run, with a process group and a deadline of its own.

Whatever it does (crash, hang, leak, be killed for memory), the supervisor goes on.
"""

from __future__ import annotations

import os
import time

from converge.daemon import kernel
from converge.daemon.options import Options, memory_file
from converge.daemon.watches import is_record

GRACE = 8.0  # seconds between the request to stop and the kill: `docker stop` gives ten in all
_MOST = 16 << 20  # bytes of a result
_PIECE = 1 << 16  # bytes that are read at once
_PIPE = 1 << 20  # bytes that a pipe holds at most, when the worker has ended
# Not by -m, whose runpy costs 3 ms.
_WORKER = "from converge.worker import main; main()"
_PIPE_FD = 3  # a child's descriptor of the pipe between us


def now() -> float:
    """Return CLOCK_BOOTTIME, which counts suspended time too and never jumps."""
    return time.clock_gettime(time.CLOCK_BOOTTIME)


def spawn(options: Options, code: str, words: tuple[str, ...], pipe: int) -> int:
    """Start a Python of our own that runs `code`, in a process group of its own; return its id.

    Its stdin holds what it is to do (verb, reason, our id, more words) and the settings, its stdout
    is our stderr, and its descriptor 3 is `pipe`. Raises OSError (EAGAIN: too many processes).
    """
    verb, reason, *more = words
    head = "\0".join((verb, reason, str(os.getpid()), *more)).encode(errors="surrogateescape")
    request = memory_file(b"%d\n" % len(head) + head + options.blob)
    try:
        return os.posix_spawn(
            options.program, [options.program, "-I", "-c", code], os.environ,
            setpgroup=0, setsigmask=(),
            setsigdef=(kernel.SIGTERM, kernel.SIGINT, kernel.SIGHUP, kernel.SIGUSR1, 13),
            file_actions=[
                (os.POSIX_SPAWN_DUP2, request, 0), (os.POSIX_SPAWN_DUP2, 2, 1),
                (os.POSIX_SPAWN_DUP2, pipe, _PIPE_FD),
            ],
        )  # fmt: skip
    finally:
        os.close(request)


class Child:
    """A worker that runs. `result` is the descriptor to read from; `deadline` a time or None."""

    def __init__(
        self, options: Options, verb: str, reason: str = "", paths: tuple[str, ...] = ()
    ) -> None:
        """Start it. Raises OSError (EAGAIN: too many processes)."""
        self.verb, self.reason, self.paths = verb, reason, paths
        self.began = now()
        self.deadline = self.began + options.deadline
        self.asked_to_stop = self.killed = self.late = False
        self.trouble = ""  # with its result
        self._words = bytearray()
        self.result, write = os.pipe2(os.O_CLOEXEC | os.O_NONBLOCK)
        try:
            os.set_blocking(write, True)
            self.pid = spawn(options, _WORKER, (verb, reason, *paths), write)
        except BaseException:
            os.close(self.result)
            raise
        finally:
            os.close(write)

    def read(self) -> bool:
        """Take in a part of what it has said; return whether there was any.

        Only a part, so that one who never ends does not hold us up. At the end `result` is closed
        (-1), and for one who says too much.
        """
        if self.result < 0:
            return False
        try:
            data = os.read(self.result, _PIECE)
        except BlockingIOError:
            return False
        self._words += data
        if len(self._words) > _MOST:
            self._words.clear()
            self.trouble = f"gave a result of more than {_MOST} bytes"
        if self.trouble or not data:
            self._close()
        return bool(data)

    def answer(self) -> list[str] | None:
        """Return its whole result, once it has ended; None if it did not get to one."""
        for _ in range(_PIPE // _PIECE + 1):
            if not self.read():
                break
        self._close()
        words, self._words = self._words, bytearray()
        if not words.endswith(b"\0end\0"):
            return None
        answer = words.decode(errors="surrogateescape").split("\0")[:-2]
        if self.verb == "run" and not _makes_sense(answer):
            self.trouble = "gave a result that makes no sense"
            return None
        return answer

    def how_it_ended(self, status: int) -> str:
        """Say how it ended, when it gave no result. `status`: negative is a signal's number."""
        if self.late:
            return (
                f"the worker was past its deadline and was ended after {now() - self.began:.0f} s"
            )
        if self.killed:
            return "the worker was killed, as it did not stop when it was asked to"
        if self.trouble:
            return f"the worker {self.trouble}"
        if status == -kernel.SIGKILL:
            return "the worker was killed by signal 9, perhaps for want of memory"
        if status < 0:
            return f"the worker was ended by signal {-status}"
        return f"the worker exited with {status}"

    def stop(self) -> None:
        """Ask it to finish the resource that it is at; it is killed if it takes too long."""
        if not self.asked_to_stop:
            self.asked_to_stop = True
            self.deadline = now() + GRACE
            _signal(self.pid, kernel.SIGTERM)

    def overdue(self) -> None:
        """Act on a deadline that has passed: ask first, then kill."""
        if self.asked_to_stop:
            self.kill()
        else:
            self.late = True
            self.stop()

    def kill(self) -> None:
        """End it and everything that it started, now."""
        self.killed = True
        self.deadline = now() + GRACE  # again, should it be stuck in the kernel
        family = _descendants(self.pid)
        _signal(-self.pid, kernel.SIGKILL)
        for pid in [self.pid, *family]:
            _signal(pid, kernel.SIGKILL)

    def _close(self) -> None:
        if self.result >= 0:
            os.close(self.result)
            self.result = -1


def _makes_sense(answer: list[str]) -> bool:
    """Tell whether this is the result of a run: code, run, whole or partial, failed or idle, records."""
    if len(answer) < 4:
        return False
    code, run, whole, failed, *records = answer
    return (
        code.isdecimal()
        and len(code) < 4
        and "\n" not in run
        and whole in ("whole", "partial")
        and failed in ("", "failed", "idle")
        and all(map(is_record, records))
    )


def _signal(pid: int, number: int) -> None:
    try:
        os.kill(pid, number)
    except ProcessLookupError:
        return
    except PermissionError:
        return  # a set-user-ID program that it started


def _descendants(pid: int) -> list[int]:
    """Return the processes below this one, from /proc (children: CONFIG_PROC_CHILDREN)."""
    found: list[int] = []
    try:
        with open(f"/proc/{pid}/task/{pid}/children", encoding="ascii") as file:
            children = [int(word) for word in file.read().split()]
    except OSError:
        return found
    for child in children:
        found += [child, *_descendants(child)]
    return found
