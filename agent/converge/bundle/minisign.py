"""Keys and signatures in minisign's format, so that `minisign` and converge read each other's.

The format: https://jedisct1.github.io/minisign/ (Ed25519 over BLAKE2b-512 of the file; a second
signature covers the first and the trusted comment). The older signatures over the file itself
(`minisign -l`) are refused. PyNaCl is imported where something is signed or verified.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import os
from typing import TYPE_CHECKING

from converge.errors import ConvergeError
from converge.record import Record

if TYPE_CHECKING:
    from collections.abc import Sequence

_ED25519 = b"Ed"
_PREHASHED = b"ED"
_SCRYPT, _PLAIN, _BLAKE2B = b"Sc", b"\0\0", b"B2"
_UNTRUSTED, _TRUSTED = "untrusted comment: ", "trusted comment: "
_MOST_LINE = 8192  # as minisign's COMMENTMAXBYTES
MOST_SIGNATURES = 16


class SignatureError(ConvergeError):
    """A key or signature is malformed, or does not verify."""


class PublicKey(Record):
    """Whose signatures are believed: 8 bytes of id, 32 of Ed25519."""

    id: bytes
    key: bytes

    @property
    def text(self) -> str:
        """The key as minisign writes it, in one line."""
        return base64.b64encode(_ED25519 + self.id + self.key).decode()

    @property
    def name(self) -> str:
        """The id as minisign shows it."""
        return self.id[::-1].hex().upper()


class SecretKey(Record):
    """What signs: an id and an Ed25519 key of 64 bytes (the seed and the public key)."""

    id: bytes
    key: bytes

    @property
    def public(self) -> PublicKey:
        """The key that verifies what this one signs."""
        return PublicKey(id=self.id, key=self.key[32:])


class Signature(Record):
    """One signature of a file, with its trusted comment."""

    id: bytes
    signature: bytes
    comment: str
    sealed: bytes  # the signature over `signature` and `comment`


def public_key(text: str) -> PublicKey:
    """Return the key of a `.pub` file, or of the one line that minisign -P takes."""
    lines = text.strip().splitlines()
    data = _decoded(lines[-1] if lines else "", 42, "a public key")
    if data[:2] != _ED25519 or len(lines) > 2:
        raise SignatureError("this is no public key of minisign")
    return PublicKey(id=data[2:10], key=data[10:])


def generate() -> SecretKey:
    """Return a new key."""
    from nacl.bindings import crypto_sign_keypair

    _, secret = crypto_sign_keypair()
    return SecretKey(id=os.urandom(8), key=secret)


def write_public(key: PublicKey) -> str:
    """Return the content of a `.pub` file."""
    return f"{_UNTRUSTED}minisign public key {key.name}\n{key.text}\n"


def write_secret(key: SecretKey, password: bytes = b"") -> str:
    """Return the content of a secret key's file; without a password it is not encrypted."""
    checksum = hashlib.blake2b(_ED25519 + key.id + key.key, digest_size=32).digest()
    body, salt = key.id + key.key + checksum, os.urandom(32)
    # The parameters of libsodium's *_SENSITIVE, which minisign uses.
    operations, memory = (1 << 25, 1 << 30) if password else (0, 0)
    if password:
        body = _xor(body, _stream(password, salt, operations, memory))
    head = (
        _ED25519 + (_SCRYPT if password else _PLAIN) + _BLAKE2B + (salt if password else bytes(32))
    )
    sizes = operations.to_bytes(8, "little") + memory.to_bytes(8, "little")
    what = "encrypted secret key" if password else "secret key (not encrypted)"
    return f"{_UNTRUSTED}minisign {what}\n{base64.b64encode(head + sizes + body).decode()}\n"


