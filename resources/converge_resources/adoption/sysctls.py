"""Kernel parameters, as they would be declared."""

from __future__ import annotations

from converge.declared import Declared
from converge_resources.sysctls import keys

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

    from converge.declared import Asked
    from converge.system import ReadOnlySystem


def declare(asked: Asked, system: ReadOnlySystem) -> Iterator[Declared]:
    """Yield these keys, or those that a file in /etc/sysctl.d sets."""
    files = _persisted(system)
    if asked.changed:
        return
    for name in asked.names or sorted(files):
        try:
            key = keys.canonical_key(name)
            live = system.read(keys.path_of(key))
        except ValueError as error:
            yield Declared(kind="sysctl", name=name, reason=str(error))
            continue
        except OSError as error:
            reason = f"it cannot be read: {error.strerror or error}"
            yield Declared(kind="sysctl", name=name, reason=reason)
            continue
        if live is None:
            yield Declared(kind="sysctl", name=name, reason="this kernel does not have it")
            continue
        yield _of(key, keys.canonical_value(key, live.decode(errors="replace")), files)


def _of(key: str, live: str, files: dict[str, tuple[str, str]]) -> Declared:
    path, value = files.get(key, ("", ""))
    made = Declared(kind="sysctl", name=key, attributes={"value": live})
    if not path:
        return made.replace(attributes={"value": live, "persist": False})
    if value == live:
        return made.replace(attributes={"value": live, "persist": True, "file": path})
    said = f"{path} says {value}"
    return made.replace(attributes={"value": live, "persist": False}, comments=(said,))


def _persisted(system: ReadOnlySystem) -> dict[str, tuple[str, str]]:
    """Return file and value of each key that the files in /etc/sysctl.d set; the last counts."""
    found: dict[str, tuple[str, str]] = {}
    for path in sorted(name for name in system.list("/etc/sysctl.d") if name.endswith(".conf")):
        whole = f"/etc/sysctl.d/{path}"
        for key, value in keys.parse(system.text(whole)).items():
            found[key] = (whole, value)
    return found
