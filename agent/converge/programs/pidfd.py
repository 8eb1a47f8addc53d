"""Signals that reach the process that was meant, and no later one with the same id (pidfd_open(2))."""

from __future__ import annotations

import errno
import os
import signal

from converge.errors import CannotManageError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from converge.read_only import ReadOnlySystem

_NO_PIDFD = (errno.ENOSYS, errno.EPERM)  # older kernels and gVisor; an old seccomp filter


def send(system: ReadOnlySystem, pid: int, started: int, number: int) -> bool:
    """Send a signal to the process that began at `started`; False: it has ended.

    `started` is in clock ticks since boot, field 22 of /proc/PID/stat (proc_pid_stat(5)). Raises
    OSError (EPERM), CannotManageError (below a root prefix).
    """
    if system.prefixed:
        raise CannotManageError(f"process {pid} is not signalled below --root {system.root}")
    try:
        fd = os.pidfd_open(pid)
    except ProcessLookupError:
        return False
    except OSError as error:
        if error.errno not in _NO_PIDFD:
            raise
        return _send_by_id(pid, started, number)
    try:
        if started_at(pid) != started:
            return False
        signal.pidfd_send_signal(fd, number)
    except ProcessLookupError:
        return False
    finally:
        os.close(fd)
    return True


def started_at(pid: int) -> int | None:
    """Return when a process began, in ticks since boot; None: there is no such process."""
    try:
        with open(f"/proc/{pid}/stat", encoding="ascii", errors="replace") as file:
            return int(file.read().rpartition(") ")[2].split()[19])
    except (OSError, IndexError):
        return None


def _send_by_id(pid: int, started: int, number: int) -> bool:
    """As `send`, where the kernel has no pidfd: looked at just before."""
    if started_at(pid) != started:
        return False
    try:
        os.kill(pid, number)
    except ProcessLookupError:
        return False
    return True
