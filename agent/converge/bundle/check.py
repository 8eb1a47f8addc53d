"""Is a bundle to be believed, and is it news? Pure: clocks, keys and what is here are given."""

from __future__ import annotations

from typing import TYPE_CHECKING

from converge.bundle import keyring, statement
from converge.bundle.minisign import SignatureError
from converge.record import Record

if TYPE_CHECKING:
    from converge.bundle.keyring import Keyring
    from converge.bundle.statement import Statement

_SOUND = 1_700_000_000  # 2023-11-14: a clock before that has not been set


class Signed(Record):
    """What came from a source: the bundle, its `.minisig`, and the file of key changes (if any)."""

    content: bytes
    signatures: str = ""
    keys: str = ""


class Believed(Record):
    """What a signature that holds states, and the keys that are in force from now on."""

    statement: Statement
    keyring: Keyring


def verify(signed: Signed, root: Keyring, name: str) -> Believed:
    """Return what is stated of a bundle named `name`. Raises SignatureError if it does not hold.

    Nothing is said of its age: what is kept as the last good bundle holds after its expiry too.
    """
    if not signed.signatures:
        raise SignatureError(
            "it is not signed",
            "sign it with `converge bundle sign`, or allow it: unsigned: true in agent.yaml",
        )
    ring = keyring.follow(root, signed.keys) if signed.keys else root
    stated = statement.parse(ring.verify(signed.content, signed.signatures))
    if name and stated.name != name:
        raise SignatureError(f"it is signed as {stated.name}, not as {name}")
    return Believed(statement=stated, keyring=ring)


class Seen(Record):
    """The newest bundle that was ever believed: its sequence and the SHA-256 of its bytes."""

    sequence: int = 0
    digest: str = ""


def fresh(stated: Statement, digest: str, seen: Seen, now: float) -> None:
    """Raise SignatureError if a bundle is older than one seen before, or has expired.

    `digest` is the bundle's SHA-256, `now` the wall clock in seconds since 1970.
    """
    if stated.sequence < seen.sequence:
        raise SignatureError(
            f"its sequence is {stated.sequence}, and {seen.sequence} was here before: a rollback",
            "to go back, sign the old content again with a greater sequence",
        )
    if stated.sequence == seen.sequence and digest != seen.digest:
        raise SignatureError(
            f"another bundle with sequence {stated.sequence} was here before",
            "sign each bundle with a greater sequence",
        )
    if now < _SOUND:
        raise SignatureError("the clock of this container looks wrong", "set the node's clock")
    if now >= stated.expires:
        raise SignatureError(f"it has expired: {stated}", "sign it again with a later expiry")
