"""What the agent remembers between runs, in one private directory (converge.state.private).

    report.json, reports/ID.json   the last report; the last ones that changed or failed something
    pending.json                   refreshes that are still owed
    running.json                   the directories that the run under way writes in
    backups/, journal/, notes/     converge.files.backup, converge.files.journal, converge.state.notes
    catalog.json, baked.json       converge.state.cache, converge.baking

All of it can be made again: a damaged state never stops the agent (converge.state.store).
"""

from __future__ import annotations

import os

from converge import jsontext
from converge.state import private
from converge.state.store import Store, drop_oldest, newest_first

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence
    from typing import Any, TypeGuard

    from converge.files.backup import Backups
    from converge.files.journal import Journal
    from converge.state.notes import Notes

MOST_REPORTS = 50


def find(
    explicit: str | None,
    root: str = "/",
    name: str = "converge",
    *,
    create: bool = True,
    most_bytes: int = 64 << 20,
    most_days: int = 90,
) -> StateDirectory | None:
    """Return the state directory, None where there can be none.

    `explicit` (CONVERGE_STATE_DIR) is used as it is, or UsageError is raised. Else it is the first
    that can be written of ROOT/var/lib/NAME (in a volume there that lets others in: NAME-UID in it)
    and, when the root is the machine's own, /run/NAME-UID, /tmp/NAME-UID and /dev/shm/NAME-UID; a
    directory that is not ours alone, or that others could replace, is passed over. With
    `create=False` (dry runs, status) nothing is made or changed: None if there is no state yet.
    `most_bytes` and `most_days` cap the backups.
    """
    candidates = private.places(root, "var/lib", name)
    path = private.choose(explicit, candidates, "CONVERGE_STATE_DIR", create=create)
    if path is None:
        return None
    return StateDirectory(path, read_only=not create, most_bytes=most_bytes, most_days=most_days)


def told_of_place(state: StateDirectory | None, explicit: str | None, root: str) -> list[str]:
    """Say that there is no state, or, in the first run, that a volume for it is of no use."""
    first = private.places(root, "var/lib", "converge")[0]
    inside = state is not None and f"{state.path}/".startswith(f"{first}/")
    trouble = ""
    if explicit is None and not inside and os.path.ismount(first):
        trouble = private.problem(first, create=False) or ""
    if state is None:
        nowhere = "runs without state: no state directory can be written"
        return [f"{nowhere}; {trouble}" if trouble else nowhere]
    if not trouble or state.read("report.json") is not None:
        return []
    return [f"the state is in {state.path}, as {trouble}"]


def notes_of(state: StateDirectory | None, root: str) -> Callable[[], Notes] | None:
    """Return what finds the notes of kinds, as a System takes it; None: there is no state."""
    return (lambda: state.notes(root)) if state else None


