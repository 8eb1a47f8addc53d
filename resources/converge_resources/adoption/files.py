"""Files, directories and symbolic links, as they would be declared."""

from __future__ import annotations

import stat

from converge.declared import Declared
from converge_resources.paths import disclosure, trees
from converge_resources.paths.owners import Owners

TYPE_CHECKING = False
if TYPE_CHECKING:
    import os
    from collections.abc import Iterator
    from typing import Any

    from converge.declared import Asked
    from converge.system import ReadOnlySystem

MOST_INSIDE = 32 << 10  # bytes of a text that stands in the profile itself
_LOOKED_THROUGH = 8 << 20  # bytes of a file that is searched for a private key


def declare(kind: str, asked: Asked, system: ReadOnlySystem) -> Iterator[Declared]:
    """Yield what is at these paths; all there is cannot be listed."""
    owners = Owners(system)
    if asked.changed:
        from converge_resources.adoption import image

        yield from image.changed(system) if kind == "file" else ()
        return
    if not asked.names:
        yield Declared(kind=kind, name="…", reason=f"name the paths: converge adopt {kind} PATH…")
    for name in asked.names:
        if name.startswith("/"):
            path = "/" + name.strip("/")  # /etc/ssh/, as shells complete it
            yield of(kind, path, system, owners)
        else:
            yield Declared(kind=kind, name=name, reason="it is no absolute path")


def of(kind: str, path: str, system: ReadOnlySystem, owners: Owners) -> Declared:
    """Return what is at a path as a resource of a kind."""
    try:
        found = system.lstat(path)
        if found is None:
            return Declared(kind=kind, name=path, reason="it is not there")
        type_ = trees.describe(found)
        if type_ != kind:
            reason = f"it is a {type_}, no {kind}"
            return Declared(kind=kind, name=path, reason=reason)
        owned = {
            "owner": owners.spelled("user", None, found.st_uid),
            "group": owners.spelled("group", None, found.st_gid),
        }
        if kind == "symlink":
            attributes = {"target": system.readlink(path), **owned}
            return Declared(kind=kind, name=path, attributes=attributes)
        attributes = {"mode": f"{stat.S_IMODE(found.st_mode):04o}", **owned}
        if kind == "directory":
            return Declared(kind=kind, name=path, attributes=attributes)
        return _file(path, found, attributes, system)
    except (OSError, ValueError) as error:
        return Declared(kind=kind, name=path, reason=f"it cannot be read: {error}")


def _file(
    path: str, found: os.stat_result, attributes: dict[str, Any], system: ReadOnlySystem
) -> Declared:
    made = Declared(kind="file", name=path, attributes=attributes)
    if secret(path, found, system):
        name = path.rpartition("/")[2]
        return made.replace(
            comments=(
                "what looks like a secret is not written here; to have it managed, refer to it:",
                f"content: {{ file: /run/secrets/{name} }}",
            )
        )
    if found.st_size > MOST_INSIDE:
        return made.replace(source=path)
    try:
        text = (system.read(path) or b"").decode()
    except UnicodeDecodeError:
        return made.replace(source=path)
    if "\0" in text:
        return made.replace(source=path)
    return made.replace(attributes={"content": text, **attributes})


def secret(path: str, found: os.stat_result, system: ReadOnlySystem) -> bool:
    """Tell whether a file looks like one whose content nobody else should get. Raises OSError."""
    if disclosure.private(found.st_mode) and found.st_size:
        return True
    if disclosure.secret_path(path, None):
        return True
    if found.st_size > _LOOKED_THROUGH:
        return False
    return b"PRIVATE KEY-----" in (system.read(path) or b"")
