"""systemd (systemctl(1)), where it is the init: in system containers and virtual machines."""

from __future__ import annotations

import time

from converge.errors import ApplyError
from converge.provider import Unmanageable
from converge_resources.services import RUNNING, STARTING, STOPPED, STOPPING, Found, Manager
from converge_resources.services.servicedir import process

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from converge.system import ReadOnlySystem, System
    from converge_resources.service import ServiceSpec

_BOOTED = "/run/systemd/system"  # sd_booted(3)
_SUFFIXES = (".service", ".socket", ".timer", ".path", ".target", ".mount")
_PROPERTIES = "--property=LoadState,ActiveState,MainPID,NeedDaemonReload,Type"
# Units of these types are active once their process is there: it may end at once (systemd.service(5)).
_UNTOLD = ("simple", "exec", "idle")
_STAYS = 1  # second
_STATES = {
    "active": RUNNING, "reloading": RUNNING, "refreshing": RUNNING, "activating": STARTING,
    "deactivating": STOPPING,
}  # fmt: skip


class Systemd(Manager):
    """Units of systemd."""

    name = "systemd"

    def __init__(self, system: ReadOnlySystem) -> None:
        super().__init__(system)
        self._told: dict[str, dict[str, str]] = {}

    def prepare(self, specs: Sequence[ServiceSpec]) -> None:
        """Ask for all of them at once."""
        if self.system.lstat(_BOOTED) is not None and self.system.which("systemctl") is not None:
            self._ask([_unit(spec) for spec in specs])

    def has(self, spec: ServiceSpec) -> bool:
        """Tell whether systemd is the init here, and knows the unit."""
        if self.system.lstat(_BOOTED) is None or self.system.which("systemctl") is None:
            return False
        return self._ask([_unit(spec)])[0].get("LoadState") == "loaded"

    def look(self, specs: Sequence[ServiceSpec]) -> Mapping[str, Found | Unmanageable]:
        """Ask for all of them at once."""
        if self.system.lstat(_BOOTED) is None:
            why = Unmanageable(reason="systemd is not the init here", remedy="leave `manager` out")
            return {spec.name: why for spec in specs}
        told = self._ask([_unit(spec) for spec in specs])
        return {spec.name: self._found(one) for spec, one in zip(specs, told, strict=True)}

    def start(self, spec: ServiceSpec, system: System) -> None:
        """Start it; a unit that is new or changed is read first."""
        (told,) = self._ask([_unit(spec)])
        if told.get("LoadState") == "not-found" or told.get("NeedDaemonReload") == "yes":
            system.run([self._program(), "daemon-reload"]).check()
        self._control("start", spec, system)
        self._stays(spec)

    def stop(self, spec: ServiceSpec, system: System) -> None:
        """Stop it."""
        self._control("stop", spec, system)

    def restart(self, spec: ServiceSpec, system: System) -> None:
        """Restart it."""
        self._control("restart", spec, system)
        self._stays(spec)

    def _control(self, verb: str, spec: ServiceSpec, system: System) -> None:
        argv = [self._program(), "--no-ask-password", verb, "--", _unit(spec)]
        system.run(argv, timeout=spec.timeout).check()

    def _stays(self, spec: ServiceSpec) -> None:
        """Tell a process that ends as soon as it is started from a service that runs."""
        began = self._ask_again(spec)
        if began.get("Type") not in _UNTOLD or began.get("ActiveState") == "inactive":
            return  # the type tells when it is ready, or a condition kept it from being started
        time.sleep(_STAYS)
        now = self._ask_again(spec)
        if (now.get("ActiveState"), now.get("MainPID")) != ("active", began.get("MainPID")):
            raise ApplyError(
                f"{_unit(spec)} ended within a second of its start",
                f"see journalctl -u {_unit(spec)}",
            )

    def _ask_again(self, spec: ServiceSpec) -> Mapping[str, str]:
        self._told.clear()
        return self._ask([_unit(spec)])[0]

    def _program(self) -> str:
        program = self.system.which("systemctl")
        if program is None:
            raise ApplyError("there is no program systemctl", "install systemd")
        return program

    def _ask(self, units: Sequence[str]) -> list[dict[str, str]]:
        """Return what systemd tells of these units, each asked for once."""
        new = [unit for unit in dict.fromkeys(units) if unit not in self._told]
        if new:
            argv = [self._program(), "show", _PROPERTIES, "--", *new]
            blocks = self.system.query(argv).check().out.strip("\n").split("\n\n")
            for unit, block in zip(new, blocks, strict=False):
                pairs = (line.partition("=") for line in block.split("\n"))
                self._told[unit] = {name: value for name, _, value in pairs}
        return [self._told.get(unit, {}) for unit in units]

    def _found(self, told: Mapping[str, str]) -> Found:
        status = _STATES.get(told.get("ActiveState", ""), STOPPED)
        return Found(status=status, processes=process(told.get("MainPID", ""), self.system))


def _unit(spec: ServiceSpec) -> str:
    return spec.name if spec.name.endswith(_SUFFIXES) else f"{spec.name}.service"
