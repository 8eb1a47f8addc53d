"""`etcd://HOST:PORT/KEY`: a bundle in etcd (`etcds://`: over TLS), with a watch.

Through the JSON gateway that etcd serves beside gRPC, https://etcd.io/docs/latest/dev-guide/api_grpc_gateway/.
KEY holds the bundle, KEY.minisig its signatures, KEY.keys the changes of keys: all three are read in
one transaction, so they fit each other. A tag is the revisions at which each was last changed.
"""

from __future__ import annotations

import base64
import binascii
import json
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote, urlsplit

from converge.bundle import packing
from converge.bundle.check import Signed
from converge.errors import UsageError
from converge.sources import Fetched, Source, SourceError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from converge.config import Settings

ENDINGS = ("", ".minisig", ".keys")
_MOST = 2 * packing.MOST_BYTES  # of an answer, where all is in base64


class EtcdSource(Source):
    """A key of etcd, and those beside it."""

    watchable = True

    def __init__(self, url: str, settings: Settings) -> None:
        super().__init__(url, settings)
        parts = urlsplit(url)
        self.key = unquote(parts.path)
        if not parts.hostname or not self.key.strip("/"):
            raise UsageError(f"{url} is not etcd://HOST:PORT/KEY")
        scheme = "https" if parts.scheme == "etcds" else "http"
        self.base = f"{scheme}://{parts.netloc}"

    def fetch(self, tag: str) -> Fetched | None:
        """Return the bundle, unless all of it is as old as this tag says. Raises FetchError."""
        known = tag.split(",") if tag else []
        answer = self._ask("/v3/kv/txn", transaction(self.key, known))
        if answer.get("succeeded") and known:
            return None
        found = [_value(one) for one in answer.get("responses", [])]
        if len(found) != len(ENDINGS):
            raise SourceError(f"{self.url}: this is no answer of etcd")
        (content, revision), (signatures, second), (keys, third) = found
        if not revision:
            raise SourceError(f"{self.url}: etcd has no key {self.key}")
        return Fetched(
            signed=Signed(
                content=content, signatures=signatures.decode(errors="replace"),
                keys=keys.decode(errors="replace"),
            ),
            tag=",".join((revision, second or "0", third or "0")),
        )  # fmt: skip

    def _ask(self, path: str, body: Mapping[str, Any]) -> dict[str, Any]:
        from converge.sources import asking
        from converge.web.fetch import get

        secret = asking.token(self.settings)
        headers = {"Content-Type": "application/json"}
        if secret:
            headers["Authorization"] = secret  # etcd takes it bare
        answer = get(
            asking.request(
                self.settings, self.base + path, token="", headers=headers,
                data=json.dumps(body).encode(), most_bytes=_MOST,
            )
        )  # fmt: skip
        return parsed(answer.body)

    def wait(self, tag: str) -> None:
        """Become the process that waits for one of the keys to change since this tag."""
        import os
        import sys

        from converge.daemon.options import memory_file
        from converge.sources import etcd_watch

        fd = memory_file(self._wait_request(tag))
        os.set_inheritable(fd, True)
        argv = [sys.executable, "-ISB", str(etcd_watch.__file__), str(fd)]
        os.execv(sys.executable, argv)  # noqa: S606  the same Python, by its absolute path

    def _wait_request(self, tag: str) -> bytes:
        """Return what converge.sources.etcd_watch is to do."""
        from converge.sources import asking

        parts, settings = urlsplit(self.base), self.settings
        host, port = str(parts.hostname), str(parts.port or 2379)
        secret = asking.token(settings)
        head = f"Host: {parts.netloc}\r\nContent-Type: application/json\r\n"
        known = tag.split(",") if tag else ["0"] * len(ENDINGS)  # 0: there is no such key
        # All that begins with `KEY.` too: the character after `.` is `/`.
        wanted = {
            "key": encoded(self.key), "range_end": encoded(self.key + "/"),
            "start_revision": "START",
        }  # fmt: skip
        words = (
            host, port, "tls" if parts.scheme == "https" else "", settings.ca_file or "",
            settings.client_certificate or "", settings.client_key or "",
            head + (f"Authorization: {secret}\r\n" if secret else ""),
            json.dumps({**transaction(self.key, known), "failure": []}),
            json.dumps({"create_request": wanted}),
        )  # fmt: skip
        return "".join(word + "\0" for word in words).encode()


def transaction(key: str, known: list[str]) -> dict[str, Any]:
    """Return the transaction that reads all keys, unless they were last changed at `known`."""
    names = [encoded(key + ending) for ending in ENDINGS]
    compare = [
        {"key": name, "target": "MOD", "result": "EQUAL", "mod_revision": revision}
        for name, revision in zip(names, known, strict=False)
    ]
    read = [{"request_range": {"key": name}} for name in names]
    return {"compare": compare, "failure": read, "success": [] if compare else read}


def encoded(key: str) -> str:
    """Return a key as the JSON gateway has it."""
    return base64.b64encode(key.encode()).decode()


def parsed(body: bytes) -> dict[str, Any]:
    """Return an answer of etcd. Raises SourceError."""
    try:
        found = json.loads(body)
    except (ValueError, RecursionError):
        found = None
    if not isinstance(found, dict):
        raise SourceError("this is no answer of etcd")
    return found


def _value(response: Any) -> tuple[bytes, str]:
    """Return (value, revision of its last change) of one answer of a transaction."""
    try:
        pairs = response["response_range"].get("kvs", [])
        if not pairs:
            return b"", ""
        value = base64.b64decode(pairs[0].get("value", ""), validate=True)
        return value, str(int(pairs[0]["mod_revision"]))
    except (KeyError, TypeError, ValueError, AttributeError, binascii.Error):
        raise SourceError("this is no answer of etcd") from None
