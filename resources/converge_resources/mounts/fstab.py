"""Lines of /etc/fstab (fstab(5))."""

from __future__ import annotations

from converge import mounts
from converge_resources.parts.lines import Cut, split

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

PATH = "/etc/fstab"
_LEAST = 4  # fields


def line_of(source: str, point: str, kind: str, options: Sequence[str]) -> str:
    """Return the line of a mount. A bind has the type `none`."""
    if kind in ("bind", "rbind"):
        kind, options = "none", [kind, *options]
    words = [source, point, kind, ",".join(options) or "defaults"]
    return " ".join([*map(_escaped, words), "0", "0"])


def find(text: str, point: str) -> str | None:
    """Return the last line for a mount point, in the form of `line_of`; None: there is none."""
    found = [words for _, words in _entries(text) if _point(words) == point]
    if not found:
        return None
    return " ".join([*found[-1], "0", "0"][:6])


def count(text: str, point: str) -> int:
    """Return how many lines there are for a mount point."""
    return sum(_point(words) == point for _, words in _entries(text))


def edit(text: str, point: str, line: str | None) -> str:
    """Return the text with one line for a mount point, at the place of the last; None: without."""
    lines = split(text)
    places = [index for index, words in _entries(text) if _point(words) == point]
    if line is not None and not places:
        return lines.inserted(len(lines.lines), [line]).text()
    if line is not None and find(text, point) == line:
        line = lines.lines[places[-1]]  # spaced as somebody likes it
    cuts = [Cut(first=place, after=place + 1) for place in places]
    if line is not None:
        cuts[-1] = Cut(first=places[-1], after=places[-1] + 1, lines=(line,))
    return lines.changed(cuts).text()


def _entries(text: str) -> list[tuple[int, list[str]]]:
    split_lines = ((index, _words(line)) for index, line in enumerate(split(text).lines))
    return [
        (index, words)
        for index, words in split_lines
        if len(words) >= _LEAST and not words[0].startswith("#")
    ]


def _point(words: list[str]) -> str:
    try:
        return mounts.unescape(words[1])
    except ValueError:  # a backslash that escapes nothing
        return words[1]


def _words(line: str) -> list[str]:
    """Return the fields of a line, which only spaces and tabs part."""
    return [word for word in line.replace("\t", " ").split(" ") if word]


def _escaped(word: str) -> str:
    for letter in ("\\", " ", "\t", "\n", "#"):
        word = word.replace(letter, f"\\{ord(letter):03o}")
    return word
