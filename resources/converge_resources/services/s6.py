"""s6 (s6-svc(8), s6-svstat(8)), also below s6-overlay."""

from __future__ import annotations

from converge.errors import ApplyError
from converge_resources.services import RUNNING, STARTING, STOPPED, STOPPING, Found
from converge_resources.services.servicedir import ServiceDirectories, parent, process

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from converge.system import System
    from converge_resources.service import ServiceSpec

_STATUS = {
    ("true", "true"): RUNNING, ("false", "true"): STARTING,
    ("true", "false"): STOPPING, ("false", "false"): STOPPED,
}  # fmt: skip


class S6(ServiceDirectories):
    """Services of s6-svscan."""

    name = "s6"
    scanned = ("/run/service", "/var/run/s6/services", "/service", "/etc/service")
    folders = ("/command", "/package/admin/s6/command")

    def supervised(self, folder: str) -> bool:
        """Tell whether s6-supervise was here; the FIFO `ok` would be runit's."""
        supervise = f"{folder}/supervise"
        return (
            self.system.lstat(f"{supervise}/status") is not None
            and self.system.lstat(f"{supervise}/ok") is None
        )

    def status(self, folders: Sequence[str]) -> Mapping[str, Found | None]:
        """Run s6-svstat for each: it takes one at a time."""
        program = self.program("s6-svstat")
        return {folder: self._status(program, folder) for folder in folders}

    def _status(self, program: str, folder: str) -> Found | None:
        answer = self.system.query([program, "-o", "up,wantedup,pid", "--", folder])
        words = answer.out.split()
        if answer.code != 0 or len(words) != 3:
            return None
        status = _STATUS.get((words[0], words[1]), STOPPED)
        return Found(status=status, processes=process(words[2], self.system))

    def scan(self, folder: str, system: System) -> None:
        """Have s6-svscan look now: it does not by itself."""
        system.run([self.program("s6-svscanctl"), "-a", "--", parent(folder)])

    def start(self, spec: ServiceSpec, system: System) -> None:
        """Bring it up, and wait until it is: until it says that it is ready, if it does so."""
        folder = self.wait_for_supervisor(spec, system)
        says = system.lstat(f"{folder}/notification-fd") is not None
        self._control("-wU" if says else "-wu", "-u", folder, spec, system)

    def stop(self, spec: ServiceSpec, system: System) -> None:
        """Bring it down, and wait until its `finish` has ended too."""
        self._control("-wD", "-d", self.folder(spec), spec, system)

    def restart(self, spec: ServiceSpec, system: System) -> None:
        """Restart it, and wait until it has been up again."""
        folder = self.folder(spec)
        says = system.lstat(f"{folder}/notification-fd") is not None
        self._control("-wR" if says else "-wr", "-r", folder, spec, system)

    def _control(
        self, wait: str, what: str, folder: str, spec: ServiceSpec, system: System
    ) -> None:
        limit = str(int(spec.timeout * 1000))
        argv = [self.program("s6-svc"), wait, "-T", limit, what, "--", folder]
        answer = system.run(argv, timeout=spec.timeout + 5)
        if answer.code == 99:  # s6-svlisten1(8)
            raise ApplyError(f"s6 has not done it within {spec.timeout:g} seconds")
        answer.check()
