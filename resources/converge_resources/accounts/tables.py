"""The account files as tables: passwd(5), group(5), shadow(5) and gshadow(5).

What is no entry (comments, NIS lines, malformed lines) is kept byte for byte, and so is the order.
"""

from __future__ import annotations

from converge.errors import ApplyError

Row = dict[str, str]

COLUMNS = {
    "passwd": ("name", "password", "uid", "gid", "comment", "home", "shell"),
    "group": ("name", "password", "gid", "members"),
    "shadow": (
        "name", "password", "changed", "minimum", "maximum", "warning", "inactive", "expires",
        "reserved",
    ),
    "gshadow": ("name", "password", "administrators", "members"),
}  # fmt: skip
FILES = tuple(f"/etc/{name}" for name in COLUMNS)
_NOT_A_NAME = ("", "+", "-", "#")
_FORBIDDEN = (":", "\n", "\r", "\0")


class Table:
    """One account file. `columns` names the fields of an entry."""

    def __init__(self, data: bytes, columns: tuple[str, ...]) -> None:
        self.columns = columns
        # Not splitlines(): a comment may hold U+2028, which ends no line for the C library.
        self._lines = data.decode(errors="surrogateescape").split("\n")
        self._rows: dict[str, Row] | None = None

    def serialise(self) -> bytes:
        """Return the file's bytes: what was parsed, but for what was put or removed."""
        return "\n".join(self._lines).encode(errors="surrogateescape")

    def rows(self) -> dict[str, Row]:
        """Return the entries by name, in order; of several with one name the first, as getpwnam."""
        if self._rows is None:
            self._rows = {}
            for line in self._lines:
                row = self._parse(line)
                if row is not None:
                    self._rows.setdefault(row["name"], row)
        return self._rows

    def put(self, row: Row) -> None:
        """Replace the entry of this name, or add it before the NIS lines at the end."""
        line = self._line(row)
        for index, old in enumerate(self._lines):
            found = self._parse(old)
            if found is not None and found["name"] == row["name"]:
                self._lines[index] = line
                break
        else:
            self._insert(line)
        self._rows = None

    def remove(self, name: str) -> None:
        """Remove every entry of this name; it is no error if there is none."""
        parsed = ((line, self._parse(line)) for line in self._lines)
        self._lines = [line for line, row in parsed if row is None or row["name"] != name]
        self._rows = None

    def _insert(self, line: str) -> None:
        if self._lines[-1]:
            self._lines.append("")  # the last line did not end
        nis = (i for i, old in enumerate(self._lines) if old.startswith(("+", "-")))
        self._lines.insert(next(nis, len(self._lines) - 1), line)

    def _line(self, row: Row) -> str:
        for column in self.columns:
            if any(character in row[column] for character in _FORBIDDEN):
                raise ApplyError(f"the {column} of {row['name']!r} would break the line")
        return ":".join(row[column] for column in self.columns)

    def _parse(self, line: str) -> Row | None:
        fields = line.split(":")
        if len(fields) != len(self.columns) or fields[0][:1] in _NOT_A_NAME:
            return None
        row = dict(zip(self.columns, fields, strict=True))
        numbers = (row[column] for column in ("uid", "gid") if column in row)
        return row if all(n.isascii() and n.isdigit() for n in numbers) else None


def names(field: str) -> list[str]:
    """Return the names in a field of members, `a,b`."""
    return [name for name in field.split(",") if name]
