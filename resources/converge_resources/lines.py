"""A text as lines, and back."""

from __future__ import annotations

from converge.record import Record


class Lines(Record):
    """The lines of a text without their breaks; `ended`: the last one has a break too."""

    lines: list[str]
    ended: bool = True

    def text(self) -> str:
        """Return the text."""
        return "\n".join(self.lines) + ("\n" if self.lines and self.ended else "")

    def data(self) -> bytes:
        """Return the text as bytes, as a state holds it."""
        return self.text().encode(errors="surrogateescape")

    def inserted(self, at: int, lines: list[str]) -> Lines:
        """Return the text with more lines from an index on, each of them with a break."""
        changed = [*self.lines[:at], *lines, *self.lines[at:]]
        return Lines(lines=changed, ended=self.ended or at == len(self.lines))


def split(text: str) -> Lines:
    """Return the lines of a text. Only a line feed ends one."""
    lines = text.split("\n")
    ended = lines[-1] == ""
    return Lines(lines=lines[:-1] if ended else lines, ended=ended)
