"""Where the values of vars come from: each var has one value for each place that sets it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from converge.record import Record

if TYPE_CHECKING:
    from converge.language.yamlfile import Document

# Jinja2's own words: a var of such a name could never be read.
_WORDS = ("true", "false", "none", "True", "False", "None", "not", "and", "or", "in", "is", "if")
_TAKEN = ("facts", *_WORDS, "else", "elif", "recursive")


class Origin(Record):
    """One value of a var as it was written, and where.

    `source` is `include`, `profile`, `layer` or `given` (by the environment or a flag, which have
    no document). `path` is the place in the document.
    """

    value: Any
    source: str
    document: Document | None = None
    path: tuple[str | int, ...] = ()

    @property
    def place(self) -> str:
        """Return `file:line`, empty without a document."""
        if self.document is None:
            return ""
        return f"{self.document.file}:{self.document.place(self.path)[0]}"


def name_problem(name: str) -> tuple[str, str]:
    """Return (message, remedy) if this cannot name a var, else empty ones."""
    if name in _TAKEN:
        return f"`{name}` cannot name a var", "it means something else in a template"
    if not name.isidentifier():
        return f"`{name}` cannot name a var", "use letters, digits and `_`, no digit first"
    return "", ""
