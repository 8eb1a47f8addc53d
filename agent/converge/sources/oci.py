"""`oci://REGISTRY/REPOSITORY:TAG` (or `@sha256:…`): an artifact in a container registry.

What `oras push REGISTRY/REPOSITORY:TAG web.tar.gz web.tar.gz.minisig` makes: a manifest whose layers
are the files, named by `org.opencontainers.image.title`. By the distribution API,
https://github.com/opencontainers/distribution-spec, with its token authentication. A registry on
loopback is asked without TLS, as container engines do.
"""

from __future__ import annotations

import hashlib
import json
import re
from typing import TYPE_CHECKING, Any
from urllib.parse import urlencode

from converge.bundle import keyring, packing
from converge.bundle.check import Signed
from converge.errors import UsageError
from converge.sources import Fetched, Source, SourceError, asking
from converge.web import weblink
from converge.web.fetch import Answer, FetchError, get

if TYPE_CHECKING:
    from collections.abc import Mapping

    from converge.config import Settings

_URL = re.compile(
    r"oci://(?P<host>[A-Za-z0-9.-]+(?::[0-9]+)?)/(?P<repository>[a-z0-9]+(?:[._/-]+[a-z0-9]+)*)"
    r"(?::(?P<tag>[A-Za-z0-9_][A-Za-z0-9._-]{0,127})|@(?P<digest>sha256:[0-9a-f]{64}))?"
)
_MANIFEST = "application/vnd.oci.image.manifest.v1+json"
_TITLE = "org.opencontainers.image.title"
_MOST_MANIFEST = 4 << 20  # as the distribution specification allows
_MOST = {".minisig": 64 << 10, ".keys": keyring.MOST_BYTES}
_LOOPBACK = re.compile(r"(localhost|127(\.\d+){3})(:\d+)?")
_CHALLENGE = re.compile(r'([a-z]+)="([^"]*)"')


class OciSource(Source):
    """An artifact, by tag or by digest."""

    def __init__(self, url: str, settings: Settings) -> None:
        super().__init__(url, settings)
        found = _URL.fullmatch(url)
        if found is None:
            raise UsageError(f"{url} is not oci://REGISTRY/REPOSITORY:TAG or …@sha256:DIGEST")
        self.repository = found["repository"]
        self.reference = found["digest"] or found["tag"] or "latest"
        self.pinned = found["digest"] or ""
        scheme = "http" if _LOOPBACK.fullmatch(found["host"]) else "https"
        self.base = f"{scheme}://{found['host']}"
        self._authorization = ""

    @property
    def name(self) -> str:
        """The last part of the repository's name."""
        return self.repository.rpartition("/")[2]

    def fetch(self, tag: str) -> Fetched | None:
        """Return the artifact, unless its manifest has this digest. Raises FetchError, SourceError."""
        if tag and tag == (self.pinned or self._digest()):
            return None
        body = self._get(f"manifests/{self.reference}", _MOST_MANIFEST).body
        digest = f"sha256:{hashlib.sha256(body).hexdigest()}"
        if self.pinned and digest != self.pinned:
            raise SourceError(f"{self.url}: the registry gives a manifest with the digest {digest}")
        layers = self._layers(body)
        content = self._blob(layers[""])
        texts = {
            ending: self._blob(layers[ending], most).decode(errors="replace")
            for ending, most in _MOST.items()
            if ending in layers
        }
        return Fetched(
            signed=Signed(
                content=content, signatures=texts.get(".minisig", ""), keys=texts.get(".keys", "")
            ),
            tag=digest,
        )

    def _digest(self) -> str:
        """Return the digest that the registry has for the tag now, without the manifest."""
        answer = self._get(f"manifests/{self.reference}", _MOST_MANIFEST, method="HEAD")
        return answer.headers.get("docker-content-digest", "")

    def _layers(self, manifest: bytes) -> dict[str, Mapping[str, Any]]:
        """Return the descriptors of the bundle and the files beside it, by their endings."""
        try:
            layers = json.loads(manifest)["layers"]
            titles = {layer["annotations"][_TITLE]: layer for layer in layers}
            (bundle,) = [title for title in titles if title.endswith((".tar.gz", ".tgz"))]
        except (ValueError, KeyError, TypeError, RecursionError):
            raise SourceError(
                f"{self.url} is no artifact with one bundle",
                "oras push REGISTRY/REPOSITORY:TAG web.tar.gz web.tar.gz.minisig",
            ) from None
        return {
            ending: titles[bundle + ending] for ending in ("", *_MOST) if bundle + ending in titles
        }

    def _blob(self, descriptor: Mapping[str, Any], most: int = packing.MOST_BYTES) -> bytes:
        digest = str(descriptor.get("digest", ""))
        algorithm, _, value = digest.partition(":")
        if algorithm != "sha256" or not re.fullmatch("[0-9a-f]{64}", value):
            raise SourceError(f"{self.url}: {digest[:80]!r} is no digest by sha256")
        return self._get(f"blobs/{digest}", most, digest=value).body

    def _get(self, path: str, most: int, **changes: Any) -> Answer:
        """Ask the registry, once more with a token where it asks for one."""
        url = f"{self.base}/v2/{self.repository}/{path}"
        for last in (False, True):
            headers = {"Accept": _MANIFEST}
            if self._authorization:
                headers["Authorization"] = self._authorization
            try:
                return get(
                    asking.request(
                        self.settings, url, token="", headers=headers,
                        most_bytes=most, **changes,
                    )
                )  # fmt: skip
            except FetchError as error:
                if last or error.status != 401:
                    raise
                self._authorization = self._log_in(error.headers.get("www-authenticate", ""))
        raise AssertionError("the second answer is returned or raised")

    def _log_in(self, challenge: str) -> str:
        """Return the header that a challenge asks for (RFC 6750; the token specification of Docker)."""
        kind, _, rest = challenge.partition(" ")
        secret = asking.token(self.settings)
        basic = _basic(secret) if ":" in secret else ""
        if kind.lower() == "basic" and basic:
            return basic
        if kind.lower() != "bearer":
            raise SourceError(f"{self.url}: the registry wants a login", "set token_file")
        if secret and not basic:
            return f"Bearer {secret}"
        words = dict(_CHALLENGE.findall(rest))
        realm = words.pop("realm", "")
        wanted = {"scope": f"repository:{self.repository}:pull", **words}
        origins = {weblink.origin(url) for url in (self.base, *self.settings.redirects)}
        if basic and weblink.origin(realm) not in origins:
            raise SourceError(
                f"{self.url}: the registry sends its logins to {weblink.shown(realm)}",
                "redirects: [ORIGIN] in agent.yaml, if that is meant",
            )
        headers = {"Authorization": basic} if basic else {}
        answer = get(
            asking.request(
                self.settings, f"{realm}?{urlencode(wanted)}", token="", headers=headers,
                most_bytes=64 << 10,
            )
        )  # fmt: skip
        try:
            found = json.loads(answer.body)
            return f"Bearer {found.get('token') or found['access_token']}"
        except (ValueError, KeyError, TypeError, AttributeError):
            raise SourceError(f"{self.url}: {realm} gave no token") from None


def _basic(secret: str) -> str:
    import base64

    return "Basic " + base64.b64encode(secret.encode()).decode()
