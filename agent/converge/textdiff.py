"""Values and texts from outside, made fit to be shown: decoded, capped, harmless to a terminal."""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any


_MOST_LINES = 400  # of one diff
_MOST_BYTES = 1 << 20  # of a text that is compared line by line
_BIDIRECTIONAL = {*range(0x202A, 0x202F), *range(0x2066, 0x206A), 0x200E, 0x200F}


def escaped(text: str, keep: str = "") -> str:
    """Replace control, surrogate and direction-changing characters by their escapes."""
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
        return escaped(value[:200].decode(errors="replace"))
    if isinstance(value, list | tuple):
        return [shown(item) for item in value]
    return escaped(value) if isinstance(value, str) else value


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
