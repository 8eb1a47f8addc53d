"""The time zone, as it would be declared."""

from __future__ import annotations

import os

from converge.declared import Declared

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

    from converge.declared import Asked
    from converge.system import ReadOnlySystem

_LINK, _ZONES = "/etc/localtime", "/usr/share/zoneinfo/"


def declare(asked: Asked, system: ReadOnlySystem) -> Iterator[Declared]:
    """Yield the time zone that the link names; a file without a link names none."""
    target = system.readlink(_LINK)
    if asked.changed:
        return
    if target is None:
        yield Declared(kind="timezone", name="…", reason=f"{_LINK} is no link that names a zone")
        return
    zone = os.path.normpath(os.path.join("/etc", target)).removeprefix(_ZONES)
    for name in asked.names or (zone,):
        reason = "" if name == zone else f"the time zone is {zone}"
        yield Declared(kind="timezone", name=name, reason=reason)
