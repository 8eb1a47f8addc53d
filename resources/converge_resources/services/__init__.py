"""Managers of services: what keeps a service running, one a file.

`choice` finds out which one a service belongs to; the kind `service` asks it what is, and tells it
what shall be.
"""

from __future__ import annotations

from abc import ABC, abstractmethod

from converge.record import Record

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from typing import ClassVar

    from converge.provider import Unmanageable
    from converge.system import ReadOnlySystem, System
    from converge_resources.service import ServiceSpec

RUNNING, STARTING, STOPPING, STOPPED = "running", "starting", "stopping", "stopped"


class Found(Record):
    """How a service stands, and its main processes: (pid, ticks since boot when it began)."""

    status: str
    processes: tuple[tuple[int, int], ...] = ()


class Manager(ABC):
    """What keeps services running. A manager lives for one reading or one change."""

    name: ClassVar[str]

    def __init__(self, system: ReadOnlySystem) -> None:
        self.system = system

    def prepare(self, specs: Sequence[ServiceSpec]) -> None:
        """MAY be overridden. Read what `has` needs of all these. Raises OSError, ApplyError."""
        return

    @abstractmethod
    def has(self, spec: ServiceSpec) -> bool:
        """Tell whether it has this service, so that no weaker manager may touch it."""

    @abstractmethod
    def look(self, specs: Sequence[ServiceSpec]) -> Mapping[str, Found | Unmanageable]:
        """Return how each of these stands, by name. Raises OSError, ApplyError."""

    @abstractmethod
    def start(self, spec: ServiceSpec, system: System) -> None:
        """Start it, and wait until it runs. Raises OSError, ConvergeError."""

    @abstractmethod
    def stop(self, spec: ServiceSpec, system: System) -> None:
        """Stop it, and wait until it has ended. Raises OSError, ConvergeError."""

    @abstractmethod
    def restart(self, spec: ServiceSpec, system: System) -> None:
        """Stop it and start it again. Raises OSError, ConvergeError."""

    def obstacle(self, spec: ServiceSpec, found: Found) -> Unmanageable | None:
        """Say why this container does not allow what is to be changed; None: it does."""
        return None
