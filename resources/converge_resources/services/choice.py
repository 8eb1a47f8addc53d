"""Which manager a service belongs to: as declared, else by looking, a supervisor before us."""

from __future__ import annotations

from converge.errors import ConvergeError
from converge.provider import Unmanageable
from converge_resources.services.main import Main
from converge_resources.services.plain import Plain
from converge_resources.services.runit import Runit
from converge_resources.services.s6 import S6
from converge_resources.services.supervisord import Supervisord
from converge_resources.services.systemd import Systemd

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

    from converge.system import ReadOnlySystem
    from converge_resources.service import ServiceSpec
    from converge_resources.services import Found, Manager

_ALL: tuple[type[Manager], ...] = (S6, Runit, Supervisord, Systemd, Plain, Main)


class Managers:
    """The managers of one reading; each reads what it needs once."""

    def __init__(self, system: ReadOnlySystem) -> None:
        self._by_name = {kind.name: kind(system) for kind in _ALL}

    def of(self, spec: ServiceSpec) -> Manager:
        """Return the manager that has this service. Raises OSError, ConvergeError."""
        if spec.manager != "auto":
            return self._by_name[spec.manager]
        return next(one for one in self._by_name.values() if one.has(spec))

    def look(self, specs: Sequence[ServiceSpec]) -> dict[str, Found | Unmanageable]:
        """Return how each of these stands, by name."""
        found: dict[str, Found | Unmanageable] = {}
        groups: dict[str, list[ServiceSpec]] = {}
        self._prepare([spec for spec in specs if spec.manager == "auto"])
        for spec in specs:
            try:
                groups.setdefault(self.of(spec).name, []).append(spec)
            except (OSError, ConvergeError) as error:
                found[spec.name] = _unreadable(error)
        for name, group in groups.items():
            try:
                found.update(self._by_name[name].look(group))
            except (OSError, ConvergeError) as error:
                found.update({spec.name: _unreadable(error) for spec in group})
        return found

    def _prepare(self, specs: Sequence[ServiceSpec]) -> None:
        for manager in self._by_name.values() if specs else ():
            try:
                manager.prepare(specs)
            except (OSError, ConvergeError):
                continue  # `has` will say


def _unreadable(error: Exception) -> Unmanageable:
    if isinstance(error, OSError):
        where = f"{error.filename}: " if error.filename else ""
        return Unmanageable(reason=f"cannot be read: {where}{error.strerror or error}")
    return Unmanageable(reason=str(error.args[0]), remedy=getattr(error, "remedy", ""))
