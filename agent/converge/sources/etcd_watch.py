"""Waits for a change in etcd, as a process that costs little: it is held for as long as the agent is.

Run by EtcdSource.wait as a script, `python -ISB etcd_watch.py FD`, so it imports nothing of converge. FD
holds words ended by NUL: host, port, `tls` or nothing, authorities, certificate, key, the head of each
request, the body that asks whether the keys are as they were, and that of the watch, in which START
stands for a revision. Descriptor 3 ends when the agent does.

It asks once where the keys are now (so nothing is missed, and a compaction cannot matter), then reads
the watch's stream. The kernel's keep-alive finds a server that has gone without a word. Exit codes: 0
something has changed, 1 it cannot be watched now.
"""

import os
import select
import socket
import sys

_CONNECT = 30.0  # seconds
_KEEP_ALIVE = (
    (socket.TCP_KEEPIDLE, 60), (socket.TCP_KEEPINTVL, 20), (socket.TCP_KEEPCNT, 3),
)  # fmt: skip
_AGENT = 3
_MOST = 1 << 20  # bytes of an answer without a value in it


class Ended(Exception):  # noqa: N818  not always an error
    """The answer is known: `args[0]` is the exit code."""


def connect(words: list[str]) -> socket.socket:
    """Return a connection. Raises OSError."""
    host, port, tls, authorities, certificate, key = words
    found = socket.create_connection((host, int(port)), _CONNECT)
    found.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    for option, value in _KEEP_ALIVE:
        found.setsockopt(socket.IPPROTO_TCP, option, value)
    if not tls:
        return found
    import ssl

    context = ssl.create_default_context(cafile=authorities or None)
    if certificate:
        context.load_cert_chain(certificate, key)
    return context.wrap_socket(found, server_hostname=host)


def ask(words: list[str], head: str, path: str, body: str) -> socket.socket:
    """Return a connection on which a request has been sent. Raises OSError."""
    found = connect(words)
    request = f"POST {path} HTTP/1.1\r\n{head}Content-Length: {len(body)}\r\n\r\n{body}"
    found.sendall(request.encode())
    return found


def whole(connection: socket.socket) -> bytes:
    """Return an answer, to the end of its connection. Raises OSError."""
    data = b""
    while len(data) < _MOST and (piece := connection.recv(65536)):
        data += piece
    connection.close()
    return data


def revision(answer: bytes) -> int:
    """Return etcd's revision now. Raises Ended if the keys have changed, or there is no answer."""
    if not answer.startswith((b"HTTP/1.1 200", b"HTTP/1.0 200")):
        raise Ended(1)
    if b'"succeeded":true' not in answer:  # what is false is left out
        raise Ended(0 if b'"header"' in answer else 1)
    return int(answer.partition(b'"revision":"')[2].partition(b'"')[0])


def piece(connection: socket.socket) -> bytes:
    """Return what comes next, however long that takes. Raises Ended with the agent's end."""
    pending = getattr(connection, "pending", int)
    if not pending():
        waiting = select.poll()
        waiting.register(connection, select.POLLIN)
        waiting.register(_AGENT, 0)  # POLLHUP, when its other end is closed
        if any(fd == _AGENT for fd, _ in waiting.poll()):
            raise Ended(1)
    return connection.recv(65536)


def watch(connection: socket.socket) -> None:
    """Read the stream. Raises Ended: whatever follows the watch's creation is a change."""
    seen = b""
    created = False
    while data := piece(connection):
        seen = (seen + data)[-_MOST:]
        if b'"canceled":true' in seen or b'"error"' in seen:
            raise Ended(1)
        if created and b'"events"' in seen:
            raise Ended(0)
        if not created and b'"created":true' in seen:
            created, seen = True, seen.partition(b'"created":true')[2]
            connection.settimeout(None)
            if b'"events"' in seen:
                raise Ended(0)
    raise Ended(1)


def main() -> int:
    """Wait, and return the exit code."""
    with open(int(sys.argv[1]), "rb") as file:
        *words, head, state, body, _ = file.read().decode().split("\0")
    try:
        close = head + "Connection: close\r\n"
        start = revision(whole(ask(words, close, "/v3/kv/txn", state))) + 1
        watch(ask(words, head, "/v3/watch", body.replace("START", str(start))))
    except Ended as ended:
        return int(ended.args[0])
    except (OSError, ValueError):
        return 1
    return 1


if __name__ == "__main__":
    os.environ.clear()
    sys.exit(main())
