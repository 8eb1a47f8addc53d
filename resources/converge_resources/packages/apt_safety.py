"""What an apt transaction may not do: seen beforehand, by simulating it (`apt-get -s`)."""

from __future__ import annotations

import os
import sys

from converge_resources.packages.apt_tool import words
from converge_resources.packages.patience import QUERY_TIMEOUT, find

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Collection, Sequence

    from converge.programs.process import Completed
    from converge.system import ReadOnlySystem
    from converge_resources.packages import Order
    from converge_resources.packages.dpkg import Database


class Guard:
    """Judges simulated transactions against one reading of the database."""

    def __init__(self, system: ReadOnlySystem, database: Database) -> None:
        self._system = system
        self._vital = database.vital()
        self._held = database.held()
        self._owners: set[str] | None = None

    def objection(self, simulated: Completed, orders: Sequence[Order]) -> str | None:
        """Say why a simulated transaction must not be carried out; None: it may."""
        if simulated.code != 0:
            return words(simulated)
        removed = _named(simulated.out, ("Remv", "Purg"))
        if lost := sorted(removed & (self._vital | (self._agents_own() if removed else set()))):
            return f"this would remove {', '.join(lost)}, which the system or the agent needs"
        allowed = {bare(order.name) for order in orders if order.overrides_hold}
        touched = removed | _named(simulated.out, ("Inst",))
        if held := sorted(touched & self._held - allowed):
            return (
                f"this would change {', '.join(held)}, which is on hold (declare `hold: false` or a "
                "`version` on it)"
            )
        return None

    def _agents_own(self) -> set[str]:
        """Return the packages that own the running interpreter and the libraries it has loaded."""
        if self._owners is None:
            argv = [find(self._system, "dpkg"), "-S", *sorted(_running(self._system))]
            self._owners = _owners(self._system.query(argv, timeout=QUERY_TIMEOUT).out)
        return self._owners


def bare(name: str) -> str:
    """Return a package name without its architecture."""
    return name.partition(":")[0]


def _named(out: str, verbs: Collection[str]) -> set[str]:
    lines = (line.split() for line in out.splitlines())
    return {bare(line[1]) for line in lines if len(line) > 1 and line[0] in verbs}


def _running(system: ReadOnlySystem) -> set[str]:
    """Return the files of this process: the interpreter, its library, what is mapped into it."""
    paths = {os.path.realpath(sys.executable), os.path.realpath(os.__file__)}
    for line in system.text("/proc/self/maps").splitlines():
        path = line.split(maxsplit=5)[5:]
        if path and path[0].startswith("/"):
            paths.add(path[0])
    merged = {path.removeprefix("/usr") for path in paths if path.startswith("/usr/lib")}
    return paths | merged  # dpkg knows a file of a merged /usr by its old name


def _owners(out: str) -> set[str]:
    """Read the answer of `dpkg -S`: `one, two:amd64: /path`."""
    owners = set()
    for line in out.splitlines():
        packages, colon, _ = line.partition(": /")
        if colon and "diversion" not in packages.split():
            owners |= {bare(package) for package in packages.split(", ")}
    return owners
