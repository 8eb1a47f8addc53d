"""What a run must be able to undo after a kill: files being written in place.

    journal/ID.json   {"path": …}        and beside it
    journal/ID.old    the content before, 0600

Entries appear whole (temporary name, rename) and vanish when the write has ended. What is found at
the start of a run was interrupted: the old content is put back before anything is inspected.
"""

from __future__ import annotations

import json
import os
from contextlib import contextmanager
from typing import TYPE_CHECKING

from converge import atomic

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator


class Journal:
    """The journal in one directory of the state (0700, of the agent's own user)."""

    def __init__(self, folder: str) -> None:
        self.folder = folder

    def begin(self, path: str, old: bytes) -> str:
        """Note that `path`, whose content is `old`, is about to be written in place."""
        os.makedirs(self.folder, mode=0o700, exist_ok=True)
        entry = os.urandom(8).hex()
        folder_fd = os.open(self.folder, os.O_RDONLY | os.O_DIRECTORY)
        try:
            atomic.replace(folder_fd, f"{entry}.old", old)
            atomic.replace(folder_fd, f"{entry}.json", json.dumps({"path": path}).encode())
        finally:
            os.close(folder_fd)
        return entry

    def end(self, entry: str) -> None:
        """Forget an entry whose write has ended, well or put back."""
        for name in (f"{entry}.json", f"{entry}.old"):
            try:
                os.unlink(os.path.join(self.folder, name))
            except FileNotFoundError:
                continue

    @contextmanager
    def staged(self, content: bytes) -> Iterator[str]:
        """Lend a path at which `content` lies while it is looked at."""
        os.makedirs(self.folder, mode=0o700, exist_ok=True)
        folder_fd = os.open(self.folder, os.O_RDONLY | os.O_DIRECTORY)
        name = atomic.temporary_name()
        try:
            atomic.replace(folder_fd, name, content)
            yield os.path.join(self.folder, name)
        finally:
            atomic.discard(folder_fd, name)
            os.close(folder_fd)

    def recover(self, restore: Callable[[str, bytes], None]) -> list[str]:
        """Give every interrupted write's path and old content to `restore`; return the paths."""
        try:
            names = os.listdir(self.folder)
        except FileNotFoundError:
            return []
        paths = []
        for name in sorted(names):
            entry, _, suffix = name.partition(".")
            if suffix == "json":
                with open(os.path.join(self.folder, name), encoding="utf-8") as file:
                    path = json.load(file)["path"]
                with open(os.path.join(self.folder, f"{entry}.old"), "rb") as content:
                    restore(path, content.read())
                paths.append(path)
                self.end(entry)
        return paths
