"""runit (sv(8), runsvdir(8))."""

from __future__ import annotations

import re

from converge.errors import ApplyError
from converge_resources.services import RUNNING, STARTING, STOPPED, STOPPING, Found
from converge_resources.services.servicedir import ServiceDirectories, process

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from converge.system import System
    from converge_resources.service import ServiceSpec

# `run: /etc/service/web: (pid 12) 3s, want down; run: log: (pid 11) 3s`
_LINE = re.compile(r"(run|down|finish): (.*?): (?:\(pid ([0-9]+)\) )?[0-9]+s([^;]*)")


class Runit(ServiceDirectories):
    """Services of runsvdir."""

    name = "runit"
    scanned = ("/etc/service", "/service", "/var/service", "/run/runit/service")

    def supervised(self, folder: str) -> bool:
        """Tell whether runsv was here: it makes the FIFO `ok`."""
        return self.system.lstat(f"{folder}/supervise/ok") is not None

    def status(self, folders: Sequence[str]) -> Mapping[str, Found | None]:
        """Run `sv status` once."""
        answer = self.system.query([self.program("sv"), "status", *folders])
        found = dict.fromkeys(folders, None) | dict(map(self._parse, answer.out.split("\n")))
        return {folder: found[folder] for folder in folders}

    def _parse(self, line: str) -> tuple[str, Found | None]:
        match = _LINE.match(line)
        if match is None:
            return "", None
        word, folder, pid, more = match.groups()
        up = ", want down" not in more if word != "down" else ", want up" in more
        if word == "run":
            status = RUNNING if up else STOPPING
        elif word == "down":
            status = STARTING if up else STOPPED
        else:
            status = STARTING if up else STOPPING
        return folder, Found(status=status, processes=process(pid or "", self.system))

    def scan(self, folder: str, system: System) -> None:
        """Nothing: runsvdir looks every five seconds."""

    def start(self, spec: ServiceSpec, system: System) -> None:
        """Bring it up, and wait until it is; a program `check` in the directory has its say."""
        self._control("start", self.wait_for_supervisor(spec, system), spec, system)

    def stop(self, spec: ServiceSpec, system: System) -> None:
        """Bring it down, and wait until it is."""
        self._control("stop", self.folder(spec), spec, system)

    def restart(self, spec: ServiceSpec, system: System) -> None:
        """Restart it, and wait until it is up."""
        self._control("restart", self.folder(spec), spec, system)

    def _control(self, verb: str, folder: str, spec: ServiceSpec, system: System) -> None:
        argv = [self.program("sv"), "-w", str(max(1, int(spec.timeout))), verb, folder]
        answer = system.run(argv, timeout=spec.timeout + 5)
        if answer.code != 0:  # sv tells everything on stdout
            raise ApplyError(f"sv {verb}: {answer.out.strip() or answer.err.strip()}")
