"""Files that are written one by one and made durable together: an fsync(2) of each takes its turn
of the disk, many at once share a few.

Each is old or new at any instant, as by the writer alone: all are staged; then what they replace is
made durable in the backups, then they; only then each takes its name, and last the directories
are synced, once each.
"""

from __future__ import annotations

import os

from converge.files import atomic

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from converge.files.writer import Replacement, Staged
    from converge.system import System

_MOST = 128  # staged at a time, with two descriptors each
_SHARE = 8  # of the descriptors that are allowed


class Together:
    """Files that wait. `errors` tells, by the `owner` that was set when it was added, what failed."""

    def __init__(self, system: System) -> None:
        allowed = os.sysconf("SC_OPEN_MAX")
        self._most = min(_MOST, max(1, allowed // _SHARE)) if allowed > 0 else _MOST
        self._writer, self._in_place = system.writer, system.written_in_place
        self._waiting: list[tuple[str, Staged, str]] = []  # owner, file, real path of its directory
        self.owner = ""
        self.errors: dict[str, Exception] = {}

    def add(self, folder_fd: int, name: str, new: Replacement, real_folder: str) -> None:
        """Stage a file. Raises OSError, ApplyError; the target is then as it was."""
        own_fd = os.dup(folder_fd)
        try:
            staged = self._writer.stage(own_fd, name, new)
        except BaseException:
            os.close(own_fd)
            raise
        self._waiting.append((self.owner, staged, real_folder))
        if len(self._waiting) >= self._most:
            self.finish()

    def finish(self) -> None:
        """Let all that wait take their names."""
        waiting, self._waiting = self._waiting, []
        try:
            if self._safe([staged for _, staged, _ in waiting], waiting):
                self._finish(waiting)
        finally:
            for _, staged, _ in waiting:
                staged.close()
                os.close(staged.folder_fd)

    def _safe(self, files: list[Staged], waiting: list[tuple[str, Staged, str]]) -> bool:
        """Make durable what is replaced; without that nothing is."""
        try:
            self._writer.finish_backups(files)
        except Exception as error:  # noqa: BLE001  one bad resource must not stop its neighbours
            for owner, staged, _ in waiting:
                staged.discard()
                self.errors[owner] = error
            return False
        return True

    def _finish(self, waiting: list[tuple[str, Staged, str]]) -> None:
        failed = atomic.sync_all([staged.fd for _, staged, _ in waiting])
        folders: dict[tuple[int, int], tuple[int, list[str]]] = {}
        for (owner, staged, real_folder), error in zip(waiting, failed, strict=True):
            if error is not None:
                staged.discard()
                self.errors[owner] = error
            elif self._try(owner, self._put, staged, real_folder):
                found = os.fstat(staged.folder_fd)
                place = (found.st_dev, found.st_ino)
                folders.setdefault(place, (staged.folder_fd, []))[1].append(owner)
        for folder_fd, owners in folders.values():
            self._sync_folder(folder_fd, owners)

    def _put(self, staged: Staged, real_folder: str) -> None:
        done = self._writer.put(staged, real_folder)
        if done is None:  # it changed meanwhile: once more, by itself
            done = self._writer.write(staged.folder_fd, staged.name, staged.new, real_folder)
        if done:
            self._in_place.add(staged.new.path)

    def _sync_folder(self, folder_fd: int, owners: list[str]) -> None:
        if not self._try(owners[0], atomic.sync_directory, folder_fd):
            self.errors |= dict.fromkeys(owners, self.errors[owners[0]])

    def _try(self, owner: str, action: Callable[..., None], *arguments: object) -> bool:
        try:
            action(*arguments)
        except Exception as error:  # noqa: BLE001  one bad resource must not stop its neighbours
            self.errors[owner] = error
            return False
        return True
