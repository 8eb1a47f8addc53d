"""Contents that do not fit into a profile: copies of live files beside it."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from converge.errors import ConvergeError, UsageError
from converge.system import System

if TYPE_CHECKING:
    from converge.declared import Declared
    from converge.system import ReadOnlySystem

_FOLDER = "files"
_MOST = 64 << 20  # bytes of one file, as a profile's folder may hold
_MOST_TOGETHER = 256 << 20
_MOST_TEXT = 640 << 10  # bytes of all contents in the profile's text, which may have 1 MiB


class Contents:
    """The contents of a profile. `copied`: those that lie beside it, by relative path."""

    def __init__(self, system: ReadOnlySystem, *, beside: bool) -> None:
        self._system = system
        self._beside = beside
        self._inside = 0
        self.copied: dict[str, bytes] = {}

    def settle(self, one: Declared) -> Declared:
        """Return the resource with its content in it, or beside it, or a comment in its place."""
        if one.reason:
            return one
        text = one.attributes.get("content")
        if isinstance(text, str) and one.kind == "file":
            self._inside += len(text.encode())
            if self._inside > _MOST_TEXT:
                kept = {key: v for key, v in one.attributes.items() if key != "content"}
                one = one.replace(attributes=kept, source=one.name)
        return self._source(one) if one.source else one

    def _source(self, one: Declared) -> Declared:
        where = f"{_FOLDER}{one.source}"
        size = getattr(self._system.lstat(one.source), "st_size", 0)
        if not self._beside:
            said = f"source: {where}  # {size} bytes, left out: --output DIR has them copied"
            return one.replace(comments=(*one.comments, said))
        if size > _MOST or size + sum(map(len, self.copied.values())) > _MOST_TOGETHER:
            return one.replace(comments=(*one.comments, f"its {size} bytes are too many to copy"))
        try:
            data = self._system.read(one.source, limit=_MOST)
        except OSError as error:
            return one.replace(reason=f"it cannot be read: {error.strerror or error}")
        if data is None:
            return one.replace(reason="it has just gone")
        self.copied[where] = data
        return one.replace(attributes={**one.attributes, "source": where})

    def put(self, folder: str, text: str) -> None:
        """Write the profile and the copies into a new or empty directory. Raises UsageError."""
        system, top = System(), os.path.abspath(folder)
        try:
            if system.list(top):
                raise UsageError(f"{folder} is not empty", "name a new directory")
            for name, data in {**self.copied, "profile.yaml": text.encode()}.items():
                _make(system, os.path.dirname(f"{top}/{name}"))
                system.write(f"{top}/{name}", data, mode=0o600, backup=False)
        except OSError as error:
            where = error.filename or folder
            raise UsageError(f"{where}: {error.strerror or error}") from error
        except UsageError:
            raise
        except ConvergeError as error:
            raise UsageError(f"{folder}: {error.args[0]}", error.remedy) from error


def _make(system: System, folder: str) -> None:
    if folder != "/" and system.lstat(folder) is None:
        _make(system, os.path.dirname(folder))
        system.make_directory(folder, mode=0o700)
