"""HTTP and HTTPS, asked safely: the one place that fetches anything from a network.

Whatever the server does, a request ends by its deadline and takes no more bytes than it may. TLS is
always verified. Proxies, credentials and authorities come from the request alone, never from the
environment. A redirect leaves the origin only for one that is listed, and takes no header, token
or certificate along.
"""

from __future__ import annotations

import os
import time
from typing import TYPE_CHECKING, Any

from converge.record import Record
from converge.web import weblink
from converge.web.http_answer import Body, FetchError, Head, explain, refuse_link_local, too_large
from converge.web.transfer import TooSlowError, Transfer

if TYPE_CHECKING:
    import socket
    from collections.abc import Iterator, Mapping, Sequence

    import requests

    from converge.web.transfer import Opened

__all__ = ["Answer", "FetchError", "Request", "get"]

BUNDLES = (  # the authorities that the machine itself trusts, by family
    "/etc/ssl/certs/ca-certificates.crt",  # Debian, Alpine, Arch
    "/etc/pki/ca-trust/extracted/pem/tls-ca-bundle.pem",  # Fedora, RHEL
    "/etc/ssl/ca-bundle.pem",  # SUSE
    "/etc/ssl/cert.pem",  # Alpine without the package
)
MOST_REDIRECTS = 3
_CHUNK = 64 << 10
_PAUSE = 1.0  # seconds before another try, where the server asks for no other time


class Request(Record):
    """What is asked of a server, and what may come. Times in seconds, sizes in bytes."""

    url: str
    method: str = "GET"  # HEAD asks for the head alone
    data: bytes | None = None  # sent along, by POST unless the method is PUT
    headers: Mapping[str, str] = {}
    token: str = ""  # sent as `Authorization: Bearer`
    etag: str = ""  # of what is there already: the answer may be 304
    last_modified: str = ""
    digest: str = ""  # the SHA-256, in hex, that the body must have
    ca: str = ""  # file of the authorities that are trusted instead of the machine's
    certificate: str = ""  # file of the client's own certificate, and of its key
    key: str = ""
    proxy: str = ""
    redirects: Sequence[str] = ()  # other origins that a redirect may lead to
    deadline: float = 30.0  # for all of it: names, redirects, tries
    first: float = 30.0  # until an answer begins, each time
    min_rate: int = 1024  # bytes a second, over `patience`
    patience: float = 10.0
    most_bytes: int = 64 << 20
    tries: int = 1


class Answer(Record):
    """What a server answered. `status` is 200, or 304 with no body where nothing has changed."""

    status: int
    headers: Mapping[str, str] = {}  # their names in lower case
    etag: str = ""
    last_modified: str = ""
    size: int = 0
    digest: str = ""  # SHA-256 in hex
    body: bytes = b""  # empty where it went to a descriptor


def get(request: Request, into: int | None = None, *, keep: bool = True) -> Answer:
    """Ask, follow redirects, and try again what fails for a time. Raises FetchError, OSError.

    The body goes to the file that is open at `into`, else into the answer; without `keep` nowhere,
    and only its digest is told.
    """
    ends = time.monotonic() + request.deadline
    left = request.tries
    while True:
        left -= 1
        try:
            return _follow(request, ends, into, keep=keep)
        except FetchError as error:
            pause = _PAUSE if error.retry_after is None else error.retry_after
            if left <= 0 or not error.temporary or time.monotonic() + pause >= ends:
                raise
            time.sleep(pause)


def _follow(request: Request, ends: float, into: int | None, *, keep: bool) -> Answer:
    url = request.url
    for _ in range(MOST_REDIRECTS + 1):
        found = _ask(request, url, ends, Body(into, keep=keep))
        if isinstance(found, Answer):
            return found
        try:
            url = weblink.redirect(request.url, url, found, request.redirects)
        except ValueError as error:
            raise FetchError(f"{weblink.shown(request.url)}: {error}") from None
    raise FetchError(f"{weblink.shown(request.url)} redirects more than {MOST_REDIRECTS} times")


def _ask(request: Request, url: str, ends: float, body: Body) -> Answer | str:
    """Return the answer of one server, or where it redirects to."""
    shown = weblink.shown(url)

    def exchange(opened: Opened) -> Iterator[Head | bytes]:
        return _exchange(request, url, max(ends - time.monotonic(), 0.001), opened)

    try:
        with Transfer(
            exchange, ends=ends, rate=request.min_rate, patience=request.patience
        ) as transfer:
            head: Head = transfer.head(request.first)
            return head.location or _take(shown, request, head, transfer, body)
    except TooSlowError as error:
        raise FetchError(f"{shown}: {error.args[0]}", temporary=True) from None


