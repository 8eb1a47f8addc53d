"""Which paths are watched, and which of them have drifted since a run looked at them.

The worker tells, for each path that a resource is about, what it looked like when it was read last
(converge.daemon.prints). An event only raises the question; the answer is whether it looks
different now, so the agent's own changes, and a write that changes nothing, start nothing. One
inotify instance watches directories (files are replaced by rename) and files that are mounts.
Where it cannot be had, everything is looked at every few seconds.
"""

from __future__ import annotations

import errno
import os

from converge.daemon import kernel, prints

TYPE_CHECKING = False  # typing costs a megabyte that would be held for ever
if TYPE_CHECKING:
    from collections.abc import Iterator

FILE, CONTENT, PROFILE, MOUNTED = "f", "d", "p", "m"
_GONE = (errno.ENOENT, errno.ENOTDIR, errno.ELOOP)
_LOST = kernel.IN_DELETE_SELF | kernel.IN_MOVE_SELF | kernel.IN_UNMOUNT | kernel.IN_IGNORED


def is_record(text: str) -> bool:
    """Tell whether this is `KIND PRINT PATH`."""
    kind, _, rest = text.partition(" ")
    number, _, path = rest.partition(" ")
    digits = number.removeprefix("-")
    return (
        kind in ("-", FILE, CONTENT, PROFILE, MOUNTED)
        and path.startswith("/")
        and digits.isdecimal()
        and len(digits) < 32
    )


class Watches:
    """`fd` is the descriptor to wait for (-1: none); `trouble` says why paths are only polled.

    `own` is the agent's own directory: an event there only wakes up, and who waits looks after it.
    """

    def __init__(self, *, events: bool = True, own: str = "") -> None:
        self.on, self.own = events, own
        self.fd = -1
        self.trouble = ""
        self.prints: dict[str, int] = {}
        self.kinds: dict[str, str] = {}
        self._places: dict[int, list[str]] = {}  # watch → its paths: links lead to one directory
        self._numbers: dict[str, int] = {}  # path → watch
        self._missing: set[str] = set()  # directories that are not there
        self._turned: set[str] = set()  # places whose watch has ended, or that may be there now
        self._questions: set[str] = set()
        self._everything = False

    def __len__(self) -> int:
        return len(self._numbers)

    def close(self) -> None:
        """Watch nothing any more."""
        if self.fd >= 0:
            os.close(self.fd)
        self.__init__(events=self.on, own=self.own)  # type: ignore[misc]

    def update(self, records: list[str], *, whole: bool) -> None:
        """Take in a worker's records, `KIND PRINT PATH`; `-` for a kind: leave that path alone."""
        if not self.on:
            return
        if whole:
            self.prints, self.kinds = {}, {}
            self.trouble = ""  # what could not be had may be had now
        for record in records:
            kind, number, path = record.split(" ", 2)
            if kind == "-":
                self.prints.pop(path, None)
                self.kinds.pop(path, None)
            else:
                self.prints[path], self.kinds[path] = int(number), kind
                if not whole:
                    self._questions.add(path)
        if whole:
            self._everything = True  # what changed since the worker looked at it is drift too
        self._arm(afresh=whole)

    def read(self) -> bool:
        """Take in what the kernel has to say; return whether it may concern us."""
        before = len(self._questions)
        for number, mask, name in kernel.events(self.fd):
            self._event(number, mask, name)
        if self._turned:  # together: a tree of thousands may have gone
            self._follow(self._turned)
        return self._everything or len(self._questions) > before

    def look_at_everything(self) -> None:
        """Ask of every path whether it has drifted."""
        self._everything = True

    def drifted(self) -> set[str]:
        """Return the paths that look different from when a run read them last, and ask no more."""
        asked = set(self.prints) if self._everything else self._questions
        self._questions, self._everything = set(), False
        found = set()
        for path in asked:
            kind = self.kinds.get(path)
            if path.endswith("/"):  # an event in a directory whose entries count
                found.add(path[:-1])
            elif kind and prints.of(path, content=kind == CONTENT) != self.prints[path]:
                found.add(path)
        return found

    def is_profile(self, path: str) -> bool:
        """Tell whether a path is of the profile, so that everything must be looked at again."""
        return self.kinds.get(path) == PROFILE

    def _event(self, number: int, mask: int, name: str) -> None:
        if mask & kernel.IN_Q_OVERFLOW:
            self._everything = True
            self._arm(afresh=True)  # the end of a watch may be among what was lost
            return
        for place in self._places.get(number, ()):
            path = os.path.join(place, name) if name else place
            if path in self.prints:
                self._questions.add(path)
            if self.kinds.get(place) == CONTENT:
                self._questions.add(place + "/")
        if mask & _LOST and not name:
            self._lost(number, mask)
        elif name:
            paths = {os.path.join(place, name) for place in self._places.get(number, ())}
            self._turned |= paths & self._missing

    def _lost(self, number: int, mask: int) -> None:
        """A watched directory or mount has gone: what was in it is another thing now."""
        if not mask & kernel.IN_IGNORED:
            kernel.unwatch(self.fd, number)
        for place in self._places.pop(number, ()):
            del self._numbers[place]
            self._turned.add(place)

    def _follow(self, turned: set[str]) -> None:
        """Ask of all at and below places that have turned, and watch what is there now."""
        self._turned = set()
        self._questions |= {path for path in self.prints if not turned.isdisjoint(_way(path))}
        self._arm()

    def _arm(self, *, afresh: bool = False) -> None:
        """Watch what has to be watched, and nothing else.

        With `afresh` also what is watched: a path may lead to another directory by now, if one
        above it was moved. The kernel gives the same watch for the same directory.
        """
        wanted = {os.path.dirname(path) for path in self.prints}
        # A profile may be a mount of its own, which its directory has no events of.
        wanted |= {path for path, kind in self.kinds.items() if kind in (CONTENT, MOUNTED, PROFILE)}
        wanted |= {self.own} if self.own else set()
        if self.fd < 0 and not self.trouble and wanted:
            try:
                self.fd = kernel.inotify()
            except OSError as error:
                self.trouble = f"no inotify: {error.strerror}"
        if self.fd < 0:
            return
        before, self._missing = set(self._places), set()
        if afresh:
            self._places, self._numbers = {}, {}
        needed = {self._add(path) for path in wanted}
        for path in [path for path in self._numbers if path not in needed]:
            self._places[self._numbers.pop(path)].remove(path)
        self._places = {number: paths for number, paths in self._places.items() if paths}
        for number in before - set(self._places):
            kernel.unwatch(self.fd, number)

    def _add(self, path: str) -> str:
        """Watch a path, or the nearest directory above it that is there; return which."""
        place = path
        while place not in self._numbers:
            if place in self._missing:
                place = os.path.dirname(place)
                continue
            try:
                number = kernel.watch(self.fd, place)
            except OSError as error:
                if error.errno in _GONE and place != "/":
                    self._missing.add(place)
                    place = os.path.dirname(place)
                    continue
                self.trouble = f"not all can be watched: {place}: {error.strerror}"
                return place
            self._numbers[place] = number
            self._places.setdefault(number, []).append(place)
        return place


def _way(path: str) -> Iterator[str]:
    """Yield a path and each directory above it."""
    while path != "/":
        yield path
        path = os.path.dirname(path)
    yield path
