"""What kinds remember of their resources from run to run: a server's entity tag, a list of files.

Notes are plain data (JSON) by kind and name. They are known at once in the same run and kept by
`save` at its end; `inspect` may make them, as they are the agent's own and change nothing. A note
can be lost at any time: whoever made it looks again then.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

from converge.files import digests
from converge.state.store import drop_oldest

if TYPE_CHECKING:
    from converge.state.store import Store

MOST = 1000
_FOLDER = "notes"


class Notes:
    """The notes in `store`; None: for this run alone.

    What is not there is looked for in `older`, which is never written: what was noted when the
    image was built, where the container keeps its state elsewhere. `run` is for what others (a
    server) answered to a kind about a name, and is good for this run alone.
    """

    def __init__(self, store: Store | None = None, older: Store | None = None) -> None:
        self._store = store
        self._older = older
        self.run: dict[tuple[str, str], Any] = {}
        self._known: dict[str, dict[str, Any]] = {}
        self._changed: set[str] = set()

    def get(self, kind: str, name: str) -> dict[str, Any]:
        """Return what is noted of a resource, empty if nothing is."""
        file = _file(kind, name)
        if file not in self._known:
            self._known[file] = self._read(file)
        return self._known[file]

    def put(self, kind: str, name: str, note: dict[str, Any]) -> None:
        """Note something of a resource, in place of what was noted; empty: forget it."""
        file = _file(kind, name)
        if note != self.get(kind, name):
            self._known[file] = note
            self._changed.add(file)

    def save(self) -> None:
        """Keep what was noted, the newest thousand in all. Raises OSError."""
        if self._store is None or not self._changed:
            return
        for file in sorted(self._changed):
            self._store.write_json(file, self._known[file], durable=False)
        self._changed.clear()
        folder = os.path.join(self._store.path, _FOLDER)
        drop_oldest(folder, [n for n in os.listdir(folder) if n.endswith(".json")], MOST)

    def _read(self, file: str) -> dict[str, Any]:
        for store in (self._store, self._older):
            found = None if store is None else store.read_json(file)
            if isinstance(found, dict):
                return found
        return {}


def _file(kind: str, name: str) -> str:
    digest = digests.of(name.encode(errors="surrogateescape"))
    return f"{_FOLDER}/{kind}-{digest[:32]}.json"
