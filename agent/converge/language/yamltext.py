"""From the bytes of a YAML file to text that means what it shows."""

from __future__ import annotations

import re

from converge.errors import Problem, ProfileError

MAX_BYTES = 1 << 20

_UTF16 = (b"\xff\xfe", b"\xfe\xff", b"\0\0\xfe\xff")
_BREAK = re.compile(r"\r\n?|\n")

# Not c-printable (YAML 1.2.2, 5.1), or not what it seems: the bidi controls of CVE-2021-42574, a
# byte order mark inside the text, and breaks that libyaml takes for the end of a line but YAML 1.2
# (5.4) and most editors do not.
_REFUSED = re.compile(
    "[^\t\n\r -~\u00a0-\u2027\u202f-\u2065\u206a-\ud7ff\ue000-\ufefe\uff00-\ufffd\U00010000-\U0010ffff]"
)
# libyaml compares every %TAG with all those before it: 1 MiB of them takes 20 seconds.
_DIRECTIVE = re.compile(r"(?<![^\r\n])%[A-Za-z]\w{0,20}")


def decode(data: bytes, file: str) -> str:
    """Return the text of a YAML file, without a byte order mark.

    Raises ProfileError: over 1 MiB, not UTF-8, or with characters that YAML does not allow or that
    make the text look other than it is.
    """
    if len(data) > MAX_BYTES:
        _refuse(file, f"the file is larger than {MAX_BYTES >> 10} KiB", "split it with `include`")
    if data.startswith(_UTF16) or b"\0" in data[:2]:
        remedy = "save it as UTF-8, as by `iconv -f UTF-16 -t UTF-8`"
        _refuse(file, "the file is UTF-16, UTF-32 or binary", remedy)
    try:
        text = data.decode().removeprefix("\ufeff")
    except UnicodeDecodeError as error:
        line, column = _place(data[: error.start].decode())
        message = f"not UTF-8: byte 0x{data[error.start]:02x}"
        _refuse(file, message, "save the file as UTF-8", line, column)
    _check(text, file)
    return text


def refused(text: str) -> bool:
    """Tell whether a character of a text has to be written as an escape."""
    return _REFUSED.search(text) is not None


def _check(text: str, file: str) -> None:
    found = _REFUSED.search(text)
    if found:
        code = ord(found[0])
        escape = f"\\x{code:02x}" if code < 256 else f"\\u{code:04x}"
        remedy = f'remove it, or write `{escape}` within double quotes "…"'
        if not code:
            remedy = "remove it"
        line, column = _place(text[: found.start()])
        _refuse(file, f"the character U+{code:04X} is not allowed", remedy, line, column)
    found = _DIRECTIVE.search(text)
    if found:
        line, column = _place(text[: found.start()])
        message = f"the directive `{found[0]}` is not allowed"
        _refuse(file, message, "remove it; indent a line of text", line, column)


def _place(before: str) -> tuple[int, int]:
    """Return (line, column) of what follows a text."""
    lines = _BREAK.split(before)
    return len(lines), len(lines[-1]) + 1


def _refuse(file: str, message: str, remedy: str, line: int = 0, column: int = 0) -> None:
    raise ProfileError(
        [Problem(message=message, file=file, line=line, column=column, remedy=remedy)]
    )
