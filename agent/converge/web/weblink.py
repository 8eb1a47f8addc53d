"""Addresses on the web: which are accepted, what an origin is, where a redirect may lead.

Pure; nothing is resolved or asked here. The rules are those of RFC 3986, RFC 6454 (origins) and
RFC 9110.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING
from urllib.parse import urljoin, urlsplit

if TYPE_CHECKING:
    from collections.abc import Sequence

_PORTS = {"http": 80, "https": 443}
_LOCAL = ("localhost", "127.0.0.1", "::1")
_NOT_IN_URLS = re.compile(r"[^\x21-\x7e]")
_MOST_SECONDS = 86400


def check(url: str) -> str:
    """Return a URL that may be fetched. Raises ValueError that says what is wrong with it."""
    if _NOT_IN_URLS.search(url):
        raise ValueError("a URL has no white space and only ASCII; write other bytes as %xx")
    parts = urlsplit(url)
    if parts.scheme.lower() not in _PORTS:
        raise ValueError(f"`{parts.scheme}` URLs are not fetched: only http and https")
    if "@" in parts.netloc:
        raise ValueError("credentials in a URL end up in logs: use `token`")
    if not parts.hostname:
        raise ValueError("the URL names no host")
    if parts.fragment:
        raise ValueError("a fragment (`#…`) is never sent to a server")
    origin(url)
    return url


def origin(url: str) -> tuple[str, str, int]:
    """Return (scheme, host, port). Raises ValueError where the port is none."""
    parts = urlsplit(url)
    scheme, host = parts.scheme.lower(), (parts.hostname or "").rstrip(".")
    try:
        port = parts.port
    except ValueError:
        raise ValueError("the port is not a number from 0 to 65535") from None
    return scheme, host, _PORTS.get(scheme, 0) if port is None else port


def shown(url: str) -> str:
    """Return a URL as it may be shown: without the query, which often is a key."""
    return url.partition("?")[0].partition("#")[0]


def is_private(url: str) -> bool:
    """Tell whether nobody on the way can read what is sent: TLS, or this machine itself."""
    scheme, host, _ = origin(url)
    return scheme == "https" or host in _LOCAL


def is_own(url: str, other: str) -> bool:
    """Tell whether `other` may be sent what `url` is: the same origin, or the same host over TLS."""
    first, second = origin(url), origin(other)
    return first == second or (first[0] == "http" and second == ("https", first[1], 443))


def redirect(first: str, here: str, location: str, listed: Sequence[str]) -> str:
    """Return where a redirect leads that `here` answered to a request of `first`.

    `listed` are URLs of which only the origin counts. Raises ValueError if it may not lead there.
    """
    try:
        target = check(urljoin(here, location).partition("#")[0])
        destination = origin(target)
    except ValueError as error:
        raise ValueError(f"a redirect is not followed: {error}") from None
    if origin(here)[0] == "https" and destination[0] != "https":
        raise ValueError(f"a redirect from https to {shown(target)} is not followed")
    if not is_own(first, target) and destination not in [origin(url) for url in listed]:
        scheme, host, port = destination
        place = f"{scheme}://{host}" + ("" if port == _PORTS[scheme] else f":{port}")
        raise ValueError(
            f"a redirect to another origin is not followed; to allow it: `redirects: [{place}]`"
        )
    return target


def seconds(retry_after: str, now: float) -> float | None:
    """Return a Retry-After header (seconds, or a date) in seconds from `now`; None: there is none.

    A day at most: a server does not put us off for ever.
    """
    from email.utils import parsedate_to_datetime

    if re.fullmatch(r"[0-9]{1,9}", retry_after):
        return float(min(int(retry_after), _MOST_SECONDS))
    try:
        then = parsedate_to_datetime(retry_after).timestamp()
    except (ValueError, TypeError, OverflowError):
        return None
    return min(max(then - now, 0.0), _MOST_SECONDS)
