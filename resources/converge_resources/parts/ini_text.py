"""The grammar of INI and of its simpler relatives: sections, keys and values, by line numbers.

No standard says what INI is. Here: a line that begins with `#` or `;` is a comment, `[name]` begins a
section, and what stands before the first separator is a key. A line that is indented deeper than its
key and has no separator goes on with the value (Python's configparser), and so does whatever follows
a backslash at the end of a line (systemd.syntax(7)).
"""

from __future__ import annotations

import re
from functools import lru_cache

from converge.record import Record
from converge_resources.parts.lines import Lines, split

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

_HEADER = re.compile(r"\s*\[(.*)\]\s*(?:[#;].*)?")
COMMENTS = ("#", ";")


class Entry(Record):
    """A key with its value (None: a key alone), on the lines from `first` to before `after`.

    `head` is what stands before the value: indentation, key and separator as they were written.
    """

    key: str
    value: str | None
    head: str
    first: int
    after: int


class Section(Record):
    """A section, from its header to before `after`; the one before all headers has no name."""

    name: str | None
    header: int  # -1: none
    after: int
    entries: list[Entry]

    def end(self, lines: int) -> int:
        """Return where an entry is added to it, in a file of so many lines.

        That is after its last entry, or its header; in a file of nothing but comments at the end.
        """
        if self.entries:
            return self.entries[-1].after
        return lines if self.name is None and self.after == lines else self.header + 1


@lru_cache(maxsize=2)  # many resources edit one file
def parse(text: str, sign: str) -> tuple[Lines, list[Section]]:
    """Return the lines and sections of a file, not to be changed.

    `sign` parts key and value; empty: white space does.
    """
    lines = split(text)
    return lines, _sections(lines.lines, sign)


def _sections(lines: Sequence[str], sign: str) -> list[Section]:
    found: list[Section] = []
    name, header, entries = None, -1, list[Entry]()
    index = 0
    while index < len(lines):
        line = lines[index]
        title = _HEADER.fullmatch(line)
        if title:
            found.append(Section(name=name, header=header, after=index, entries=entries))
            name, header, entries = title[1].strip(), index, []
        elif line.strip() and not is_comment(line):
            entries.append(_entry(lines, index, sign))
            index = entries[-1].after
            continue
        index += 1
    return [*found, Section(name=name, header=header, after=len(lines), entries=entries)]


def is_comment(line: str) -> bool:
    """Tell whether a line is a comment."""
    return line.lstrip().startswith(COMMENTS)


def is_disabled(line: str, key: str, sign: str) -> bool:
    """Tell whether a line is a comment that shows this key, as in `#key = value`."""
    if not is_comment(line):
        return False
    shown, _, value = divide(line.lstrip().lstrip("#;"), sign)
    return shown == key and (value is not None or not sign)


def divide(line: str, sign: str) -> tuple[str, str, str | None]:
    """Return (key, what stands before the value, value) of a line; no value: None."""
    if sign:
        left, found, right = line.partition(sign)
    else:
        key = line.split(None, 1)[0] if line.strip() else ""
        left = line[: line.find(key) + len(key)]
        right = line[len(left) :]
        found = right.strip()
    if not found:
        return line.strip(), line.rstrip(), None
    value = right.strip()
    return left.strip(), line[: len(line.rstrip()) - len(value)], value


def _entry(lines: Sequence[str], first: int, sign: str) -> Entry:
    key, head, value = divide(lines[first], sign)
    values, after = [value or ""], first + 1
    while after < len(lines) and _goes_on(lines, first, after, sign):
        values.append(lines[after].strip())
        after += 1
    if after > first + 1:
        value = "\n".join(values)
    return Entry(key=key, value=value, head=head, first=first, after=after)


def _goes_on(lines: Sequence[str], first: int, index: int, sign: str) -> bool:
    line = lines[index]
    if lines[index - 1].endswith("\\"):
        return True
    if not line.strip() or is_comment(line) or _HEADER.fullmatch(line):
        return False
    return _indent(line) > _indent(lines[first]) and divide(line, sign)[2] is None


def _indent(line: str) -> int:
    return len(line) - len(line.lstrip())
