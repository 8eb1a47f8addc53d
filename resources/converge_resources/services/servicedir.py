"""Service directories: what s6 and runit have in common (and daemontools had first)."""

from __future__ import annotations

import os
import time
from abc import abstractmethod

from converge.errors import ApplyError
from converge.provider import Unmanageable
from converge_resources.services import Found, Manager
from converge_resources.services.procs import Processes

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from typing import ClassVar

    from converge.system import ReadOnlySystem, System
    from converge_resources.service import ServiceSpec

_LOOK = 0.1  # seconds


class ServiceDirectories(Manager):
    """A manager whose services are directories with a program `run`, in a directory that it scans."""

    scanned: ClassVar[tuple[str, ...]]  # where such directories usually are
    folders: ClassVar[tuple[str, ...]] = ()  # where its programs may be besides the search path

    @abstractmethod
    def supervised(self, folder: str) -> bool:
        """Tell whether this manager has, or had, a supervisor for a service directory."""

    @abstractmethod
    def status(self, folders: Sequence[str]) -> Mapping[str, Found | None]:
        """Return how each service stands by its directory; None: no supervisor answers."""

    @abstractmethod
    def scan(self, folder: str, system: System) -> None:
        """Have the scanner look for new service directories."""

    def has(self, spec: ServiceSpec) -> bool:
        """Tell whether there is a service directory with a supervisor of this manager's."""
        return self.supervised(self.folder(spec))

    def folder(self, spec: ServiceSpec) -> str:
        """Return the service's directory: as declared, else the first that is there."""
        if spec.service_directory is not None:
            return spec.service_directory
        places = [f"{place}/{spec.name}" for place in self.scanned]
        return next((path for path in places if self.system.lstat(path) is not None), places[0])

    def program(self, name: str) -> str:
        """Return the path of one of the manager's programs. Raises ApplyError."""
        for path in (self.system.which(name), *(f"{folder}/{name}" for folder in self.folders)):
            if path is not None and self.system.lstat(path) is not None:
                return path
        raise ApplyError(f"there is no program {name}", f"install the package {self.name}")

    def look(self, specs: Sequence[ServiceSpec]) -> Mapping[str, Found | Unmanageable]:
        """Ask for all of them at once."""
        folders = {spec.name: self.folder(spec) for spec in specs}
        there = [path for path in folders.values() if self.system.lstat(path) is not None]
        found = self.status(there) if there else {}
        return {name: self._found(path, found.get(path)) for name, path in folders.items()}

    def _found(self, folder: str, found: Found | None) -> Found | Unmanageable:
        if found is not None:
            return found
        if not self.supervised(folder):
            return Found(status="stopped")  # not there yet, or not seen by the scanner yet
        return Unmanageable(
            reason=f"{folder} has no supervisor of {self.name} that answers",
            remedy=f"start {self.name} with the container",
        )

    def wait_for_supervisor(self, spec: ServiceSpec, system: System) -> str:
        """Return the service's directory, once it has a supervisor. Raises ApplyError."""
        folder = self.folder(spec)
        if system.lstat(folder) is None:
            raise ApplyError(
                f"there is no service directory {folder}",
                "declare it as resources, or name it in `service_directory`",
            )
        deadline = time.monotonic() + spec.timeout
        self.scan(folder, system)
        while self.status([folder])[folder] is None:
            if time.monotonic() > deadline:
                raise ApplyError(
                    f"{self.name} does not take up {folder}", f"does {self.name} scan that place?"
                )
            time.sleep(_LOOK)
            system.forget()
        return folder


def process(pid: str, system: ReadOnlySystem) -> tuple[tuple[int, int], ...]:
    """Return a process as in Found; none where the id is not one."""
    one = Processes(system).one(int(pid)) if pid.isdigit() else None
    return () if one is None else ((one.pid, one.started),)


def parent(folder: str) -> str:
    """Return the directory that is scanned for this service directory."""
    return os.path.dirname(folder)
