"""File modes as people write them: octal (`0644`) or symbolic (`u=rw,go=r`), as chmod(1) reads them."""

from __future__ import annotations

_CLAUSE = r"([ugoa]*)([-+=])([rwxXst]*)"
_BITS = {"r": 0o444, "w": 0o222, "x": 0o111}
_WHO = {"u": 0o4700, "g": 0o2070, "o": 0o1007, "a": 0o7777}


def canonical(text: str) -> str:
    """Return the canonical spelling: four octal digits, or the symbolic mode. Raises ValueError."""
    import re

    if re.fullmatch(r"(0o)?[0-7]{1,5}", text):
        value = int(text, 8)
        if value > 0o7777:
            raise ValueError(f"{text!r} is more than 7777")
        return f"{value:04o}"
    if not text or any(not re.fullmatch(_CLAUSE, clause) for clause in text.split(",")):
        raise ValueError(
            f'{text!r} is neither an octal mode ("0644") nor a symbolic one ("u=rw,go=r")'
        )
    return text


def suggestion(number: int) -> str:
    """Return what someone who wrote a bare number most likely meant: 420 and 644 are both `0644`."""
    digits = str(number)
    if len(digits) <= 3 and not set(digits) & set("89") and number != 0o644:
        return digits.rjust(4, "0")
    return f"{number & 0o7777:04o}"


def is_symbolic(text: str) -> bool:
    """Tell whether a canonical mode is symbolic, so that its meaning depends on the mode before."""
    return not text.isdigit()


def apply(text: str, before: int, *, directory: bool = False) -> int:
    """Return the permission bits that a canonical mode makes of those `before`."""
    if not is_symbolic(text):
        return int(text, 8)
    import re

    mode = before & 0o7777
    for clause in text.split(","):
        match = re.fullmatch(_CLAUSE, clause)
        if match is None:
            raise ValueError(f"{clause!r} is not a symbolic mode")
        mode = _apply_clause(mode, *match.groups(), directory=directory)
    return mode


def _apply_clause(mode: int, who: str, sign: str, letters: str, *, directory: bool) -> int:
    mask = 0
    for letter in who or "a":
        mask |= _WHO[letter]
    bits = 0
    for letter in letters:
        if letter == "X":
            bits |= 0o111 if directory or mode & 0o111 else 0
        elif letter == "s":
            bits |= 0o6000
        elif letter == "t":
            bits |= 0o1000
        else:
            bits |= _BITS[letter]
    bits &= mask
    if sign == "+":
        return mode | bits
    if sign == "-":
        return mode & ~bits
    kept = mode & 0o6000 if directory and "s" not in letters else 0  # chmod(1) keeps a directory's
    return mode & ~mask | bits | kept & mask
