"""The password field of shadow(5), and its days, in canonical form."""

from __future__ import annotations

import re

from converge.errors import ApplyError

# crypt(5): a method's prefix, then parameters, salt and hash. DES (13 characters without a prefix)
# is left out: it cannot be told from a password in plain text, and is broken.
_HASH = re.compile(r"\$(?:1|2[abxy]?|5|6|7|y|gy|md5|sha1)[$,][./A-Za-z0-9$=,+-]{20,400}")
UNUSABLE = ("*", "!", "!!")


def is_hash(text: str) -> bool:
    """Tell whether a text is a crypt(5) hash, or one of the values that no password matches."""
    return text in UNUSABLE or _HASH.fullmatch(text) is not None


def split(field: str) -> tuple[str, bool]:
    """Return (hash, locked) of a field: a locked one starts with `!` (usermod(8), -L)."""
    password = field.lstrip("!")
    return password, password != field


def combine(field: str, password: str | None, locked: bool | None) -> str:
    """Return what a password field becomes; None: that part stays.

    A lock stays on a password that someone locked; the `!` of an account that never had one goes
    when it gets one. Raises ApplyError where unlocking would leave no password at all.
    """
    found, lock = split(field)
    if password is not None and not found:
        lock = False
    rest, declared = split(found if password is None else password)
    lock = (lock or declared) if locked is None else locked
    if not rest and not lock:
        raise ApplyError(
            "there is no password to unlock: anyone could log in", "declare a `password` too"
        )
    return ("!" if lock else "") + rest


def date_of(days: str) -> str:
    """Return the date (YYYY-MM-DD) of days since 1970 as shadow has them; empty: `never`."""
    import datetime

    if not days or days == "-1":
        return "never"
    try:
        return (datetime.date(1970, 1, 1) + datetime.timedelta(days=int(days))).isoformat()
    except (ValueError, OverflowError):
        return days


def days_of(date: str) -> str:
    """Return the days since 1970 of a date, as shadow has them; `never`: empty. ValueError: none.

    Days before 1970-01-02 would be 0 or less, which shadow(5) leaves undefined.
    """
    import datetime

    if date == "never":
        return ""
    if not re.fullmatch(r"\d{4}-\d\d-\d\d", date, re.ASCII):
        raise ValueError(date)
    days = (datetime.date.fromisoformat(date) - datetime.date(1970, 1, 1)).days
    if days < 1:
        raise ValueError(date)
    return str(days)
