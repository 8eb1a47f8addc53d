"""The container's main process: PID 1, or the program that a small init (tini) waits for.

It runs as long as the container does, so that it can only be told to reload. Until the start's run has
ended `converge exec` stands in its place: then nobody is told, and what starts reads what is there.
"""

from __future__ import annotations

from converge.errors import ApplyError
from converge_resources.services import RUNNING, Found, Manager
from converge_resources.services.procs import Processes

_AGENT = ("converge", "__main__.py")  # how a start's command line ends, before `exec`

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from converge.provider import Unmanageable
    from converge.system import System
    from converge_resources.service import ServiceSpec
    from converge_resources.services.procs import Process


class Main(Manager):
    """The main process, for signals alone."""

    name = "main"

    def has(self, spec: ServiceSpec) -> bool:
        """Never: it has to be declared."""
        return False

    def look(self, specs: Sequence[ServiceSpec]) -> Mapping[str, Found | Unmanageable]:
        """Find it."""
        processes = Processes(self.system)
        hidden = processes.hidden(self.system.uid)
        if hidden is not None:
            return {spec.name: hidden for spec in specs}
        one = processes.all.get(processes.main())
        ids = () if one is None or _is_to_come(one) else ((one.pid, one.started),)
        return {spec.name: Found(status=RUNNING, processes=ids) for spec in specs}

    def start(self, spec: ServiceSpec, system: System) -> None:
        """It runs."""

    def stop(self, spec: ServiceSpec, system: System) -> None:
        """Never: the container would end."""
        raise ApplyError("the container's main process is not stopped from inside")

    def restart(self, spec: ServiceSpec, system: System) -> None:
        """Never: the container would end."""
        raise ApplyError(
            "the container's main process cannot be restarted from inside",
            "declare `notify_signal` or `reload`, or restart the container",
        )


def _is_to_come(one: Process) -> bool:
    """Tell whether a process is `converge exec`, which will become the main process."""
    words = [word.rpartition("/")[2] for word in one.argv[:5]]
    return "exec" in words[1:] and words[words.index("exec", 1) - 1] in _AGENT
