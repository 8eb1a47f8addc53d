"""supervisord, by supervisorctl, which knows from the configuration how to reach it."""

from __future__ import annotations

import time

from converge.errors import ApplyError
from converge.provider import Unmanageable
from converge_resources.services import RUNNING, STARTING, STOPPED, STOPPING, Found, Manager
from converge_resources.services.procs import Processes
from converge_resources.services.servicedir import process

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from converge.system import ReadOnlySystem, System
    from converge_resources.service import ServiceSpec

_LOOK = 0.2  # seconds
_STATES = {"RUNNING": RUNNING, "STARTING": STARTING, "BACKOFF": STARTING, "STOPPING": STOPPING}
_ALL = {*_STATES, "STOPPED", "EXITED", "FATAL", "UNKNOWN"}


class Supervisord(Manager):
    """Programs of supervisord, by the names that `supervisorctl status` shows."""

    name = "supervisord"

    def __init__(self, system: ReadOnlySystem) -> None:
        super().__init__(system)
        self._told: dict[str, Found] | None = None
        self._trouble = ""
        self._processes = Processes(system)

    def has(self, spec: ServiceSpec) -> bool:
        """Tell whether a supervisord runs here that has the program."""
        if self.system.which("supervisorctl") is None:
            return False
        if not any(self._processes.matching("supervisord")):
            return False
        return spec.name in self.programs()

    def look(self, specs: Sequence[ServiceSpec]) -> Mapping[str, Found | Unmanageable]:
        """Return the states of these programs; one that is not known yet is stopped."""
        told = self.programs()
        if self._trouble:
            return dict.fromkeys((spec.name for spec in specs), self._unreachable())
        return {spec.name: told.get(spec.name, Found(status=STOPPED)) for spec in specs}

    def start(self, spec: ServiceSpec, system: System) -> None:
        """Start it, and wait until it stays; a program that is new in the configuration is taken up."""
        if spec.name not in self.programs():
            self._control("update", spec.name.partition(":")[0], spec, system)
        self._control("start", spec.name, spec, system)
        deadline = time.monotonic() + spec.timeout
        while self._look_again(spec.name) == STARTING and time.monotonic() < deadline:
            time.sleep(_LOOK)  # it began by itself when it was taken up

    def stop(self, spec: ServiceSpec, system: System) -> None:
        """Stop it."""
        self._control("stop", spec.name, spec, system)

    def restart(self, spec: ServiceSpec, system: System) -> None:
        """Restart it."""
        self._control("restart", spec.name, spec, system)

    def _look_again(self, name: str) -> str:
        self._told = None
        return self.programs().get(name, Found(status=STOPPED)).status

    def _control(self, verb: str, name: str, spec: ServiceSpec, system: System) -> None:
        argv = [self._program(), verb, name]
        answer = system.run(argv, timeout=spec.timeout)
        wrong = "ERROR" in answer.out and "ERROR (already started)" not in answer.out
        if answer.code != 0 or wrong:
            words = answer.out.strip() or answer.err.strip()
            raise ApplyError(f"supervisorctl {verb}: {words}")

    def _program(self) -> str:
        program = self.system.which("supervisorctl")
        if program is None:
            raise ApplyError("there is no program supervisorctl", "install supervisor")
        return program

    def programs(self) -> dict[str, Found]:
        """Return what supervisord tells of all its programs, asked once."""
        if self._told is None:
            answer = self.system.query([self._program(), "status"])
            lines = [line.split() for line in answer.out.split("\n")]
            self._told = {
                words[0]: self._found(words)
                for words in lines
                if len(words) > 1 and words[1] in _ALL
            }
            if not self._told and answer.code not in (0, 3):
                self._trouble = (answer.out.strip() or answer.err.strip())[:200]
        return self._told

    def _found(self, words: list[str]) -> Found:
        pid = words[3].rstrip(",") if words[2:3] == ["pid"] else ""
        return Found(status=_STATES.get(words[1], STOPPED), processes=process(pid, self.system))

    def _unreachable(self) -> Unmanageable:
        return Unmanageable(
            reason=f"supervisord does not answer: {self._trouble}",
            remedy="start supervisord with the container",
        )
