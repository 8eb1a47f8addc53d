"""Packages that somebody asked for, as they would be declared."""

from __future__ import annotations

from converge.declared import Declared
from converge_resources import packages

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

    from converge.declared import Asked
    from converge.system import ReadOnlySystem
    from converge_resources.packages import Backend

STATES = "/var/lib/apt/extended_states"  # apt: what came as a dependency (apt-mark(8))
WORLD = "/etc/apk/world"
_NO_DATABASE = "no database of packages (dpkg, apk, rpm) is here"


def declare(asked: Asked, system: ReadOnlySystem) -> Iterator[Declared]:
    """Yield these packages, or those that were installed by name."""
    backend = packages.choose(system)
    if backend is None:
        for name in asked.names:
            yield Declared(kind="package", name=name, reason=_NO_DATABASE)
        return
    names = list(asked.names) or _by_name(backend, system)
    if asked.changed and backend.name == "apt":
        from converge_resources.adoption import additions

        names = additions.without(names, system)
    found = backend.read(system, names) if names else {}
    for name in names:
        one = found.get(name)
        if one is None or one.status != "installed":
            yield Declared(kind="package", name=name, reason="it is not installed")
            continue
        more = {"version": one.version} if asked.versions else {}
        held = {"hold": True} if one.held else {}
        yield Declared(kind="package", name=name, attributes={**more, **held})


def _by_name(backend: Backend, system: ReadOnlySystem) -> list[str]:
    """Return the packages that did not come because others need them."""
    if backend.name == "apt":
        return _apt(system)
    if backend.name == "apk":
        words = system.text(WORLD).split()
        return sorted(
            {word.split("@")[0].split("=")[0].split("<")[0].split(">")[0] for word in words}
        )
    return []


def _apt(system: ReadOnlySystem) -> list[str]:
    from converge_resources.packages.dpkg import Database

    automatic = set()
    for stanza in system.text(STATES).split("\n\n"):
        fields = dict(line.split(": ", 1) for line in stanza.split("\n") if ": " in line)
        if fields.get("Auto-Installed") == "1":
            automatic.add(fields.get("Package", ""))
    there = [one for one in Database(system).stanzas() if one.status == "installed"]
    return sorted({one.name for one in there} - automatic)
