"""Text files as an edit sees them.

An edit is a pure function from text to text. It sees lines that end in `\\n`, whatever the file's
own line breaks are, and never a byte order mark; bytes that are not UTF-8 pass through unharmed
(PEP 383). What it does not touch stays byte for byte.
"""

from __future__ import annotations

import codecs

from converge.errors import ApplyError
from converge.record import Record

TYPE_CHECKING = False
if TYPE_CHECKING:
    from converge.system import ReadOnlySystem


class EditError(ApplyError):
    """The file is not what the edit needs: no text, no JSON, without the line that is meant."""


class Text(Record):
    """A file's text, with `\\n` between its lines, and how its bytes differ from that."""

    body: str = ""
    dos: bool = False  # every line ends in CR LF
    mark: bool = False  # it begins with a byte order mark


def decode(data: bytes) -> Text:
    """Return the text of a file's bytes. Raises EditError for what is no text."""
    if b"\0" in data:
        raise EditError("is not a text: it holds NUL bytes")
    mark = data.startswith(codecs.BOM_UTF8)
    body = data[len(codecs.BOM_UTF8) if mark else 0 :].decode(errors="surrogateescape")
    breaks = body.count("\n")
    dos = 0 < breaks == body.count("\r\n")
    return Text(body=body.replace("\r\n", "\n") if dos else body, dos=dos, mark=mark)


def encode(text: Text, body: str) -> bytes:
    """Return the bytes of another body of the same file."""
    data = (body.replace("\n", "\r\n") if text.dos else body).encode(errors="surrogateescape")
    return codecs.BOM_UTF8 + data if text.mark else data


class Texts:
    """One reading of each file, for one inspect. A link at a path is followed if it is trusted."""

    def __init__(self, system: ReadOnlySystem) -> None:
        self._system = system
        self._found: dict[str, Text | EditError | None] = {}

    def body(self, path: str) -> str | None:
        """Return a file's text; None: there is none. Raises OSError, EditError."""
        if path not in self._found:
            data = self._system.read(path, follow=True)
            try:
                self._found[path] = None if data is None else decode(data)
            except EditError as error:
                self._found[path] = error
        found = self._found[path]
        if isinstance(found, EditError):
            raise EditError(f"{path} {found.args[0]}", found.remedy)
        return None if found is None else found.body


def real_path(system: ReadOnlySystem, path: str) -> str:
    """Return what a path names when a trusted link there is followed. Raises OSError."""
    return path if system.readlink(path) is None else system.paths.resolve(path)
