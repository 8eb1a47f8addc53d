"""Reading YAML: plain data with the place of every value, from PyYAML's events.

PyYAML's own loaders crash the process on 60 KB of `[`, need a minute for 300 bytes of merge keys,
raise half a dozen foreign exceptions and read YAML 1.1 (`no` is false). So only its parser is
used, one event at a time, with every limit checked before anything is built.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from converge.errors import Problem
from converge.language import yamltext
from converge.language.places import find, pack, unpack
from converge.language.yamlbuild import Builder
from converge.record import Record

if TYPE_CHECKING:
    from collections.abc import Iterator

    from converge.language.places import Places

_REMEDIES = (  # what the parser says → what helps
    ("while scanning an alias", "quote a value that begins with `*`"),
    ("while scanning an anchor", "quote a value that begins with `&`"),
    ("cannot start any token", "quote the value"),
    ("mapping values are not allowed", "check the indentation, or quote a value that has `: `"),
    ("did not find expected '-'", "check the indentation"),
    ("did not find expected key", "check the indentation and the quotes"),
    ("unknown escape", r"between double quotes write `\\` for a backslash, or use single quotes"),
)


class Document(Record):
    """One YAML file: plain data (dict with str keys, list, str, int, float, bool, None).

    `data` is None for an empty file. It is a tree: what an alias stands for has been copied.
    `places` is for `place` and `value_place` alone.
    """

    data: Any
    places: int | Places
    file: str

    def place(self, path: tuple[str | int, ...] = ()) -> tuple[int, int]:
        """Return (line, column), from 1, of an entry: of its key, or of an item of a list.

        What is not there has the place of its nearest ancestor.
        """
        return unpack(find(self.data, self.places, path)[0])

    def value_place(self, path: tuple[str | int, ...] = ()) -> tuple[int, int]:
        """Return (line, column) of a value, where `place` gives that of its key."""
        return unpack(find(self.data, self.places, path)[1])

    def problem(
        self, path: tuple[str | int, ...], message: str, remedy: str = "", resource: str = ""
    ) -> Problem:
        """Return a problem at the place of an entry."""
        line, column = self.place(path)
        return Problem(
            message=message, file=self.file, line=line, column=column,
            resource=resource, remedy=remedy,
        )  # fmt: skip


def load(data: bytes, file: str) -> Document:
    """Return the one document of a YAML file. `file` names it in messages.

    Raises ProfileError with every problem that was found, each with its place.
    """
    text = yamltext.decode(data, file)
    builder = Builder(file)
    for event in _events(text, builder):
        builder.take(event)
    value, places = builder.finish()
    return Document(data=value, places=places, file=file)


def _events(text: str, builder: Builder) -> Iterator[Any]:
    """Yield the parser's events; what it raises becomes a problem and the end of the file."""
    import yaml

    loader: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
    try:
        yield from yaml.parse(text, Loader=loader)
    except yaml.MarkedYAMLError as error:
        mark: Any = error.problem_mark or error.context_mark
        what = ", ".join(part for part in (error.context, error.problem) if part)
        remedy = _remedy(text, mark.line, mark.column, what)
        begun: Any = error.context_mark
        if begun and begun.line != mark.line and "quoted scalar" in what:
            remedy = f"the quote that opens in line {begun.line + 1} is not closed"
        builder.stop(f"not YAML: {what[:200]}", remedy, pack(mark.line + 1, mark.column + 1))
    except (yaml.YAMLError, ValueError, ArithmeticError, LookupError) as error:
        # the pure Python parser lets through what int() and chr() raise
        builder.stop(f"not YAML: {str(error).partition(chr(10))[0][:200]}", "", 0)


def _remedy(text: str, line: int, column: int, what: str) -> str:
    shown = "".join(text.splitlines()[line : line + 1])
    if "{{" in shown or "{%" in shown:
        return 'quote a value that is a template: "{{ … }}"'
    if shown[column : column + 1] == "\t":
        return "indent with spaces, not tabs"
    return next((remedy for sign, remedy in _REMEDIES if sign in what), "")
