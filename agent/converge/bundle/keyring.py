"""Whose signatures count: keys and how many of them must agree, and how they are changed.

The keys that an agent is configured with are the root of trust. They are replaced by a *key list*,
one JSON document per change, signed by as many of the keys before it as had to agree, and by as
many of the new ones: so an agent follows from any older list to the newest, one step at a time,
and a lost key is dropped without touching a container (TUF, 5.3: "update the root role").
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from converge.bundle import minisign
from converge.bundle.minisign import PublicKey, SignatureError
from converge.record import Record

if TYPE_CHECKING:
    from collections.abc import Iterable

MOST_KEYS = 16
MOST_CHANGES = 64  # lists in one file of changes
MOST_BYTES = 256 << 10  # of that file


class Keyring(Record):
    """The keys in force: `threshold` of them must have signed. `version` counts the changes."""

    keys: tuple[PublicKey, ...]
    threshold: int = 1
    version: int = 0

    def document(self) -> str:
        """Return the key list that puts this ring into force once it is signed."""
        keys = [key.text for key in self.keys]
        return json.dumps({"version": self.version, "threshold": self.threshold, "keys": keys})

    def verify(self, data: bytes, signatures: str) -> str:
        """Return the trusted comment that enough keys have signed with `data`.

        Every signature that is counted must carry the same comment. Raises SignatureError.
        """
        signers: dict[str, set[bytes]] = {}
        wrong = ""
        known = {key.id: key for key in self.keys}
        for signature in minisign.signatures(signatures):
            key = known.get(signature.id)
            if key is None:
                wrong = wrong or f"it is signed by key {signature.id[::-1].hex().upper()}"
                continue
            try:
                minisign.verify(key, signature, data)
                signers.setdefault(signature.comment, set()).add(key.key)
            except SignatureError as error:
                wrong = str(error)
        comment, most = max(
            ((comment, len(keys)) for comment, keys in signers.items()),
            key=lambda found: found[1], default=("", 0),
        )  # fmt: skip
        if most < self.threshold:
            trusted = ", ".join(key.name for key in self.keys) or "none"
            raise SignatureError(
                f"{most} of {self.threshold} signatures are good" + (f": {wrong}" if wrong else ""),
                f"the keys that count are {trusted}",
            )
        return comment


def ring(keys: Iterable[PublicKey], threshold: int, version: int = 0) -> Keyring:
    """Return a ring. Raises SignatureError if it could never be satisfied, or has no limits."""
    found = {key.key: key for key in keys}
    if not 1 <= threshold <= len(found) <= MOST_KEYS or len({k.id for k in found.values()}) != len(
        found
    ):
        raise SignatureError(
            f"{threshold} of {len(found)} keys cannot be asked for",
            f"give 1 to {MOST_KEYS} different keys and a threshold of at most their number",
        )
    return Keyring(keys=tuple(found.values()), threshold=threshold, version=version)


def follow(root: Keyring, changes: str, *, upto: int = MOST_CHANGES) -> Keyring:
    """Return the ring that a file of changes leads to from `root`; all older changes are passed over.

    Those of versions above `upto` are passed over too: the ring as it was then.

    The file has one JSON object a line: `list` (the document, a string) and `signatures`. Raises
    SignatureError at the first that is not rightly signed, or leaves out a version.
    """
    if len(changes) > MOST_BYTES:
        raise SignatureError(f"the file of key changes is larger than {MOST_BYTES} bytes")
    lines = [line for line in changes.splitlines() if line.strip()]
    if len(lines) > MOST_CHANGES:
        raise SignatureError(f"more than {MOST_CHANGES} key changes")
    now = root
    for line in lines:
        document, signatures = _line(line)
        later = _ring(document)
        if later.version <= root.version or later.version > upto:
            continue
        if later.version != now.version + 1:
            raise SignatureError(
                f"the key list of version {now.version + 1} is missing", "keep every change"
            )
        now.verify(document.encode(), signatures)
        later.verify(document.encode(), signatures)
        now = later
    return now


def change(document: str, signatures: str) -> str:
    """Return the line of a file of changes."""
    return json.dumps({"list": document, "signatures": signatures}) + "\n"


def _line(line: str) -> tuple[str, str]:
    found = _json(line)
    document, signatures = found.get("list"), found.get("signatures")
    if not isinstance(document, str) or not isinstance(signatures, str):
        raise SignatureError("a key change has a `list` and `signatures`")
    return document, signatures


def _ring(document: str) -> Keyring:
    found = _json(document)
    keys, threshold, version = found.get("keys"), found.get("threshold"), found.get("version")
    if (
        not isinstance(keys, list)
        or not all(isinstance(key, str) for key in keys)
        or type(threshold) is not int
        or type(version) is not int
        or set(found) != {"keys", "threshold", "version"}
    ):
        raise SignatureError("a key list has `version`, `threshold` and `keys`")
    return ring(map(minisign.public_key, keys), threshold, version)


def _json(text: str) -> dict[str, Any]:
    try:
        found = json.loads(text)
    except (ValueError, RecursionError):
        found = None
    if not isinstance(found, dict):
        raise SignatureError("a key list is a JSON object")
    return found
