"""What a build can put into an image (nothing that lies on a mount), and what it said of it there."""

from __future__ import annotations

from converge import mounts, outcome

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable
    from typing import Any

    from converge.inspection import Item
    from converge.outcome import Outcome
    from converge.read_only import ReadOnlySystem
    from converge.state.store import Store

NAME = "baked.json"
VERSION = 1


def on_mounts(items: Iterable[Item], system: ReadOnlySystem) -> dict[str, Outcome]:
    """Return, by id, the outcome of what a build cannot put into the image: what lies on a mount."""
    found = {}
    points = system.mounts()
    for item in items:
        for path in paths_of(item):
            mount = mounts.covering(points, path)
            if mount is not None and mount.path != "/":
                reason = f"{mount.path} is a mount, which is not part of the image"
                found[item.resource.id] = outcome.skipped(reason, blocks=False)
    return found


def paths_of(item: Item) -> list[str]:
    """Return the paths that a resource is about, or a part of."""
    claims = (claim.partition(":") for claim in item.provider.claims(item.spec))
    return [rest.partition("\0")[0] for kind, _, rest in claims if kind in ("path", "part")]


def digests(store: Store) -> dict[str, list[Any]]:
    """Return the record's files: path → [size, time, mode, owner, group, SHA-256]."""
    found = store.read_json(NAME)
    if not isinstance(found, dict) or found.get("version") != VERSION:
        return {}
    files = found.get("files")
    return files if isinstance(files, dict) else {}