def _take(shown: str, request: Request, head: Head, transfer: Transfer[Head], body: Body) -> Answer:
    """Receive a body and check it."""
    conditional, sent = bool(request.etag or request.last_modified), request.data is not None
    head.check_status(shown, conditional=conditional, sent=sent)
    if head.status == 304 or head.is_done or request.method == "HEAD":
        return Answer(
            status=head.status,
            headers=head.headers,
            etag=head.etag,
            last_modified=head.last_modified,
        )
    length = head.length(shown, most=request.most_bytes, checked=bool(request.digest))
    for chunk in transfer.chunks():
        body.take(chunk)
        if body.size > request.most_bytes:
            raise too_large(shown, request.most_bytes)
    if length not in (None, body.size):
        raise FetchError(f"{shown}: {body.size} bytes came of {length}", temporary=True)
    if request.digest and body.digest != request.digest:
        raise FetchError(
            f"{shown} has the digest sha256:{body.digest}, not sha256:{request.digest}",
            "correct `digest`, or find out why the server gives something else",
        )
    return Answer(
        status=200, headers=head.headers, etag=head.etag, last_modified=head.last_modified,
        size=body.size, digest=body.digest, body=body.whole(),
    )  # fmt: skip


def _exchange(request: Request, url: str, timeout: float, opened: Opened) -> Iterator[Head | bytes]:
    """Yield the head and the chunks of one answer. Raises FetchError. Runs in a thread."""
    import requests

    try:
        with requests.Session() as session:
            session.trust_env = False  # no proxies, .netrc or authorities by variables
            session.headers.clear()
            _record(request, session, opened)
            sends = request.data is not None and request.method == "GET"
            method = "POST" if sends else request.method
            with session.request(
                method, url, timeout=timeout, **_options(request, url)
            ) as response:
                names = {name.lower(): value for name, value in response.headers.items()}
                yield Head(status=response.status_code, headers=names)
                while chunk := response.raw.read1(_CHUNK, decode_content=False):
                    yield chunk
    except Exception as error:  # noqa: BLE001  four libraries have a family of errors each
        raise explain(weblink.shown(url), error) from None


def _options(request: Request, url: str) -> dict[str, Any]:
    """Return what requests is told; what is for the first origin alone goes to no other."""
    from converge import __version__

    headers = {
        "User-Agent": f"converge/{__version__}",
        "Accept": "*/*",
        "Accept-Encoding": "identity",
        "Connection": "close",
    }
    own = weblink.is_own(request.url, url)
    if own:
        headers |= {
            name: value
            for name, value in {
                "If-None-Match": request.etag,
                "If-Modified-Since": request.last_modified,
                "Authorization": f"Bearer {request.token}" if request.token else "",
                **request.headers,
            }.items()
            if value
        }
    return {
        "headers": headers,
        "data": request.data if own else None,
        "allow_redirects": False,
        "stream": True,
        "verify": request.ca or _bundle() or True,
        "cert": (request.certificate, request.key) if own and request.certificate else None,
        "proxies": dict.fromkeys(("http", "https"), request.proxy) if request.proxy else {},
    }


def _bundle() -> str:
    """Return the file of the machine's own authorities; empty: certifi's, which requests brings."""
    return next((path for path in BUNDLES if os.path.isfile(path)), "")


def _record(request: Request, session: requests.Session, opened: Opened) -> None:
    """Have `opened` called with every socket that the session connects."""
    import requests

    class Adapter(requests.adapters.HTTPAdapter):
        def get_connection_with_tls_context(self, *args: Any, **options: Any) -> Any:
            pool: Any = super().get_connection_with_tls_context(*args, **options)

            class Connection(pool.ConnectionCls):  # type: ignore[misc]
                def _new_conn(self) -> socket.socket:
                    sock: socket.socket = super()._new_conn()
                    opened(sock)
                    if not request.proxy:
                        refuse_link_local(self.host, sock.getpeername()[0])
                    return sock

            pool.ConnectionCls = Connection
            return pool

    for scheme in ("http://", "https://"):
        session.mount(scheme, Adapter())
