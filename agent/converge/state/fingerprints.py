"""What was read and found right, known again by stat(2), so that a run reads only what looks different.

As git's index does (git's Documentation/technical/racy-git.txt): a change of a file's content or
attributes sets its ctime, which no one but root can set otherwise. What changed within two seconds
before it was read is not kept, as a later change in the same tick of a file system's clock would look
the same. What a stat does not show (a flipped bit of a disk, a page that a process still writes through
a mapping) is found by reading everything, once a day and with `--full`.
"""

from __future__ import annotations

import stat
import time

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable
    from typing import Any

    from converge.read_only import ReadOnlySystem
    from converge.state.standing import Clock

    Print = list[int] | None  # None: nothing is there

NAME = "fingerprints.json"
VERSION = 1
DAY = 86400.0  # seconds after which everything is read again
_TICK = 2_000_000_000  # nanoseconds: the coarsest clock of a file system (FAT's)


class Fingerprints:
    """The fingerprints of the paths that each resource rests on (Provider.rests_on), by its id."""

    def __init__(
        self, kept: Any, catalog: str, clock: Clock, *, full: bool = False, tick: int | None = None
    ) -> None:
        """`kept` is what `plain` gave (None: nothing), `catalog` what it has to have been of.

        `tick`: nanoseconds in which two changes may look like one.
        """
        self._tick = _TICK if tick is None else tick
        good = isinstance(kept, dict) and kept.get("version") == VERSION
        good = good and kept["catalog"] == catalog and clock.since(kept["read"]) < DAY
        self.full = full or not good  # everything is read in this run
        self.changed = self.full
        self._catalog = catalog
        self._read = clock.moment() if self.full else kept["read"]
        self._paths: dict[str, list[str]] = {} if self.full else kept["paths"]
        self._prints: dict[str, Print] = {} if self.full else kept["prints"]
        self._new: dict[str, dict[str, Print]] = {}
        self._looked: dict[str, Print | bool] = {}

    def plain(self) -> dict[str, Any]:
        """Return all of it as plain data."""
        return {
            "version": VERSION, "catalog": self._catalog, "read": self._read,
            "paths": self._paths, "prints": self._prints,
        }  # fmt: skip

    def look_anew(self) -> None:
        """Forget what was looked at: the machine may have changed."""
        self._looked = {}

    def hold(self, name: str, system: ReadOnlySystem) -> bool:
        """Tell whether all that a resource rests on looks as it did when it was read and right."""
        paths = self._paths.get(name)
        if paths is None:
            return False
        looked, prints = self._looked, self._prints
        for path in paths:
            found = looked[path] if path in looked else self._look(path, system)
            if found != prints[path]:
                del self._paths[name]
                self.changed = True
                return False
        return True

    def before_reading(self, name: str, paths: Iterable[str], system: ReadOnlySystem) -> None:
        """Note what a resource rests on, before it is read."""
        self._new.pop(name, None)
        newest = time.time_ns() - self._tick
        found = {path: self._look(path, system) for path in paths}
        prints = {path: one for path, one in found.items() if not isinstance(one, bool)}
        if len(prints) == len(found) and all(_is_old(one, newest) for one in prints.values()):
            self._new[name] = prints

    def was_right(self, name: str) -> None:
        """Keep what was noted of a resource: it was read, and is as it is declared."""
        prints = self._new.pop(name, None)
        if prints is None:
            return
        for path, one in prints.items():
            if self._prints.get(path, one) != one:  # what rests on it was read before it changed
                self._paths = {n: paths for n, paths in self._paths.items() if path not in paths}
        self._paths[name] = list(prints)
        self._prints.update(prints)
        self.changed = True

    def _look(self, path: str, system: ReadOnlySystem) -> Print | bool:
        """Return how a path looks; False: that cannot be told."""
        if path not in self._looked:
            try:
                self._looked[path] = _print_of(path, system)
            except OSError:
                return False
        return self._looked[path]


def _print_of(path: str, system: ReadOnlySystem) -> Print:
    """Return five numbers; of a symbolic link its own and those of what it leads to."""
    found = system.lstat(path.rstrip("/") or "/")
    if found is None:
        return None
    if stat.S_ISDIR(found.st_mode) and not path.endswith("/"):
        return [found.st_dev, found.st_ino, found.st_mode, found.st_uid, found.st_gid]
    own = [found.st_dev, found.st_ino, found.st_size, found.st_mtime_ns, found.st_ctime_ns]
    if not stat.S_ISLNK(found.st_mode):
        return own
    try:
        return own + (_print_of(system.paths.resolve(path), system) or [])
    except OSError:
        return own


def _is_old(one: Print, newest: int) -> bool:
    """Tell whether a later change would look different; a directory's numbers say all there is."""
    return one is None or all(moment < newest for moment in one[4::5])
