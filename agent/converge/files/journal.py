"""What a run must be able to undo after a kill: files being written in place.

    journal/ID.json   {"path": …, "digest": …}  and beside it
    journal/ID.old    the content before, 0600

Entries appear whole (temporary name, rename) and vanish when the write has ended. What is found at
the start of a run was interrupted: the old content is put back before anything is inspected.
"""

from __future__ import annotations

import errno
import os

from converge import jsontext
from converge.errors import ConvergeError
from converge.files import atomic, digests

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

_FOLDER = os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC
# The mount has gone with what was half-written in it, or is no regular file any more.
_NOTHING_TORN = (errno.ENOENT, errno.ENOTDIR, errno.ELOOP, errno.EINVAL)


class Journal:
    """The journal in one directory of the state (0700, of the agent's own user).

    `pending` says, after `recover`, what could not be put back and is tried again by the next run.
    """

    def __init__(self, folder: str) -> None:
        self.folder = folder
        self.pending: list[str] = []

    def begin(self, path: str, old: bytes) -> str:
        """Note that `path`, whose content is `old`, is about to be written in place."""
        os.makedirs(self.folder, mode=0o700, exist_ok=True)
        entry = os.urandom(8).hex()
        note = jsontext.dumps({"path": path, "digest": digests.of(old)})
        folder_fd = os.open(self.folder, _FOLDER)
        try:
            atomic.replace(folder_fd, f"{entry}.old", old)
            atomic.replace(folder_fd, f"{entry}.json", note.encode())
        finally:
            os.close(folder_fd)
        return entry

    def end(self, entry: str) -> None:
        """Forget an entry whose write has ended, well or put back, for good: it must not come back."""
        folder_fd = os.open(self.folder, _FOLDER)
        try:
            for name in (f"{entry}.json", f"{entry}.old"):
                atomic.discard(folder_fd, name)
            atomic.sync_directory(folder_fd)
        finally:
            os.close(folder_fd)

    def show(self, content: bytes, look: Callable[[str], None]) -> None:
        """Call `look` with a path at which `content` lies meanwhile."""
        os.makedirs(self.folder, mode=0o700, exist_ok=True)
        folder_fd = os.open(self.folder, _FOLDER)
        name = atomic.temporary_name()
        try:
            atomic.replace(folder_fd, name, content)
            look(os.path.join(self.folder, name))
        finally:
            atomic.discard(folder_fd, name)
            os.close(folder_fd)

    def recover(self, restore: Callable[[str, bytes], None]) -> list[str]:
        """Give every interrupted write's path and old content to `restore`; return the paths.

        What cannot be put back now stays, and `pending` says why; what is damaged is set aside as
        `.corrupt`; all else that a killed run left here is removed. Call it only under the lock.
        """
        self.pending = []
        try:
            names = sorted(os.listdir(self.folder))
        except FileNotFoundError:
            return []
        entries = [name.removesuffix(".json") for name in names if name.endswith(".json")]
        paths = [path for entry in entries if (path := self._recover(entry, restore))]
        self._sweep()
        return paths

    def _recover(self, entry: str, restore: Callable[[str, bytes], None]) -> str | None:
        try:
            path, old = self._load(entry)
        except (ValueError, KeyError, TypeError, FileNotFoundError) as error:
            note = os.path.join(self.folder, entry)
            os.rename(f"{note}.json", f"{note}.corrupt")
            self.pending.append(f"the journal's entry {entry} is damaged: {error}")
            return None
        try:
            restore(path, old)
        except ConvergeError as error:
            self.pending.append(f"{path}: cannot be put back: {error}")
            return None
        except OSError as error:
            if error.errno not in _NOTHING_TORN:
                self.pending.append(f"{path}: cannot be put back: {error.strerror}")
                return None
            path = ""
        self.end(entry)
        return path or None

    def _load(self, entry: str) -> tuple[str, bytes]:
        with open(os.path.join(self.folder, f"{entry}.json"), encoding="utf-8") as file:
            note = jsontext.loads(file.read())
        path: str = note["path"]
        with open(os.path.join(self.folder, f"{entry}.old"), "rb") as content:
            old = content.read()
        if digests.of(old) != note["digest"]:
            raise ValueError("the old content is not what it was")
        return path, old

    def _sweep(self) -> None:
        """Remove temporary files, and old contents that no entry names."""
        folder_fd = os.open(self.folder, _FOLDER)
        try:
            atomic.sweep(folder_fd)
            names = set(os.listdir(self.folder))
            for name in names:
                entry, _, suffix = name.partition(".")
                if suffix == "old" and not names & {f"{entry}.json", f"{entry}.corrupt"}:
                    atomic.discard(folder_fd, name)
        finally:
            os.close(folder_fd)
