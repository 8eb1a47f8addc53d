"""`https://`: a bundle (`.tar.gz`) or one profile (YAML) on a web server, with conditional requests.

Beside FILE lie FILE.minisig and, once keys were changed, FILE.keys. A 304 costs one request.
"""

from __future__ import annotations

from urllib.parse import urlsplit, urlunsplit

from converge.bundle import keyring, packing
from converge.bundle.check import Signed
from converge.errors import UsageError
from converge.sources import Fetched, Source
from converge.sources.asking import request
from converge.web import weblink
from converge.web.fetch import Answer, FetchError, get

_ARCHIVES = (".tar.gz", ".tgz")
_MOST_SIGNATURES = 64 << 10


class WebSource(Source):
    """A file on a web server."""

    def fetch(self, tag: str) -> Fetched | None:
        """Return the file, unless it is the one with this tag. Raises FetchError, UsageError."""
        parts = urlsplit(self.url)
        if self.settings.unsigned and not weblink.is_private(self.url):
            raise UsageError(
                f"{self.url}: anybody on the way could change what is neither encrypted nor signed",
                "sign it, or use https",
            )
        etag, _, modified = tag.partition("\n")
        answer = self._get("", packing.MOST_BYTES, etag=etag, last_modified=modified)
        if answer.status == 304:
            return None
        signatures = keys = ""
        if not self.settings.unsigned:
            signatures = self._get(".minisig", _MOST_SIGNATURES).body.decode(errors="replace")
            keys = self._keys()
        return Fetched(
            signed=Signed(content=answer.body, signatures=signatures, keys=keys),
            tag=_tag(answer),
            single=not parts.path.endswith(_ARCHIVES),
        )  # fmt: skip

    def _keys(self) -> str:
        """Return the changes of keys, where there are any."""
        try:
            return self._get(".keys", keyring.MOST_BYTES).body.decode(errors="replace")
        except FetchError as error:
            if error.status == 404:
                return ""
            raise

    def _get(self, ending: str, most: int, **known: str) -> Answer:
        parts = urlsplit(self.url)
        url = urlunsplit(parts._replace(path=parts.path + ending, fragment=""))
        return get(request(self.settings, url, most_bytes=most, **known))


def _tag(answer: Answer) -> str:
    return f"{answer.etag}\n{answer.last_modified}" if answer.etag or answer.last_modified else ""
