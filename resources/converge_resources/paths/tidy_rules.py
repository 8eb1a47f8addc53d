"""What is too old or too large, found and removed; rules as of Puppet's `tidy`."""

from __future__ import annotations

import stat
import time

from converge.errors import ApplyError
from converge.provider import Unmanageable
from converge.state import private
from converge_resources.paths.walk import TooManyError, Walk

TYPE_CHECKING = False
if TYPE_CHECKING:
    import os
    from collections.abc import Iterator

    from converge.provider import Change
    from converge.system import ReadOnlySystem, System
    from converge_resources.tidy import TidySpec, TidyState

_SECONDS = {"s": 1, "m": 60, "h": 3600, "d": 86400, "w": 604800}
_BYTES = {"b": 1, "k": 1 << 10, "m": 1 << 20, "g": 1 << 30, "t": 1 << 40}


class Rules:
    """What one declaration lets go, as of now."""

    def __init__(self, spec: TidySpec) -> None:
        self._spec = spec
        self._all = spec.criteria == "all"
        self._before = None if spec.age is None else time.time() - _number(spec.age, _SECONDS)
        self._most = None if spec.size is None else _number(spec.size, _BYTES)

    def goes(self, name: str, status: os.stat_result) -> bool:
        """Tell whether something of this base name is too old or too large.

        Only files and symbolic links are ever large, and sockets, pipes and devices are in use as
        long as they are there. A directory goes by its age alone, where there is one.
        """
        if not self._matches(name):
            return False
        if stat.S_ISDIR(status.st_mode):
            return self._before is None or self._old(status)
        if not stat.S_ISREG(status.st_mode) and not stat.S_ISLNK(status.st_mode):
            return False
        criteria = [
            *([] if self._before is None else [self._old(status)]),
            *([] if self._most is None else [status.st_size >= self._most]),
        ]
        return all(criteria) if self._all else any(criteria)

    def _old(self, status: os.stat_result) -> bool:
        seconds: float = getattr(status, f"st_{self._spec.time}")
        return self._before is not None and seconds <= self._before

    def _matches(self, name: str) -> bool:
        from fnmatch import fnmatchcase

        globs = self._spec.matches
        return not globs or any(fnmatchcase(name, glob) for glob in globs)


def find(spec: TidySpec, system: ReadOnlySystem) -> tuple[str, ...] | Unmanageable:
    """Return what is to go, each before the directory that holds it. Raises OSError."""
    rules = Rules(spec)
    status = system.lstat(spec.name)
    if status is None:
        return ()
    if not stat.S_ISDIR(status.st_mode):
        return (".",) if rules.goes(_base(spec.name), status) else ()
    try:
        walk = Walk(
            system, spec.name, limit=spec.max_files, depth=_levels(spec),
            managed=[*spec.managed, *_own()],
        )  # fmt: skip
    except TooManyError:
        return Unmanageable(
            reason=f"more than {spec.max_files} entries lie below {spec.name}",
            remedy="raise `max_files`, or say less than `recurse: true`",
        )
    return tuple(_found(spec, system, rules, walk))


def apply(change: Change[TidySpec, TidyState], system: System) -> None:
    """Remove what was found, if it still is to go. Raises OSError, ApplyError."""
    spec, rules = change.spec, Rules(change.spec)
    kept: list[str] = []
    for path in found(change):
        absolute = at(spec, path)
        status = system.lstat(absolute)
        if status is None:
            continue
        if stat.S_ISDIR(status.st_mode):
            if system.list(absolute):
                kept.append(absolute)
                continue
        elif not rules.goes(_base(absolute), status):
            continue  # someone has used it since
        system.remove(absolute, backup=spec.backup)
    if kept:
        raise ApplyError(f"{kept[0]} is no longer empty")


def found(change: Change[TidySpec, TidyState]) -> tuple[str, ...]:
    """Return the relative paths that a change removes."""
    return change.before.found if change.before else ()


def _base(path: str) -> str:
    return path.rpartition("/")[2]


def at(spec: TidySpec, path: str) -> str:
    """Return the absolute path of what was found."""
    return spec.name if path == "." else f"{spec.name.rstrip('/')}/{path}"


def _found(spec: TidySpec, system: ReadOnlySystem, rules: Rules, walk: Walk) -> Iterator[str]:
    """Yield what goes, each before the directory that holds it."""
    full: set[str] = {""}  # directories that keep something
    for entry in reversed(walk.entries):
        folder, _, name = entry.path.rpartition("/")
        goes = not entry.managed and not walk.keeps(entry.path) and rules.goes(name, entry.found)
        if goes and entry.is_directory:
            goes = spec.rmdirs and entry.path not in full and _is_seen(spec, system, entry.path)
        if goes:
            yield entry.path
        else:
            full.add(folder)


def _is_seen(spec: TidySpec, system: ReadOnlySystem, path: str) -> bool:
    """Tell whether what a directory holds was walked, or it is empty."""
    levels = _levels(spec)
    entered = levels is None or path.count("/") + 1 < levels
    return entered or not system.list(at(spec, path))


def _levels(spec: TidySpec) -> int | None:
    """Return how many levels are looked at; None: all."""
    return None if spec.recurse is True else spec.recurse or 1


def _own() -> list[str]:
    """Return where the agent keeps its state and its lock, as whole trees."""
    places = [
        *private.places("/", "var/lib", "converge"),
        *private.places("/", "run", "converge"),
    ]
    return [f"{place}/" for place in places]


def _number(text: str, units: dict[str, int]) -> int:
    return int(text[:-1]) * units[text[-1]]
