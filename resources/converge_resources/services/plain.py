"""A plain process, kept running by nobody: found by its pid file or its name, signalled by its id."""

from __future__ import annotations

import signal
import time

from converge.errors import ApplyError, CannotManageError
from converge.probe import CAP_KILL, CAP_SETGID, CAP_SETUID
from converge.provider import Unmanageable
from converge_resources.paths.owners import Owners
from converge_resources.services import RUNNING, STOPPED, Found, Manager, pidfile
from converge_resources.services.procs import Processes
from converge_resources.services.starting import start

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from converge.system import ReadOnlySystem, System
    from converge_resources.service import ServiceSpec
    from converge_resources.services.procs import Process

_LOOK = 0.05  # seconds between two looks at what is to end
_ANEW = 1.0  # seconds in which a daemon that starts itself anew writes its pid file again
_AFTER_KILL = 5.0  # seconds in which the kernel ends what was killed


class Plain(Manager):
    """Starts, finds, signals and ends processes itself."""

    name = "process"

    def __init__(self, system: ReadOnlySystem) -> None:
        super().__init__(system)
        self._processes = Processes(system)
        self._owners = Owners(system)

    def has(self, spec: ServiceSpec) -> bool:
        """Any service may be a plain process."""
        return True

    def look(self, specs: Sequence[ServiceSpec]) -> Mapping[str, Found | Unmanageable]:
        """Find the processes of each."""
        return {spec.name: self._look(spec) for spec in specs}

    def _look(self, spec: ServiceSpec) -> Found | Unmanageable:
        wanted = spec.runs_as or spec.user
        uid = self._owners.uid(wanted) if wanted is not None else self.system.uid
        if uid is None:
            return Found(status=STOPPED)  # nothing runs as a user that is not there yet
        hidden = self._processes.hidden(uid)
        if hidden is not None:
            return hidden
        if spec.pidfile is not None:
            found = self._by_pidfile(spec, spec.pidfile, uid)
        else:
            pattern = spec.process or spec.name
            found = [p for p in self._processes.matching(pattern) if self._is_of(p.pid, uid)]
        ids = {one.pid for one in found}
        tops = tuple((one.pid, one.started) for one in found if one.parent not in ids)
        return Found(status=RUNNING if tops else STOPPED, processes=tops)

    def _by_pidfile(self, spec: ServiceSpec, path: str, uid: int) -> list[Process]:
        """Return the one that the file names. sshd, told by HUP, removes the file for a moment."""
        deadline = time.monotonic() + _ANEW
        missing = self.system.lstat(path) is None
        while True:
            one = pidfile.process(spec, uid, self.system, self._processes)
            if one is not None:
                return [one]
            named = self._processes.matching(spec.process or spec.name) if missing else ()
            if time.monotonic() > deadline or not any(self._is_of(p.pid, uid) for p in named):
                return []
            time.sleep(_LOOK)
            self._processes = Processes(self.system)

    def _is_of(self, pid: int, uid: int) -> bool:
        return self._processes.user(pid) == uid

    def obstacle(self, spec: ServiceSpec, found: Found) -> Unmanageable | None:
        """Say why it may not be started, or stopped, here."""
        if spec.state == "stopped":
            return self._obstacle_of_stop(found)
        if spec.start is None:
            return Unmanageable(
                reason="it does not run, and nothing here can start it",
                remedy="declare `start`, or the `manager` that will have it",
            )
        uid = self._owners.uid(spec.user) if spec.user is not None else self.system.uid
        may = self.system.capable(CAP_SETUID) and self.system.capable(CAP_SETGID)
        if uid not in (None, self.system.uid) and not may:
            return Unmanageable(
                reason=f"starting it as {spec.user} needs CAP_SETUID and CAP_SETGID",
                remedy="run as root with these, or as that user",
            )
        return None

    def _obstacle_of_stop(self, found: Found) -> Unmanageable | None:
        main = self._processes.main()
        for pid, _ in found.processes:
            if pid in (1, main):
                return Unmanageable(
                    reason=f"process {pid} is the container's main process: it ends with it",
                    remedy="stop the container instead",
                )
            if self._processes.user(pid) != self.system.uid and not self.system.capable(CAP_KILL):
                return Unmanageable(
                    reason=f"ending process {pid}, of another user, needs CAP_KILL",
                    remedy="run with --cap-add KILL, or as that user",
                )
        return None

    def start(self, spec: ServiceSpec, system: System) -> None:
        """Run `start`, and wait until the process is seen."""
        if spec.start is None:
            raise CannotManageError(
                "it does not run, and nothing here can start it", "declare `start`"
            )
        if spec.pidfile is not None:
            pidfile.remove_stale(spec.pidfile, system)
        start(spec.start, spec, system, self._runs, stays=spec.background)

    def stop(self, spec: ServiceSpec, system: System) -> None:
        """Run `stop`, or send the signal; kill what has not ended in time."""
        found = self._found(spec, system)
        obstacle = self._obstacle_of_stop(found)
        if obstacle is not None:
            raise CannotManageError(obstacle.reason, obstacle.remedy)
        family = _descendants(found, Processes(system.read_only()))
        if spec.stop is not None:
            from converge_resources.services.starting import run

            run(spec.stop, spec, system)
        else:
            _signal(found.processes, signal.Signals[f"SIG{spec.stop_signal}"], system)
        if _ended(found.processes, spec.timeout, system):
            return
        _signal((*found.processes, *family), signal.SIGKILL, system)
        if not _ended(found.processes, _AFTER_KILL, system):
            raise ApplyError(f"process {found.processes[0][0]} does not end, not even by SIGKILL")

    def restart(self, spec: ServiceSpec, system: System) -> None:
        """Run `restart`, or stop it and start it."""
        if spec.restart is not None:
            start(spec.restart, spec, system, self._runs)
            return
        if spec.start is None:
            raise ApplyError(
                "it cannot be restarted", "declare `notify_signal`, `reload`, `restart` or `start`"
            )
        self.stop(spec, system)
        self.start(spec, system)

    def _found(self, spec: ServiceSpec, system: System) -> Found:
        system.forget()
        found = Plain(system.read_only()).look([spec])[spec.name]
        return found if isinstance(found, Found) else Found(status=STOPPED)

    def _runs(self, spec: ServiceSpec, system: System) -> bool:
        return self._found(spec, system).status == RUNNING


def _signal(processes: Sequence[tuple[int, int]], number: int, system: System) -> None:
    for pid, started in processes:
        system.signal(pid, started, number)


def _descendants(found: Found, processes: Processes) -> list[tuple[int, int]]:
    ids = {pid for pid, _ in found.processes}
    below: list[tuple[int, int]] = []
    for one in sorted(processes.all.values(), key=lambda one: one.started):
        if one.parent in ids:
            ids.add(one.pid)
            below.append((one.pid, one.started))
    return below


def _ended(processes: Sequence[tuple[int, int]], timeout: float, system: System) -> bool:
    """Wait until none of these is there any more; False: not within `timeout` seconds."""
    deadline = time.monotonic() + timeout
    while True:
        system.forget()
        alive = Processes(system.read_only()).all
        if not any(pid in alive and alive[pid].started == began for pid, began in processes):
            return True
        if time.monotonic() > deadline:
            return False
        time.sleep(_LOOK)
