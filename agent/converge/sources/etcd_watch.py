"""Waiting for a change in etcd, in a process of its own: little is imported, nothing is polled.

It asks once where the keys are now (so nothing is missed, and a compaction cannot matter), then
reads the watch's stream. The kernel's keep-alive finds a server that has gone without a word.
"""

from __future__ import annotations

import http.client
import json
import socket
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from converge.sources import SourceError
from converge.sources.etcd import encoded, parsed, transaction

if TYPE_CHECKING:
    from converge.config import Settings
    from converge.sources.etcd import EtcdSource

_CONNECT = 30.0  # seconds
_KEEP_ALIVE = {"TCP_KEEPIDLE": 60, "TCP_KEEPINTVL": 20, "TCP_KEEPCNT": 3}
_MOST_LINE = 16 << 20


def wait(source: EtcdSource, tag: str) -> None:
    """Return when one of the keys has changed since `tag`. Raises SourceError."""
    connection = _connection(source)
    try:
        now = parsed(
            _post(source, connection, "/v3/kv/txn", transaction(source.key, tag.split(",")))
        )
        if not now.get("succeeded"):
            return
        start = int(now["header"]["revision"]) + 1
        answer = _open(source, connection, "/v3/watch", _watch(source.key, start))
        if connection.sock:
            connection.sock.settimeout(None)
        while line := answer.readline(_MOST_LINE):
            if _tells_of_a_change(parsed(line)):
                return
        raise SourceError(f"{source.url}: the watch has ended")
    except (OSError, http.client.HTTPException, KeyError, TypeError, ValueError) as error:
        raise SourceError(f"{source.url}: the watch broke: {error}") from error
    finally:
        connection.close()


def _watch(key: str, start: int) -> dict[str, Any]:
    """Return the request for KEY and all that begins with `KEY.`: the character after `.` is `/`."""
    wanted = {"key": encoded(key), "range_end": encoded(key + "/"), "start_revision": str(start)}
    return {"create_request": wanted}


def _tells_of_a_change(message: dict[str, Any]) -> bool:
    result = message.get("result")
    if not isinstance(result, dict) or result.get("canceled") or "error" in message:
        raise SourceError(f"etcd ended the watch: {str(message)[:200]}")
    return bool(result.get("events"))


def _connection(source: EtcdSource) -> http.client.HTTPConnection:
    parts = urlsplit(source.base)
    host, port = str(parts.hostname), parts.port or 2379
    if parts.scheme == "http":
        connection = http.client.HTTPConnection(host, port, timeout=_CONNECT)
    else:
        connection = http.client.HTTPSConnection(
            host, port, timeout=_CONNECT, context=_tls(source.settings)
        )
    connection.connect()
    connection.sock.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    for name, value in _KEEP_ALIVE.items():
        connection.sock.setsockopt(socket.IPPROTO_TCP, getattr(socket, name), value)
    return connection


def _tls(settings: Settings) -> Any:
    import ssl

    context = ssl.create_default_context(cafile=settings.ca_file)
    if settings.client_certificate:
        context.load_cert_chain(settings.client_certificate, settings.client_key)
    return context


def _post(
    source: EtcdSource, connection: http.client.HTTPConnection, path: str, body: dict[str, Any]
) -> bytes:
    return _open(source, connection, path, body).read(_MOST_LINE)


def _open(
    source: EtcdSource, connection: http.client.HTTPConnection, path: str, body: dict[str, Any]
) -> http.client.HTTPResponse:
    from converge.sources import asking

    headers = {"Content-Type": "application/json"}
    if secret := asking.token(source.settings):
        headers["Authorization"] = secret
    connection.request("POST", path, json.dumps(body), headers)
    answer = connection.getresponse()
    if answer.status != 200:
        raise SourceError(f"{source.url}: etcd answered {answer.status} {answer.reason}")
    return answer
