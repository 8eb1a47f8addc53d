"""Certificates in PEM (RFC 7468), compared by what they hold, however they are wrapped."""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

_BEGIN, _END = "-----BEGIN CERTIFICATE-----", "-----END CERTIFICATE-----"
_WIDTH = 64


def bodies(text: str) -> Iterator[tuple[int, int, str]]:
    """Yield (start, end, base64 without white space) of every certificate in a text."""
    start = text.find(_BEGIN)
    while start >= 0:
        end = text.find(_END, start)
        if end < 0:
            return
        yield start, end + len(_END), "".join(text[start + len(_BEGIN) : end].split())
        start = text.find(_BEGIN, end)


def body(text: str) -> str:
    """Return the base64 of the first certificate in a text, empty if there is none."""
    return next((found for _, _, found in bodies(text)), "")


def wrapped(base64: str) -> str:
    """Return a certificate as a file holds it."""
    lines = [base64[at : at + _WIDTH] for at in range(0, len(base64), _WIDTH)]
    return "\n".join([_BEGIN, *lines, _END, ""])


def added(text: str, base64: str) -> str:
    """Return a bundle with one more certificate at its end."""
    gap = "" if not text or text.endswith("\n") else "\n"
    return text + gap + wrapped(base64)


def removed(text: str, base64: str) -> str:
    """Return a bundle without a certificate, however often it is there."""
    found = [(start, end) for start, end, one in bodies(text) if one == base64]
    for start, end in reversed(found):
        text = text[:start] + text[end:].removeprefix("\n")
    return text


def fingerprint(base64: str) -> str:
    """Return the SHA-256 of a certificate, as OpenSSL's -fingerprint without its colons."""
    import binascii

    from converge.files import digests

    try:
        return digests.of(binascii.a2b_base64(base64))
    except binascii.Error:
        return "damaged"


def problem(text: str) -> str | None:
    """Return why a text is not one certificate; None: it is."""
    import ssl

    if "PRIVATE KEY-----" in text:
        return "it holds a private key: a certificate alone is meant"
    found = list(bodies(text))
    if len(found) != 1:
        return f"it holds {len(found)} certificates in PEM: one is meant (use `for_each`)"
    try:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.load_verify_locations(cadata=wrapped(found[0][2]))
    except (ssl.SSLError, ValueError) as error:
        return f"it is no certificate that OpenSSL can read: {error}"
    return None
