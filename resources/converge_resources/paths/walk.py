"""Walking a directory's tree without crossing a mount, following a link or reading for ever."""

from __future__ import annotations

import os
import stat

from converge.record import Record

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterator, Sequence

    from converge.system import ReadOnlySystem


MOST = 10000  # entries that a walk reads unless it is told another number


class TooManyError(Exception):
    """There are more entries than the walk may read."""


class Entry(Record):
    """Something below the directory that is walked: `path` is relative to it."""

    path: str
    found: os.stat_result
    managed: bool = False  # by a resource of its own

    @property
    def is_directory(self) -> bool:
        """True of a directory itself, not of a link to one."""
        return stat.S_ISDIR(self.found.st_mode)


class Walk:
    """What lies below one directory.

    `managed` are absolute paths of other resources; one that ends in a slash is a whole tree of
    another's. `ignore` are fnmatch globs on the relative path and on the base name. What is
    ignored or mounted, and others' trees, are neither listed nor entered; nor is what lies more than
    `depth` levels below.
    Raises OSError, and TooManyError beyond `limit` entries.
    """

    def __init__(
        self,
        system: ReadOnlySystem,
        path: str,
        *,
        limit: int,
        managed: Collection[str] = (),
        ignore: Sequence[str] = (),
        depth: int | None = None,
    ) -> None:
        self._system = system
        self._inside = path.rstrip("/") + "/"
        self._managed = frozenset(managed)
        self._ignored = _matcher(ignore)
        self._kept: set[str] = {""}
        self._depth = depth
        self.entries: list[Entry] = []  # each after the directory that holds it
        for name in self._managed:
            self._keep(name.removeprefix(self._inside).rstrip("/"))
        for read, entry in enumerate(self._below()):
            if read >= limit:
                raise TooManyError
            if entry is not None:
                self.entries.append(entry)

    def unmanaged(self) -> dict[str, tuple[Entry, int]]:
        """Return what may be removed whole, by relative path, each with the number of entries.

        A directory that holds anything to be kept is kept, and what else it holds is returned.
        """
        tops: dict[str, str] = {}
        found: dict[str, tuple[Entry, int]] = {}
        for entry in self.entries:
            if entry.path in self._kept:
                continue
            top = tops[entry.path] = tops.get(os.path.dirname(entry.path), entry.path)
            first, count = found.get(top, (entry, 0))
            found[top] = first, count + 1
        return found

    def keeps(self, path: str) -> bool:
        """Tell whether a relative path is to be kept, as it is, or holds, another's or a mount."""
        return path in self._kept

    def _keep(self, path: str) -> None:
        """Note that neither this relative path nor a directory that holds it may be removed."""
        while path not in self._kept:
            self._kept.add(path)
            path = os.path.dirname(path)

    def _below(self) -> Iterator[Entry | None]:
        """Yield every entry read, None for one that is left alone."""
        folders = [""]
        while folders:
            folder = folders.pop()
            for name in self._system.list(self._inside + folder):
                path = f"{folder}/{name}" if folder else name
                entry = self._entry(path)
                yield entry
                deep = self._depth is not None and path.count("/") + 1 >= self._depth
                if entry is not None and entry.is_directory and not deep:
                    folders.append(path)

    def _entry(self, path: str) -> Entry | None:
        absolute = self._inside + path
        if self._ignored(path) or self._system.is_mount_point(absolute):
            self._keep(path)
            return None
        found = self._system.lstat(absolute)
        if found is None or absolute + "/" in self._managed:
            return None
        return Entry(path=path, found=found, managed=absolute in self._managed)


def _matcher(globs: Sequence[str]) -> Callable[[str], bool]:
    if not globs:
        return lambda _: False
    import re
    from fnmatch import translate

    pattern = re.compile("|".join(translate(glob) for glob in globs))
    return lambda path: bool(pattern.match(path) or pattern.match(os.path.basename(path)))
