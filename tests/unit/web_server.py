"""A web server for tests that answers with whatever bytes a test says, good or bad."""

from __future__ import annotations

import contextlib
import socket
import ssl
import threading
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import NamedTuple, Self

TLS = Path(__file__).parent / "tls"


class Seen(NamedTuple):
    """One request: its first line's target, its headers with names in lower case, its body."""

    target: str
    headers: dict[str, str]
    body: bytes = b""


class Server:
    """Listens on loopback until it is closed. `seen` lists all that was asked.

    `answer(seen)` returns bytes, or yields them; a script that waits uses `closed.wait(seconds)`.
    `greeting` is sent before anything was asked.
    """

    def __init__(
        self,
        answer: Callable[[Seen], bytes | Iterable[bytes]] = lambda seen: reply(b"hello"),
        *,
        tls: bool = False,
        client_ca: bool = False,
        greeting: bytes = b"",
    ) -> None:
        self._greeting = greeting
        self.answer = answer
        self.seen: list[Seen] = []
        self.closed = threading.Event()
        self._connections: list[socket.socket] = []
        self._context = _context(client_ca) if tls else None
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = self._listener.getsockname()[1]
        self.url = f"{'https' if tls else 'http'}://localhost:{self.port}"
        self._threads = [threading.Thread(target=self._listen)]
        self._threads[0].start()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.closed.set()
        with contextlib.suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        for connection in self._connections:
            _end(connection)
        for thread in self._threads:
            thread.join()
        self._listener.close()

    def _listen(self) -> None:
        while not self.closed.is_set():
            try:
                connection, _ = self._listener.accept()
            except OSError:
                return
            self._connections.append(connection.dup())
            arguments = (connection, self._connections[-1])
            self._threads.append(threading.Thread(target=self._serve, args=arguments))
            self._threads[-1].start()

    def _serve(self, connection: socket.socket, other: socket.socket) -> None:
        """Talk; `other` is a second descriptor, which outlives that TLS takes over the first."""
        try:
            self._secure(connection)
        finally:
            _end(other)

    def _secure(self, connection: socket.socket) -> None:
        with connection, contextlib.suppress(OSError):
            connection.settimeout(20)
            if self._context is None:
                self._talk(connection)
                return
            with self._context.wrap_socket(connection, server_side=True) as secure:
                self._talk(secure)

    def _talk(self, connection: socket.socket) -> None:
        connection.sendall(self._greeting)
        head = b""
        while b"\r\n\r\n" not in head:
            chunk = connection.recv(4096)
            if not chunk:
                return
            head += chunk
        head, _, body = head.partition(b"\r\n\r\n")
        first, *lines = head.decode("latin-1").split("\r\n")
        headers = {k.lower(): v for k, v in (line.split(": ", 1) for line in lines)}
        while len(body) < int(headers.get("content-length", "0")):
            body += connection.recv(65536)
        self.seen.append(Seen(first.split(" ")[1], headers, body))
        answer = self.answer(self.seen[-1])
        for piece in [answer] if isinstance(answer, bytes) else answer:
            connection.sendall(piece)


def _end(connection: socket.socket) -> None:
    with connection, contextlib.suppress(OSError):
        connection.shutdown(socket.SHUT_RDWR)


def reply(body: bytes = b"", status: str = "200 OK", **headers: str) -> bytes:
    """Return an answer; a header's `_` is a dash. Content-Length is the body's unless it is given."""
    named = {"content_length": str(len(body)), **headers}
    lines = [f"HTTP/1.1 {status}", *(f"{k.replace('_', '-')}: {v}" for k, v in named.items() if v)]
    return "\r\n".join([*lines, "", ""]).encode() + body


def redirect(location: str, status: str = "302 Found") -> bytes:
    """Return an answer that leads somewhere else."""
    return reply(status=status, location=location)


def _context(client_ca: bool) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(TLS / "server.pem", TLS / "server.key")
    if client_ca:
        context.load_verify_locations(TLS / "ca.pem")
        context.verify_mode = ssl.CERT_REQUIRED
    return context
