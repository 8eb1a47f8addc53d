"""What runs, as it would be declared: services of a supervisor, and daemons of nobody's."""

from __future__ import annotations

import os

from converge.declared import Declared
from converge.errors import ConvergeError
from converge_resources.paths.owners import Owners
from converge_resources.services.procs import Processes
from converge_resources.services.runit import Runit
from converge_resources.services.s6 import S6
from converge_resources.services.supervisord import Supervisord

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import Any

    from converge.declared import Asked
    from converge.system import ReadOnlySystem
    from converge_resources.services.procs import Process

_INITS = ("tini", "docker-init", "podman-init", "catatonit", "dumb-init", "conmon", "s6-svscan",
    "runsvdir", "supervisord", "s6-linux-init")  # fmt: skip
_SUPERVISORS = ("s6-supervise", "runsv")
_UNKNOWN_START = (
    "how it was started is not to be seen; to have it started again, say it:",
    "start: [{}]",
)


def declare(asked: Asked, system: ReadOnlySystem) -> Iterator[Declared]:
    """Yield these services, or all that run."""
    if asked.changed:
        return
    found = {one.name: one for one in (*_supervised(system), *_daemons(system))}
    for name in asked.names or found:
        missing = Declared(kind="service", name=name, reason="nothing of this name runs")
        yield found.get(name, missing)


def _supervised(system: ReadOnlySystem) -> Iterator[Declared]:
    for manager in (S6(system), Runit(system)):
        for place in manager.scanned:
            for name in system.list(place):
                if manager.supervised(f"{place}/{name}") and not name.startswith("."):
                    yield from _of(name, manager.name, manager, f"{place}/{name}")
    if system.which("supervisorctl") and any(Processes(system).matching("supervisord")):
        for name in Supervisord(system).programs():
            yield Declared(kind="service", name=name, attributes={"manager": "supervisord"})


def _of(name: str, kind: str, manager: S6 | Runit, folder: str) -> Iterator[Declared]:
    """Yield one service of a scanned directory, running or stopped."""
    try:
        status = manager.status([folder])[folder]
    except (OSError, ConvergeError):
        return
    if status is not None:
        state = {} if status.status == "running" else {"state": "stopped"}
        yield Declared(kind="service", name=name, attributes={"manager": kind, **state})


def _daemons(system: ReadOnlySystem) -> Iterator[Declared]:
    """Yield the plain processes that PID 1 is the parent of, without PID 1 and the agent."""
    processes, owners = Processes(system), Owners(system)
    main, own = processes.main(), processes.own()
    for one in processes.all.values():
        if one.parent != 1 or one.pid in (1, main, *own) or _is_init(one):
            continue
        if not _has_terminal(one, system):
            yield _daemon(one, processes, owners)


def _is_init(one: Process) -> bool:
    return one.name in (*_INITS, *_SUPERVISORS)


def _has_terminal(one: Process, system: ReadOnlySystem) -> bool:
    try:
        text = system.text(f"/proc/{one.pid}/stat", follow=False)
    except OSError:
        return True  # it has ended
    words = text.rpartition(") ")[2].split()
    return len(words) < 5 or words[4] != "0"


def _daemon(one: Process, processes: Processes, owners: Owners) -> Declared:
    program = processes.program(one.pid) or one.argv[0]
    uid = processes.user(one.pid) or 0
    attributes: dict[str, Any] = {"manager": "process", "process": one.name}
    if uid != os.geteuid():
        attributes["runs_as"] = owners.spelled("user", None, uid)
    start = tuple(line.format(program) for line in _UNKNOWN_START)
    return Declared(kind="service", name=one.name, attributes=attributes, comments=start)
