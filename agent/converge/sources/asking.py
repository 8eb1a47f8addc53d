"""What every source asks with: the settings' authorities, certificate, token and redirects."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from converge.errors import UsageError
from converge.web.fetch import Request

if TYPE_CHECKING:
    from converge.config import Settings

DEADLINE = 30.0  # seconds for all of one request


def token(settings: Settings) -> str:
    """Return the token of the settings' file, empty if there is none. Raises UntrustedError."""
    from converge.files import trust

    if not settings.token_file:
        return ""
    return trust.read(settings.token_file, 64 << 10)[1].decode(errors="replace").strip()


def request(settings: Settings, url: str, **changes: Any) -> Request:
    """Return a request with all that the settings say of sources. Raises UsageError."""
    from converge.web import weblink

    secret = token(settings)
    try:
        weblink.check(url)
    except ValueError as error:
        raise UsageError(f"{weblink.shown(url)}: {error}") from None
    if secret and not weblink.is_private(url):
        raise UsageError(f"{url}: a token is not sent without TLS", "use https")
    return Request(
        **{
            "url": url,
            "token": secret,
            "ca": settings.ca_file or "",
            "certificate": settings.client_certificate or "",
            "key": settings.client_key or "",
            "redirects": settings.redirects,
            "deadline": DEADLINE,
            **changes,
        }
    )
