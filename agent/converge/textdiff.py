"""Values and texts from outside, made fit to be shown: decoded, capped, harmless to a terminal."""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable
    from typing import Any

MASK = "[secret]"
_HOLE = "\ufdd2"  # not a character (Unicode 23.7): where a mask will be
_MOST_LINES = 400  # of one diff
_MOST_LOOKED_AT = 1 << 14  # bytes of a value that is shown in short
_MOST_BYTES = 1 << 20  # of a text that is compared line by line
_BIDIRECTIONAL = {*range(0x202A, 0x202F), *range(0x2066, 0x206A), 0x200E, 0x200F}


_secrets: list[str] = []  # what must not be shown, longest first (converge.secrets)


def mask(forms: Iterable[str]) -> None:
    """Let nothing of this be shown from now on, by anything that calls `masked`."""
    _secrets[:] = sorted({*_secrets, *forms}, key=len, reverse=True)


def masked(text: str) -> str:
    """Return a text with every secret that this process has met replaced by `[secret]`."""
    for form in _secrets:
        text = text.replace(form, _HOLE)
    return text.replace(_HOLE, MASK) if _secrets else text


def escaped(text: str, keep: str = "") -> str:
    """Replace secrets, and control, surrogate and direction-changing characters by their escapes."""
    text = masked(text)
    if text.isprintable():
        return text
    return "".join(
        c if c in keep or (c.isprintable() and ord(c) not in _BIDIRECTIONAL)
        else c.encode("unicode_escape", "surrogatepass").decode()
        for c in text
    )  # fmt: skip


def shown(value: Any) -> Any:
    """Return a field's value as plain data: bytes as text, sequences as lists."""
    if isinstance(value, bytes):
        return escaped(value[:_MOST_LOOKED_AT].decode(errors="replace"))[:200]
    if isinstance(value, list | tuple):
        return [shown(item) for item in value]
    if isinstance(value, dict):
        return {key: shown(item) for key, item in value.items()}
    return escaped(value) if isinstance(value, str) else value


def in_words(value: Any) -> str:
    """Return a value in words: as a profile has it, `none` for None."""
    if isinstance(value, list):
        return "[" + ", ".join(map(in_words, value)) + "]"
    if isinstance(value, bool):
        return "true" if value else "false"
    return "none" if value is None else str(value)


def unified(path: str, before: bytes | None, after: bytes | None) -> str:
    """Return a unified diff of two texts, one sentence where they are no texts."""
    import difflib

    old, new = _lines(before), _lines(after)
    if old is None or new is None:
        return f"Binary contents of {path} differ ({_size(before)} → {_size(after)})\n"
    lines = list(
        difflib.unified_diff(
            old, new, "/dev/null" if before is None else f"a{path}", f"b{path}", lineterm=""
        )
    )  # fmt: skip
    shown_lines = [escaped(line, keep="\t") + "\n" for line in lines[:_MOST_LINES]]
    if len(lines) > _MOST_LINES:
        shown_lines.append(f"… {len(lines) - _MOST_LINES} more lines\n")
    return "".join(shown_lines)


def _lines(data: bytes | None) -> list[str] | None:
    if data is None:
        return []
    if len(data) > _MOST_BYTES or b"\0" in data:
        return None
    try:
        text = data.decode()
    except UnicodeDecodeError:
        return None
    lines = text.split("\n")
    if lines[-1] == "":
        return lines[:-1]
    return [*lines[:-1], lines[-1] + " ⏎ no newline at the end"]


def _size(data: bytes | None) -> str:
    return "nothing" if data is None else f"{len(data)} bytes"
