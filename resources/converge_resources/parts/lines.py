"""A text as lines, and back."""

from __future__ import annotations

from converge.record import Record


class Cut(Record):
    """Lines from `first` to before `after` that go, and what comes in their place."""

    first: int
    after: int
    lines: tuple[str, ...] = ()


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
        return self.changed([Cut(first=at, after=at, lines=tuple(lines))])

    def changed(self, cuts: list[Cut]) -> Lines:
        """Return the text with some lines replaced; the cuts do not overlap."""
        lines, end = list(self.lines), len(self.lines)
        for cut in sorted(cuts, key=lambda cut: (cut.first, cut.after), reverse=True):
            lines[cut.first : cut.after] = cut.lines
        return Lines(lines=lines, ended=self.ended or any(cut.first == end for cut in cuts))


def split(text: str) -> Lines:
    """Return the lines of a text. Only a line feed ends one."""
    lines = text.split("\n")
    ended = lines[-1] == ""
    return Lines(lines=lines[:-1] if ended else lines, ended=ended)
