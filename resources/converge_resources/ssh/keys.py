"""Public keys, and the lines of authorized_keys (sshd(8), AUTHORIZED_KEYS FILE FORMAT)."""

from __future__ import annotations

from converge.record import Record

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

TYPES = (
    "ssh-ed25519", "ecdsa-sha2-nistp256", "ecdsa-sha2-nistp384", "ecdsa-sha2-nistp521", "ssh-rsa",
    "sk-ssh-ed25519@openssh.com", "sk-ecdsa-sha2-nistp256@openssh.com",
)  # fmt: skip
_OPTION = (
    r'[A-Za-z0-9@.-]+(="([^"\\\n\r\0]|\\"|\\(?!"))*")?'  # a backslash is one but before a quote
)
_DATA = "AAAA"  # base64 of the length of a type's name (RFC 4253), so that of every key begins


class Key(Record):
    """A public key: its type, its data in base64, and what it is called."""

    type: str
    data: str
    comment: str = ""


def parse(text: str) -> Key | None:
    """Return a public key as a `.pub` file has it; None: it is none."""
    key = _key(text)
    return key if key is not None and key.type in TYPES else None


def _key(text: str) -> Key | None:
    """Return a key of any type: sshd also takes `rsa-sha2-512`, certificates and what is to come."""
    words = text.split(None, 2)
    if len(words) < 2 or not (words[0] in TYPES or words[1].startswith(_DATA)):
        return None
    return Key(type=words[0], data=words[1], comment=words[2].strip() if words[2:] else "")


def problems(text: str) -> Iterator[str]:
    """Yield what is wrong with a public key that is declared."""
    import base64
    import binascii

    key = parse(text)
    if key is None:
        first = text.split(None, 1)[0] if text.split() else ""
        yield f"{first[:40]!r} is no type of key; a key begins with {TYPES[0]} or the like"
        if "PRIVATE KEY" in text:
            yield "this is a private key: declare the content of the .pub file"
        return
    try:
        data = base64.b64decode(key.data, validate=True)
    except binascii.Error:
        data = b""
    found = _fields(data)
    if len(found) < 2 or found[0] != key.type.encode():
        yield f"what follows {key.type} is no such key; is it cut off?"


def _fields(data: bytes) -> list[bytes]:
    """Return the fields of a key, each after its length in four bytes (RFC 4253); none if cut off."""
    found = []
    while data:
        size = int.from_bytes(data[:4], "big")
        if len(data) < 4 + size:
            return []
        found.append(data[4 : 4 + size])
        data = data[4 + size :]
    return found


def option_problem(option: str) -> str:
    """Return what is wrong with an option of a key; empty: nothing."""
    import re

    if re.fullmatch(_OPTION, option):
        return ""
    return f'{option!r} is no option; those with a value are written name="value"'


def line_of(key: Key, options: Sequence[str], comment: str) -> str:
    """Return a line of authorized_keys."""
    return " ".join(filter(None, (",".join(options), key.type, key.data, comment)))


class Entry(Record):
    """A line of authorized_keys that holds a key."""

    options: str
    key: Key


def entry(line: str) -> Entry | None:
    """Return what a line holds; None: no key."""
    text = line.strip()
    if text.startswith("#"):
        return None
    key = _key(text)
    if key is not None:
        return Entry(options="", key=key)
    end = _end_of_options(text)
    key = _key(text[end:])
    return None if key is None else Entry(options=text[:end], key=key)


def _end_of_options(text: str) -> int:
    """Return where the first white space outside quotes is."""
    quoted, before = False, ""
    for index, letter in enumerate(text):
        if letter == '"' and before != "\\":
            quoted = not quoted
        elif letter in " \t" and not quoted:
            return index
        before = letter
    return len(text)
