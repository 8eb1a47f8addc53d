"""What makes an HTTP answer usable: its status, its length, its digest; and why there is none."""

from __future__ import annotations

import hashlib
import os
import ssl
import time
from typing import TYPE_CHECKING

from converge.errors import ApplyError
from converge.files import atomic
from converge.record import Record
from converge.web import weblink

if TYPE_CHECKING:
    from collections.abc import Mapping

_TEMPORARY = (408, 425, 429, 500, 502, 503, 504)
_REDIRECTS = (301, 302, 303, 307, 308)
_BY_THE_CLOCK = (9, 10)  # X509_V_ERR_CERT_NOT_YET_VALID, …_HAS_EXPIRED (x509_vfy.h)


class FetchError(ApplyError):
    """Nothing usable came. `retry_after` is in seconds, where the server said so.

    `status` is 0, and there are no `headers` (names in lower case), where there was no answer.
    """

    def __init__(
        self,
        message: str,
        remedy: str = "",
        *,
        temporary: bool = False,
        retry_after: float | None = None,
        status: int = 0,
        headers: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__(message, remedy)
        self.status = status
        self.headers = headers or {}
        self.temporary = temporary
        self.retry_after = retry_after


class Head(Record):
    """The status and the headers, their names in lower case."""

    status: int
    headers: Mapping[str, str]

    @property
    def location(self) -> str:
        """Where it redirects to, empty if it does not."""
        return self.headers.get("location", "") if self.status in _REDIRECTS else ""

    @property
    def is_done(self) -> bool:
        """Whether what was sent has arrived, and the answer says no more that matters."""
        return self.status in (201, 202, 204)

    @property
    def etag(self) -> str:
        """What a later request asks with whether anything has changed (RFC 9110, 8.8.3)."""
        return self.headers.get("etag", "")

    @property
    def last_modified(self) -> str:
        """The same, for servers that have no entity tags (RFC 9110, 8.8.2)."""
        return self.headers.get("last-modified", "")

    def check_status(self, shown: str, *, conditional: bool, sent: bool = False) -> None:
        """Raise FetchError unless this is 200, 304 where that was asked for, or 2xx if data was sent."""
        from http import HTTPStatus

        if self.status == 200 or (self.status == 304 and conditional):
            return
        if sent and self.is_done:
            return
        known = {one.value: one.phrase for one in HTTPStatus}  # the server's own may be anything
        raise FetchError(
            f"{shown} answered {self.status} {known.get(self.status, '')}".rstrip(),
            "check the token and the headers" if self.status in (401, 403, 407) else "",
            temporary=self.status in _TEMPORARY,
            retry_after=weblink.seconds(self.headers.get("retry-after", ""), time.time()),
            status=self.status,
            headers=self.headers,
        )

    def length(self, shown: str, *, most: int, checked: bool) -> int | None:
        """Return how many bytes the body says it has; None: it does not, but its end will show.

        `checked`: a digest will be compared. Raises FetchError if it may not come.
        """
        if self.headers.get("content-encoding", "identity") not in ("", "identity"):
            raise FetchError(f"{shown} was sent compressed, which was not asked for")
        if self.headers.get("transfer-encoding"):
            return None  # chunked: its end is marked
        length = self.headers.get("content-length", "")
        if length.isascii() and length.isdigit():
            if int(length) > most:
                raise too_large(shown, most)
            return int(length)
        if checked:
            return None
        raise FetchError(
            f"{shown}: the server does not say how long it is, so a broken transfer would not show",
            "declare a `digest`",
        )


class Body:
    """Where a body goes: a file open at `into` (from its beginning), memory, or nowhere."""

    def __init__(self, into: int | None, *, keep: bool) -> None:
        self._sha = hashlib.sha256()
        self.size = 0
        self._into = into
        self._chunks: list[bytes] | None = [] if keep and into is None else None
        if into is not None:
            os.ftruncate(into, 0)
            os.lseek(into, 0, os.SEEK_SET)

    @property
    def digest(self) -> str:
        """The SHA-256, in hex, of what was taken."""
        return self._sha.hexdigest()

    def take(self, chunk: bytes) -> None:
        """Take what comes next. Raises OSError."""
        self._sha.update(chunk)
        self.size += len(chunk)
        if self._chunks is not None:
            self._chunks.append(chunk)
        if self._into is not None:
            atomic.write_all(self._into, chunk)

    def whole(self) -> bytes:
        """Return what was kept in memory."""
        return b"".join(self._chunks or ())


def refuse_link_local(host: str, peer: str) -> None:
    """Raise FetchError where a name leads to a link-local address: a cloud's metadata, say.

    Who writes the address itself means it; who can change what a name resolves to does not own it.
    """
    import ipaddress

    address = ipaddress.ip_address(peer.partition("%")[0])
    mapped = getattr(address, "ipv4_mapped", None) or address
    if (address.is_link_local or mapped.is_link_local) and host.strip("[]") != peer:
        raise FetchError(
            f"{host} resolves to {peer}, a link-local address, which is not asked",
            "declare the address itself, if it is meant",
        )


def too_large(shown: str, most: int) -> FetchError:
    """Return the error for more bytes than may come."""
    return FetchError(f"{shown} is larger than {most} bytes", "raise `max_bytes`")


def explain(shown: str, error: Exception) -> FetchError:
    """Return an error of requests, urllib3, ssl or a socket in words that hold nothing secret.

    Theirs hold the whole URL.
    """
    cause = _cause(error)
    if isinstance(cause, FetchError):
        return cause
    if isinstance(cause, ssl.SSLCertVerificationError):
        remedy = "declare its authority as a `ca_certificate`, or name its file in `ca`"
        if cause.verify_code in _BY_THE_CLOCK:
            remedy = f"the clock here says {time.strftime('%Y-%m-%d', time.gmtime())}: is that so?"
        return FetchError(
            f"{shown}: its certificate is not accepted: {cause.verify_message}", remedy
        )
    if isinstance(cause, ssl.SSLError):
        return FetchError(f"{shown}: TLS failed: {cause.reason or type(cause).__name__}")
    if isinstance(cause, TimeoutError):
        return FetchError(f"{shown}: no answer came in time", temporary=True)
    if isinstance(cause, OSError) and cause.strerror:
        return FetchError(f"{shown} cannot be reached: {cause.strerror}", temporary=True)
    return FetchError(f"{shown}: the transfer broke ({type(cause).__name__})", temporary=True)


def _cause(error: BaseException) -> BaseException:
    """Return the first error, which requests and urllib3 wrap in several of theirs."""
    for _ in range(10):
        if isinstance(error, OSError) and error.strerror:
            break
        inner = [one for one in error.args if isinstance(one, BaseException)]
        reason = getattr(error, "reason", None)
        if isinstance(reason, BaseException):
            inner.append(reason)
        inner += [one for one in (error.__cause__, error.__context__) if one is not None]
        if not inner:
            break
        error = inner[0]
    return error