def secret_key(text: str, password: bytes = b"") -> SecretKey:
    """Return the key of a secret key's file. Raises SignatureError, also for a wrong password."""
    lines = text.strip().splitlines()
    data = _decoded(lines[-1] if lines else "", 158, "a secret key")
    algorithm, method, salt, body = data[:2], data[2:4], data[6:38], data[54:]
    operations, memory = (
        int.from_bytes(data[38:46], "little"),
        int.from_bytes(data[46:54], "little"),
    )
    if algorithm != _ED25519 or data[4:6] != _BLAKE2B or method not in (_SCRYPT, _PLAIN):
        raise SignatureError("this is no secret key of minisign")
    if method == _SCRYPT:
        if not password:
            raise SignatureError("the secret key is encrypted", "give --password-file")
        if operations > 1 << 26 or memory > 1 << 31:
            raise SignatureError("the secret key asks for too much memory to be decrypted")
        body = _xor(body, _stream(password, salt, operations, memory))
    identity, key, checksum = body[:8], body[8:72], body[72:]
    whole = hashlib.blake2b(_ED25519 + identity + key, digest_size=32).digest()
    if checksum != whole and method == _SCRYPT:  # minisign -W leaves it out
        raise SignatureError("the password is wrong, or the secret key is damaged")
    return SecretKey(id=identity, key=key)


def sign(key: SecretKey, data: bytes, comment: str) -> str:
    """Return the text of a signature file over `data` and a comment of one line."""
    from nacl.bindings import crypto_sign

    if "\n" in comment or len(comment.encode()) > _MOST_LINE - len(_TRUSTED):
        raise SignatureError("a trusted comment is one line of at most 8,000 bytes")
    signature = crypto_sign(hashlib.blake2b(data).digest(), key.key)[:64]
    sealed = crypto_sign(signature + comment.encode(), key.key)[:64]
    lines = (
        f"{_UNTRUSTED}signature by converge, key {key.public.name}",
        base64.b64encode(_PREHASHED + key.id + signature).decode(),
        f"{_TRUSTED}{comment}",
        base64.b64encode(sealed).decode(),
    )
    return "\n".join(lines) + "\n"


def signatures(text: str) -> list[Signature]:
    """Return the signatures of a `.minisig` file: one, or several one after another.

    minisign reads the first. Raises SignatureError.
    """
    lines = text.removesuffix("\n").split("\n")
    if len(lines) % 4 or len(lines) > 4 * MOST_SIGNATURES:
        raise SignatureError("this is no signature of minisign (four lines each)")
    return [_signature(lines[i : i + 4]) for i in range(0, len(lines), 4)]


def _signature(lines: Sequence[str]) -> Signature:
    first, second, third, fourth = lines
    if not first.startswith(_UNTRUSTED) or not third.startswith(_TRUSTED):
        raise SignatureError("a signature has an untrusted and a trusted comment")
    if max(map(len, lines)) > _MOST_LINE:
        raise SignatureError("a line of the signature is too long")
    data = _decoded(second, 74, "a signature")
    if data[:2] != _PREHASHED:
        raise SignatureError("the signature is of an old form", "sign again with minisign -H")
    return Signature(
        id=data[2:10],
        signature=data[10:],
        comment=third.removeprefix(_TRUSTED),
        sealed=_decoded(fourth, 64, "the signature of the comment"),
    )


def verify(key: PublicKey, signature: Signature, data: bytes) -> None:
    """Raise SignatureError unless `signature` is `key`'s, over `data` and over its comment."""
    from nacl.bindings import crypto_sign_open
    from nacl.exceptions import BadSignatureError

    if signature.id != key.id:
        raise SignatureError(f"the signature is not by key {key.name}")
    try:
        crypto_sign_open(signature.signature + hashlib.blake2b(data).digest(), key.key)
    except BadSignatureError:
        raise SignatureError(f"the signature by key {key.name} does not fit the file") from None
    try:
        crypto_sign_open(
            signature.sealed + signature.signature + signature.comment.encode(), key.key
        )
    except BadSignatureError:
        raise SignatureError(f"the trusted comment is not what key {key.name} signed") from None


def _decoded(text: str, size: int, what: str) -> bytes:
    try:
        data = base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        data = b""
    if len(data) != size or base64.b64encode(data).decode() != text:
        raise SignatureError(f"{what} in minisign's format has {size} bytes in base64")
    return data


def _stream(password: bytes, salt: bytes, operations: int, memory: int) -> bytes:
    """Return 104 bytes from a password, by libsodium's scrypt (crypto_pwhash_scryptsalsa208sha256)."""
    from nacl.pwhash import scrypt

    return scrypt.kdf(104, password, salt, opslimit=operations, memlimit=memory)


def _xor(left: bytes, right: bytes) -> bytes:
    return bytes(a ^ b for a, b in zip(left, right, strict=True))
