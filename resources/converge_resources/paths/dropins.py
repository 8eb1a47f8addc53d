"""Files that a program reads from a directory of its own, one a resource: cron.d, sudoers.d, limits.d.

Such programs ignore, or refuse, what others than root could have written: owner and mode belong to it.
"""

from __future__ import annotations

import stat
from abc import abstractmethod

from converge import probe
from converge.provider import Change, Provider, Spec, State, Unmanageable, each, reading
from converge_resources.paths import trees

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence
    from typing import ClassVar, TypeVar

    from converge.system import ReadOnlySystem, System

    D = TypeVar("D", bound=Spec)
else:
    D = None


class DropInState(State):
    """What the file is. `owned`: it belongs to the agent's own user, which is root."""

    text = frozenset({"content"})

    content: bytes
    mode: str
    owned: bool = True


class DropInProvider(Provider[D, DropInState]):
    """Reads and writes whole files. `subject` of a spec is the path; a kind says the content."""

    mode: ClassVar[str] = "0644"

    def path(self, spec: D) -> str:
        """Return the path of the file. Pure."""
        return spec.subject()

    @abstractmethod
    def content(self, spec: D) -> str:
        """MUST be overridden. Return the whole file that is declared. Pure."""

    def validator(self, spec: D, system: System) -> Callable[[str], None] | None:
        """MAY be overridden. Return what raises ApplyError if the staged file is wrong."""
        return None

    def desired(self, spec: D) -> DropInState | None:
        """Return the file that is declared."""
        if getattr(spec, "state", "present") == "absent":
            return None
        return DropInState(content=self.content(spec).encode(), mode=self.mode)

    def inspect(
        self, specs: Sequence[D], system: ReadOnlySystem
    ) -> Mapping[str, DropInState | Unmanageable]:
        """Read each file."""

        def read(spec: D) -> DropInState | None:
            path = self.path(spec)
            found = system.lstat(path)
            data = system.read(path)
            if found is None or data is None:
                return None
            mode = f"{stat.S_IMODE(found.st_mode):04o}"
            return DropInState(content=data, mode=mode, owned=found.st_uid == system.uid)

        return reading(specs, read)

    def apply(self, changes: Sequence[Change[D, DropInState]], system: System) -> None:
        """Write, adjust or remove each file."""
        each(changes, lambda change: self._apply(change, system))

    def _apply(self, change: Change[D, DropInState], system: System) -> None:
        path = self.path(change.spec)
        if change.after is None:
            system.remove(path)
            return
        mode = int(self.mode, 8)
        if not change.wants("content"):
            system.set_attributes(path, uid=system.uid, mode=mode)
            return
        trees.require_parent(system, path, ", or install what reads it")
        system.write(
            path, change.after.content, uid=system.uid, mode=mode,
            validate=self.validator(change.spec, system),
        )  # fmt: skip

    def obstacles(
        self, changes: Sequence[Change[D, DropInState]], system: ReadOnlySystem
    ) -> Mapping[str, Unmanageable]:
        """Say which files this container does not let us touch."""
        return trees.probing(changes, lambda change: self.obstacle(change, system))

    def obstacle(
        self, change: Change[D, DropInState], system: ReadOnlySystem
    ) -> Unmanageable | None:
        """Say why a file cannot be changed; None: it can."""
        path = self.path(change.spec)
        if change.after is None:
            return trees.obstacle_of_type(system, path)
        if change.wants("content"):
            return probe.writable(system, path)
        return probe.read_only_mount(system, path) or probe.attributes(
            system, path, owner=system.uid, group=None, mode=True
        )

    def depends(self, spec: D) -> Iterable[str]:
        """A file goes after its directories."""
        return trees.needs_before(self.path(spec), None, None)

    def claims(self, spec: D) -> Iterable[str]:
        """A path has one owner, whatever its kind."""
        return (f"path:{self.path(spec)}",)
