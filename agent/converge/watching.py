"""What a run tells the supervisor to watch, and which resources a drifted path is about."""

from __future__ import annotations

import os

from converge import kinds, mounts
from converge.daemon import prints, watches

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Mapping

    from converge.catalog import Catalog
    from converge.inspection import Item

MOST_DIRECTORIES = 1000  # watched below directories that are managed with all that is in them


class Watching:
    """Notes what each path looked like just before it was read, and picks what an event touches."""

    def __init__(self, root: str, drifted: Iterable[str]) -> None:
        self.root = root.rstrip("/")
        self.drifted = set(drifted)
        self.files: list[str] = []
        self._prints: dict[str, int] = {}
        self._owners: dict[str, set[str]] = {}  # path → ids
        self._trees: dict[str, dict[str, int]] = {}  # top → directory → print
        self._references: Mapping[str, list[dict[str, str]]] = {}  # of secrets, by id

    def _of_secrets(self, name: str) -> set[str]:
        """Return the files of a resource's secrets, and each link on the way to them."""
        references = self._references.get(name, ())
        return {s for one in references if "file" in one for s in steps(one["file"])}

    def choose(self, catalog: Catalog) -> set[str] | None:
        """Return the ids that the drifted paths touch, and what depends on them; None: all."""
        inputs = catalog.inputs
        self.files = [path for key in ("files", "absent", "facts_files") for path in inputs[key]]
        system = inputs.get("system") or {"paths": ()}
        self.files += [self.root + path for path in system["paths"]]
        self._references = catalog.secrets
        if not self.drifted:
            return None
        found: set[str] = set()
        for resource in catalog.resources:
            if not resource.selected:
                continue
            provider = kinds.load(resource.kind)
            spec = provider.spec(**resource.spec)
            touched = any(map(self._touched, provider.watches(spec)))
            if (
                touched
                or set(resource.after) & found
                or self._of_secrets(resource.id) & self.drifted
            ):
                found.add(resource.id)
        return found

    def _touched(self, path: str) -> bool:
        real = self.root + path.rstrip("/")
        if not path.endswith("/"):
            return real in self.drifted
        return any(one == real or one.startswith(real + "/") for one in self.drifted)

    def before_reading(self, items: Iterable[Item]) -> None:
        """Note what the paths of these resources look like now; drift is repaired in the phase `run`."""
        for item in items:
            if item.resource.phase and "run" not in item.resource.phase:
                continue
            for path in item.provider.watches(item.spec):
                real = self.root + path.rstrip("/")
                self._owners.setdefault(real, set()).add(item.resource.id)
                self._prints[real] = prints.of(real)
                if path.endswith("/"):
                    self._trees[real] = tree(real)
            for step in self._of_secrets(item.resource.id):
                self._owners.setdefault(step, set()).add(item.resource.id)
                self._prints[step] = prints.of(step)

    def records(self, contended: Iterable[str]) -> list[str]:
        """Return what the supervisor shall watch; what is contended waits for the next whole run."""
        left = set(contended)
        mounted = _mount_points()
        found = []
        for path, number in self._prints.items():
            if self._owners[path] <= left:
                found.append(f"- 0 {path}")
            elif self._trees.get(path):
                rows = self._trees[path].items()
                found += [f"{watches.CONTENT} {now} {folder}" for folder, now in rows]
            else:
                kind = watches.MOUNTED if path in mounted else watches.FILE
                found.append(f"{kind} {number} {path}")
        return found


def tree(top: str) -> dict[str, int]:
    """Return the prints of a directory and those below it, no link followed, no mount entered.

    The nearest come first. Not by os.walk, which calls itself: how deep it gets is up to others.
    """
    found: dict[str, int] = {}
    left = [top]
    device = None
    while left and len(found) < MOST_DIRECTORIES:
        here = left.pop(0)
        try:
            this, print_ = os.lstat(here).st_dev, prints.of(here, content=True)
            device = device or this
            if this == device:
                with os.scandir(here) as entries:
                    left += [one.path for one in entries if one.is_dir(follow_symlinks=False)]
                found[here] = print_
        except OSError:
            continue  # it has just gone, or is too deep for a path
    return found


def _mount_points() -> Collection[str]:
    try:
        with open("/proc/self/mountinfo", encoding="utf-8", errors="surrogateescape") as file:
            return mounts.parse(file.read()).keys()
    except OSError:
        return ()


def steps(path: str) -> list[str]:
    """Return each symbolic link on the way to a file, and the file itself."""
    found: list[str] = []
    left = [part for part in path.split("/") if part]
    here = "/"
    while left and len(found) < 40:
        name = left.pop(0)
        if name == "..":
            here = os.path.dirname(here)
            continue
        here = os.path.join(here, name)
        try:
            target = os.readlink(here)
        except OSError:
            continue
        found.append(here)
        left = [part for part in target.split("/") if part not in ("", ".")] + left
        here = "/" if target.startswith("/") else os.path.dirname(here)
    return [*found, here]
