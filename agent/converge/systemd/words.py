"""Splitting a line into words, as systemd does: quotes, and the escapes of C."""

from __future__ import annotations

import re

_SPACE = " \t"
_ESCAPE = re.compile(
    r"""\\(?:([abefnrtvs\\"'])|x([0-9a-fA-F]{2})|u([0-9a-fA-F]{4})|U([0-9a-fA-F]{8})|([0-7]{3}))"""
)
_LETTERS = {
    "a": "\a", "b": "\b", "e": "\x1b", "f": "\f", "n": "\n", "r": "\r", "t": "\t", "v": "\v",
    "s": " ",
}  # fmt: skip


def split(line: str, most: int) -> tuple[list[str], str]:
    """Return up to `most` words, unquoted and unescaped, and the rest of the line as it is.

    Raises ValueError for a quote that is not closed, or an escape that means nothing.
    """
    words: list[str] = []
    rest = line.strip()
    while rest and len(words) < most:
        word, rest = _word(rest)
        words.append(word)
        rest = rest.lstrip(_SPACE)
    return words, rest


def _word(text: str) -> tuple[str, str]:
    quote, start = "", 0
    for index, letter in enumerate(text):
        escaped = (len(text[start:index]) - len(text[start:index].rstrip("\\"))) % 2
        if escaped:
            continue
        if quote == letter:
            quote = ""
        elif not quote and letter in "\"'":
            quote = letter
        elif not quote and letter in _SPACE:
            return _plain(text[:index]), text[index:]
    if quote:
        raise ValueError(f"the quote {quote} is not closed")
    return _plain(text), ""


def _plain(raw: str) -> str:
    found, quote, index = "", "", 0
    while index < len(raw):
        letter = raw[index]
        if letter == "\\":
            match = _ESCAPE.match(raw, index)
            if match is None:
                raise ValueError(f"{raw[index : index + 2]!r} is no escape")
            found, index = found + _meaning(match), match.end()
            continue
        if letter == quote:
            quote = ""
        elif not quote and letter in "\"'":
            quote = letter
        else:
            found += letter
        index += 1
    return found


def unescape(text: str) -> str:
    """Return a text with the escapes of C undone. Raises ValueError for one that means nothing."""
    left = _ESCAPE.sub("", text)
    if "\\" in left:
        raise ValueError("a backslash begins no escape")
    return _ESCAPE.sub(_meaning, text)


def _meaning(match: re.Match[str]) -> str:
    letter, byte, short, long, octal = match.groups()
    if letter:
        return _LETTERS.get(letter, letter)
    number = int(octal, 8) if octal else int(byte or short or long, 16)
    if number == 0 or number > 0x10FFFF or ((byte or octal) and number > 0x7F):
        raise ValueError(f"{match[0]} is no character")
    return chr(number)
