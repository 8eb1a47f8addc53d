"""What the signer of a bundle states, in the trusted comment of the signature.

    name=web sequence=12 expires=2027-01-31T00:00:00Z

`name` tells whose bundle it is (against mix-and-match), `sequence` grows with each one (against
rollback), after `expires` it is no news any more (against freeze). The rules are those of The
Update Framework, https://theupdateframework.github.io/specification/latest/, 5.3 to 5.6.
"""

from __future__ import annotations

import re

from converge.bundle import moments
from converge.bundle.minisign import SignatureError
from converge.record import Record

NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")
_WORD = re.compile(r"([a-z]+)=(\S+)")
_MOST_SEQUENCE = (1 << 63) - 1


class Statement(Record):
    """The parts of a trusted comment; `expires` in seconds since 1970."""

    name: str
    sequence: int
    expires: int

    def __str__(self) -> str:
        when = moments.text(self.expires)
        return f"name={self.name} sequence={self.sequence} expires={when}"


def parse(comment: str) -> Statement:
    """Return what a trusted comment states. Raises SignatureError for one that lacks a part."""
    words = comment.split()
    parts = {match[1]: match[2] for word in words if (match := _WORD.fullmatch(word))}
    missing = [name for name in ("name", "sequence", "expires") if name not in parts]
    if missing or len(parts) != len(words):
        raise SignatureError(
            f"the trusted comment {comment[:100]!r} is not `name=… sequence=… expires=…`",
            "sign with `converge bundle sign`, or give minisign that comment by -t",
        )
    return statement(parts["name"], parts["sequence"], parts["expires"])


def statement(name: str, sequence: str, expires: str) -> Statement:
    """Return a statement of its parts as text. Raises SignatureError for what they cannot be."""
    if not NAME.fullmatch(name):
        raise SignatureError(
            f"{name[:70]!r} is no name of a bundle: letters, digits, `.`, `_`, `-`"
        )
    if not re.fullmatch(r"[0-9]{1,19}", sequence) or int(sequence) > _MOST_SEQUENCE:
        raise SignatureError(f"the sequence {sequence[:30]!r} is not a whole number below 2^63")
    try:
        when = moments.parse(expires)
    except ValueError:
        raise SignatureError(
            f"the expiry {expires[:30]!r} is not a time such as 2027-01-31T00:00:00Z"
        ) from None
    return Statement(name=name, sequence=int(sequence), expires=int(when))
