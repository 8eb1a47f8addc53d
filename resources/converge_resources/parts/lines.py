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
        """Return the text. An empty line is one by its break alone."""
        ended = self.ended or self.lines[-1:] == [""]
        return "\n".join(self.lines) + ("\n" if self.lines and ended else "")

    def data(self) -> bytes:
        """Return the text as bytes, as a state holds it."""
        return self.text().encode(errors="surrogateescape")

    def inserted(self, at: int, lines: list[str]) -> Lines:
        """Return the text with more lines from an index on, each of them with a break."""
        return self.changed([Cut(first=at, after=at, lines=tuple(lines))])

    def changed(self, cuts: list[Cut]) -> Lines:
        """Return the text with some lines replaced; the cuts do not overlap.

        A last line without a break that goes takes no other line's break with it.
        """
        lines, end = list(self.lines), len(self.lines)
        for cut in sorted(cuts, key=lambda cut: (cut.first, cut.after), reverse=True):
            lines[cut.first : cut.after] = cut.lines
        last = any(cut.first == end or (cut.after == end and not cut.lines) for cut in cuts)
        return Lines(lines=lines, ended=self.ended or last)


def split(text: str) -> Lines:
    """Return the lines of a text. Only a line feed ends one."""
    lines = text.split("\n")
    ended = lines[-1] == ""
    return Lines(lines=lines[:-1] if ended else lines, ended=ended)
