"""What comes from a web server: the attributes of a request, and whether what is here is current.

For kinds whose content is given by a URL. With a digest what is here is compared with it alone.
Without one the server is asked, once in a run, whether it has something newer than what the notes
say was fetched.
"""

from __future__ import annotations

import re

from converge.errors import ApplyError
from converge.provider import Spec, Unmanageable

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence
    from typing import Annotated, Any

    from converge.fields import AbsolutePath, Doc, Line, Matching, Seconds, Secret
    from converge.system import ReadOnlySystem, System
    from converge.web.fetch import Answer, Request

_HEADER = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")  # RFC 9110, 5.6.2
_OURS = frozenset((
    "accept-encoding", "connection", "content-length", "host", "if-modified-since", "if-none-match",
    "range", "transfer-encoding",
))  # fmt: skip
_MOST_TRIES = 10


class RemoteSpec(Spec):
    """A resource whose content a web server may give."""

    url: Annotated[Line | None, Doc("Where it comes from: http or https, no credentials.")] = None
    digest: Annotated[
        Annotated[str, Matching(r"sha256:[0-9a-f]{64}", "`sha256:` and 64 hex digits")] | None,
        Doc("Its digest, `sha256:…`. Unset: the server is asked in every run whether it changed."),
    ] = None
    headers: Annotated[
        dict[str, Secret],
        Doc("Headers that are sent to the origin of `url` alone; a value may be a secret."),
    ] = {}  # noqa: RUF012  a spec is frozen
    token: Annotated[
        Secret | None, Doc("Sent as `Authorization: Bearer`, to the origin of `url` alone.")
    ] = None
    ca: Annotated[
        AbsolutePath | None,
        Doc("File of the authorities that are trusted for TLS, instead of the machine's."),
    ] = None
    certificate: Annotated[AbsolutePath | None, Doc("File of a client certificate.")] = None
    key: Annotated[AbsolutePath | None, Doc("File of the client certificate's key.")] = None
    proxy: Annotated[Line | None, Doc("URL of an HTTP proxy. Variables are not asked.")] = None
    redirects: Annotated[
        Sequence[Line], Doc("Other origins (`https://cdn.example`) that a redirect may lead to.")
    ] = ()
    timeout: Annotated[Seconds, Doc("Seconds for the whole transfer, redirects and tries.")] = 300.0
    min_rate: Annotated[int, Doc("Bytes a second; what is slower over 10 seconds is given up.")] = (
        1024
    )
    max_bytes: Annotated[int, Doc("The most that is taken.")] = 1 << 30
    tries: Annotated[int, Doc("How often what fails for a time is asked, in all.")] = 3

    def problems(self) -> Iterable[tuple[str, str]]:
        """Say what does not go together."""
        yield from _url_problems(self)
        for name in self.headers:
            if not _HEADER.fullmatch(name) or name.lower() in _OURS:
                yield "headers", f"`{name}` is not a header that may be set"
        if not all(_sendable(value) for value in self.headers.values()):
            yield "headers", "a value has white space around it, or characters that cannot be sent"
        if self.token is not None and not (self.token and _sendable(self.token)):
            yield "token", "a token is one line of printable ASCII"
        if (self.certificate is None) != (self.key is None):
            yield "key", "`certificate` and `key` go together"
        if self.min_rate < 0 or self.max_bytes < 1:
            yield "max_bytes", "`max_bytes` is at least 1, `min_rate` at least 0"
        if not 1 <= self.tries <= _MOST_TRIES:
            yield "tries", f"from 1 to {_MOST_TRIES}"
        if self.url is None:
            declared = [name for name in _OF_A_REQUEST if getattr(self, name)]
            yield from ((name, f"`{name}` goes with a `url`") for name in declared)

    @property
    def sha256(self) -> str | None:
        """The declared digest in hex, without its prefix."""
        return None if self.digest is None else self.digest.removeprefix("sha256:")

    def files(self) -> Iterator[str]:
        """Yield the paths that a request reads."""
        yield from filter(None, (self.ca, self.certificate, self.key))


_OF_A_REQUEST = ("headers", "token", "ca", "certificate", "proxy", "redirects")


def request(spec: RemoteSpec, system: ReadOnlySystem, **more: Any) -> Request:
    """Return the request that a spec describes."""
    from converge.web.fetch import Request

    paths: dict[str, Any] = {
        name: system.real(path)
        for name in ("ca", "certificate", "key")
        if (path := getattr(spec, name))
    }
    return Request(
        url=spec.url or "",
        headers=spec.headers,
        token=spec.token or "",
        digest=spec.sha256 or "",
        proxy=spec.proxy or "",
        redirects=spec.redirects,
        deadline=spec.timeout,
        min_rate=spec.min_rate,
        most_bytes=spec.max_bytes,
        tries=spec.tries,
        **paths,
        **more,
    )


def is_current(
    kind: str, spec: RemoteSpec, system: ReadOnlySystem, have: str
) -> bool | Unmanageable:
    """Tell whether the content with the digest `have` (hex) is what the URL gives now.

    What the server answered holds for the rest of the run. Unmanageable: it cannot be asked.
    """
    from converge.web import fetch

    asked = kind, spec.name
    if system.notes.run.get(asked) == (spec.url, have):
        return True
    note = system.notes.get(*asked)
    known = note.get("url") == spec.url and note.get("digest") == have
    validators = {name: note.get(name, "") for name in ("etag", "last_modified")} if known else {}
    try:
        answer = fetch.get(request(spec, system, **validators), keep=False)
    except (ApplyError, OSError) as error:
        return Unmanageable(
            reason=f"cannot be asked whether it changed: {_words(error)}",
            remedy="with a `digest` no server is asked while it holds",
        )
    if answer.status == 304:
        system.notes.run[asked] = (spec.url, have)
    elif answer.digest == have:
        remember(kind, spec, system, answer)
    else:
        return False
    return True


def fetch_into(spec: RemoteSpec, system: System, fd: int) -> Answer:
    """Fetch what the URL gives into the file open at `fd`. Raises ApplyError."""
    from converge.web import fetch

    try:
        return fetch.get(request(spec, system), fd)
    except OSError as error:
        raise ApplyError(f"what comes cannot be kept: {error.strerror}") from error


def remember(kind: str, spec: RemoteSpec, system: ReadOnlySystem, answer: Answer) -> None:
    """Note what a server said of the content with the answer's digest."""
    note = {
        "url": spec.url,
        "digest": answer.digest,
        "etag": answer.etag,
        "last_modified": answer.last_modified,
    }
    system.notes.put(kind, spec.name, system.notes.get(kind, spec.name) | note)
    system.notes.run[kind, spec.name] = (spec.url, answer.digest)


def _url_problems(spec: RemoteSpec) -> Iterator[tuple[str, str]]:
    from converge.web import weblink

    urls = [
        ("url", spec.url),
        ("proxy", spec.proxy),
        *(("redirects", url) for url in spec.redirects),
    ]
    for name, url in urls:
        try:
            if url is not None:
                weblink.check(url)
                if name == "url" and spec.token and not weblink.is_private(url):
                    yield "token", "over plain http anyone on the way can read a token"
        except ValueError as error:
            yield name, str(error)


def _sendable(value: Any) -> bool:
    """Tell whether a value may be sent; what is still a reference is looked at when it is filled."""
    if not isinstance(value, str):
        return True
    return value == value.strip() and value.isascii() and value.isprintable()


def _words(error: Exception) -> str:
    return str(error.args[0]) if isinstance(error, ApplyError) else str(error)
