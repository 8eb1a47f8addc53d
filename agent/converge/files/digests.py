"""SHA-256 without OpenSSL, which hashlib loads (2 ms of every start)."""

from __future__ import annotations

try:
    from _sha2 import sha256  # type: ignore[import-not-found]  # Python 3.12 and newer
except ImportError:
    try:
        from _sha256 import sha256  # type: ignore[import-not-found]
    except ImportError:  # a Python built without its own
        from hashlib import sha256


_LARGE = 256 << 10  # bytes; from here on OpenSSL is faster, its loading included


def of(data: bytes) -> str:
    """Return the SHA-256 of some bytes, in hex."""
    if len(data) < _LARGE:
        digest: str = sha256(data).hexdigest()
        return digest
    import hashlib

    return hashlib.sha256(data).hexdigest()