class StateDirectory(Store):
    """A state directory that `find` has looked at."""

    def __init__(
        self,
        path: str,
        *,
        read_only: bool = False,
        most_bytes: int = 64 << 20,
        most_days: int = 90,
    ) -> None:
        super().__init__(path, read_only=read_only)
        self._most = (most_bytes, most_days)
        self._backups: Backups | None = None
        self._journal: Journal | None = None
        self._image_files: Mapping[str, Sequence[object]] | None = None

    @property
    def backups(self) -> Backups:
        """The contents that were replaced; at most a quarter of the file system that they are on."""
        from converge.files.backup import Backups

        if self._backups is None:
            most_bytes, most_days = self._most
            # /dev/shm, the last resort, has 64 MB in a container and belongs to the application.
            disk = os.statvfs(self.path)
            most_bytes = min(most_bytes, disk.f_blocks * disk.f_frsize // 4)
            self._backups = Backups(os.path.join(self.path, "backups"), most_bytes, most_days)
        return self._backups

    @property
    def journal(self) -> Journal:
        """The writes in place that are under way."""
        from converge.files.journal import Journal

        if self._journal is None:
            self._journal = Journal(os.path.join(self.path, "journal"))
        return self._journal

    def notes(self, root: str = "/") -> Notes:
        """Return what kinds remember; of what is not here, what the image brought.

        The state is elsewhere than in the image where that is read-only, or belongs to another user.
        """
        from converge.state.notes import Notes

        baked = self.baked(root)
        return Notes(self, None if baked is self else baked)

    def baked(self, root: str = "/") -> Store | None:
        """Return the state that the image brought: this one, another that is only read, or None."""
        place = private.places(root, "var/lib", "converge")[0]
        if place == self.path:
            return self
        good = private.problem(place, create=False, write=False) == ""
        return Store(place, read_only=True) if good else None

    def image_files(self, root: str = "/") -> Mapping[str, Sequence[object]]:
        """Return what the image's files looked like when it was made (converge.baking)."""
        if self._image_files is None:
            from converge.state import image

            baked = self.baked(root)
            self._image_files = image.digests(baked) if baked else {}
        return self._image_files

    def keep_report(self, report: Mapping[str, Any]) -> str | None:
        """Keep the report of a run that ended; return its id if it joins the history.

        It does if something changed or failed; the 50 newest are kept. Raises OSError.
        """
        data = jsontext.dumps(report).encode() + b"\n"
        self.write("report.json", data, durable=False)
        counts = report.get("counts", {})
        if not counts.get("changed") and not counts.get("failed"):
            return None
        name = str(report.get("id", ""))
        if not _is_report(name):
            name = os.urandom(8).hex()
        self.write(f"reports/{name}.json", data)
        folder = os.path.join(self.path, "reports")
        drop_oldest(folder, [f"{n}.json" for n in self.reports()], MOST_REPORTS)
        return name

    def last_report(self) -> dict[str, Any] | None:
        """Return the report of the last run; None: there is none."""
        return self._report("report.json")

    def reports(self) -> list[str]:
        """Return the ids of the reports in the history, newest first."""
        folder = os.path.join(self.path, "reports")
        try:
            names = [name for name in os.listdir(folder) if name.endswith(".json")]
            return [name.removesuffix(".json") for name in newest_first(folder, names)]
        except OSError:
            return []

    def report(self, name: str) -> dict[str, Any] | None:
        """Return a report of the history by its id; None: there is none."""
        return self._report(f"reports/{name}.json") if _is_report(name) else None

    def pending(self) -> dict[str, list[str]]:
        """Return the refreshes that are owed: the target → the ids that notified it."""
        found = self.read_json("pending.json")
        return found if _is_pending(found) else {}

    def set_pending(self, pending: Mapping[str, Iterable[str]]) -> None:
        """Note durably which refreshes are owed. Raises OSError."""
        if pending:
            self.write_json("pending.json", {key: list(ids) for key, ids in pending.items()})
        else:
            self.remove("pending.json")

    def mark_running(self, folders: Iterable[str]) -> None:
        """Note durably that a run writes in these directories from now on. Raises OSError."""
        self.write_json("running.json", sorted(folders))

    def interrupted(self) -> list[str] | None:
        """Return the directories that a run which did not end wrote in; None: every run ended.

        The list is empty if there was such a run, but its note is damaged.
        """
        if not os.path.lexists(os.path.join(self.path, "running.json")):
            return None
        found = self.read_json("running.json")
        return found if isinstance(found, list) and all(isinstance(f, str) for f in found) else []

    def clear_running(self) -> None:
        """Note that the run has ended. Raises OSError."""
        self.remove("running.json")

    def _report(self, name: str) -> dict[str, Any] | None:
        content = self.read(name)
        found = None if content is None else self.parse(name, content)
        if found is not None and not isinstance(found, dict):
            self.set_aside(name)
            return None
        return found


def _is_report(name: str) -> bool:
    """Tell whether a report may have this id: it becomes the name of a file."""
    plain = name.replace("-", "").replace("_", "")
    return name[:1].isalnum() and plain.isalnum() and name.isascii() and len(name) <= 100


def _is_pending(found: Any) -> TypeGuard[dict[str, list[str]]]:
    return isinstance(found, dict) and all(
        isinstance(ids, list) and all(isinstance(i, str) for i in ids) for ids in found.values()
    )
