"""Keys and values of sysctl(8) in canonical form, and the drop-in files of sysctl.d(5). All pure.

A key is canonical with dots between its parts; a dot inside a part (an interface's name) is then
written as a slash: `net.ipv4.conf.eth0/100.forwarding` is net/ipv4/conf/eth0.100/forwarding.
"""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Any

_DIGITS, _LETTERS = "0123456789", "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
_PART = f"{_DIGITS}{_LETTERS}_.,:@+-"
_CONTROL = {*map(chr, range(32)), "\x7f"} - {"\t"}
_TEXT = (  # the value is words: what looks like a number in it is none
    "kernel.core_pattern",
    "kernel.domainname",
    "kernel.hostname",
    "kernel.hotplug",
    "kernel.modprobe",
    "kernel.poweroff_cmd",
    "net.core.default_qdisc",
    "net.ipv4.tcp_congestion_control",
    "net.ipv4.tcp_fastopen_key",
)


def canonical_key(text: str) -> str:
    """Return the canonical form of a key. Raises ValueError if it is none.

    As in sysctl.d(5): where the first separator is a slash, dots are part of the names; where it is
    a dot, a slash stands for a dot in a name. net/ipv4/conf/eth0.100/forwarding,
    net.ipv4.conf.eth0/100.forwarding and net.ipv4.conf.eth0.100.forwarding are one key.
    """
    separator = next((letter for letter in text if letter in "./"), "")
    if not separator or not text[0].isalnum():
        raise ValueError(
            f"{text!r} is not a sysctl key, which looks like `net.core.somaxconn`"
            + (" (for a key that may be missing: `ignore_missing`)" if text[:1] == "-" else "")
        )
    parts = text.split(separator)
    if separator == ".":
        parts = [part.replace("/", ".") for part in parts]
    if parts[0] == "net" and len(parts) > 5 and parts[2] in ("conf", "neigh"):
        parts[3:-1] = [".".join(parts[3:-1])]  # only an interface's name can have dots there
    for part in parts:
        if not part or part.strip(_PART) or part in (".", ".."):
            raise ValueError(f"{text!r} is not a sysctl key: {part!r} is not a name in one")
    return ".".join(part.replace(".", "/") for part in parts)


def path_of(key: str) -> str:
    """Return the file below /proc/sys of a canonical key."""
    return "/proc/sys/" + "/".join(part.replace("/", ".") for part in key.split("."))


def checked_value(value: Any) -> Any:
    """Return a declared value, an int as text. Raises ValueError for what no key can hold."""
    if isinstance(value, bool):
        raise ValueError("the kernel knows no true and false here; write 1 or 0")
    if isinstance(value, int):
        return str(value)
    if isinstance(value, str) and not value.strip():
        raise ValueError("the kernel accepts an empty value and changes nothing; name a value")
    if isinstance(value, str) and not _CONTROL.isdisjoint(value):
        raise ValueError("line breaks and control characters are not allowed in a value")
    return value


def canonical_value(key: str, text: str) -> str:
    """Return a value as the kernel shows it: one space between fields, numbers in decimal.

    The kernel reads numbers as C does (0x1000 is 4096, 010 is 8; kernel/sysctl.c, proc_get_long).
    """
    words = text.split()
    return " ".join(words if key in _TEXT else map(_decimal, words))


def _is_number(word: str) -> bool:
    digits = word.removeprefix("-")
    if digits[:2] in ("0x", "0X"):
        return len(digits) > 2 and not digits[2:].strip("0123456789abcdefABCDEF")
    return bool(digits) and not digits.strip("01234567" if digits[0] == "0" else _DIGITS)


def _decimal(word: str) -> str:
    if not _is_number(word):
        return word
    digits = word.lstrip("-")
    if digits[:2] in ("0x", "0X"):
        number = int(digits, 16)
    else:
        number = int(digits, 8 if digits[0] == "0" else 10)
    return str(-number if word[0] == "-" else number)


def count_fields(text: str) -> int | None:
    """Return how many numbers a canonical value is; None: it is not (only) numbers."""
    words = text.split()
    return len(words) if words and all(map(_is_number, words)) else None


def parse(text: str) -> dict[str, str]:
    """Return the canonical keys and values of a drop-in file; of several lines for a key the last."""
    return dict(entry for entry in map(_entry, text.split("\n")) if entry)


def rewrite(text: str, wanted: Mapping[str, str | None]) -> str:
    """Return a drop-in file with these keys set, or without those that are None.

    Every other line stays as it is. A key keeps its place; a second line for it goes.
    """
    todo = dict(wanted)
    lines = []
    for line in text.removesuffix("\n").split("\n") if text else []:
        entry = _entry(line)
        if entry is None or entry[0] not in wanted:
            lines.append(line)
            continue
        value = todo.pop(entry[0], None)
        if value is not None:
            lines.append(f"{entry[0]} = {value}")
    lines += [f"{key} = {value}" for key, value in todo.items() if value is not None]
    return "".join(line + "\n" for line in lines)


def _entry(line: str) -> tuple[str, str] | None:
    """Return the key and value of a line `key = value` or `-key = value`; None: it is another."""
    name, equals, value = line.strip().partition("=")
    if not equals or name[:1] in ("#", ";"):
        return None
    try:
        key = canonical_key(name.strip().removeprefix("-"))
    except ValueError:
        return None
    return key, canonical_value(key, value)
