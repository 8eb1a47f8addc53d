"""Pid files: whose they are, and whether the process that they name is still the one that wrote them.

Process ids begin again in every container, so that a file left by an earlier start names some other
process. A daemon writes the file after it began; a process that began later is another one.
"""

from __future__ import annotations

import os
import stat
import time

TYPE_CHECKING = False
if TYPE_CHECKING:
    from converge.system import ReadOnlySystem, System
    from converge_resources.service import ServiceSpec
    from converge_resources.services.procs import Process, Processes

_SLACK = 2.0  # seconds: of two clocks, one in ticks
_MOST = 4096  # bytes
_ID_DIGITS = 10


def process(
    spec: ServiceSpec, uid: int, system: ReadOnlySystem, processes: Processes
) -> Process | None:
    """Return the process that a service's pid file names; None: none, or another one by now.

    `uid`: whose it has to be, unless the file alone can be believed. Raises OSError.
    """
    path = spec.pidfile or ""
    text = (system.read(path, limit=_MOST) or b"").strip()
    first = text.split()[0] if text else b""
    if not first.isdigit() or len(first) > _ID_DIGITS:
        return None
    one = processes.all.get(int(first))
    if one is None or one.pid in processes.own():
        return None
    believed = _believable(path, system) and not (spec.user or spec.runs_as)
    if not believed and processes.user(one.pid) != uid:
        return None
    if spec.process is not None:
        return one if processes.matches(one, spec.process) else None
    if not _believable(path, system):
        return one if processes.matches(one, spec.name) else None
    return one if _began_before(one, path, system) or _is_named(one, spec) else None


def remove_stale(path: str, system: System) -> None:
    """Remove a file that names no process of the service: some daemons do not start beside it."""
    found = system.lstat(path)
    if found is not None and stat.S_ISREG(found.st_mode) and _believable(path, system):
        system.remove(path, backup=False)


def _believable(path: str, system: ReadOnlySystem) -> bool:
    """Tell whether nobody but root and the agent's own user can have put the file there."""
    folder, file = system.lstat(os.path.dirname(path) or "/"), system.lstat(path)
    if folder is None or file is None:
        return False
    if stat.S_ISLNK(folder.st_mode):  # /var/run; trusted, or it could not have been read
        folder = os.stat(system.paths.directory(os.path.dirname(path)))
    ours = (0, system.uid)
    closed = folder.st_uid in ours and not folder.st_mode & 0o022
    return closed and file.st_uid in ours and not file.st_mode & 0o022


def _began_before(one: Process, path: str, system: ReadOnlySystem) -> bool:
    found = system.lstat(path)
    if found is None:
        return False
    booted = time.time() - time.clock_gettime(time.CLOCK_BOOTTIME)
    return booted + one.started / os.sysconf("SC_CLK_TCK") <= found.st_mtime + _SLACK


def _is_named(one: Process, spec: ServiceSpec) -> bool:
    """Tell whether it goes by the service's name: the clock may have been set since."""
    return one.name == spec.name[:15]
