"""Sockets that answer: the control socket, and the metrics endpoint.

One request a connection, ended by `ending`, at most 4 KiB, within a second; at most 16 connections
besides those that wait for their reply. Nothing here blocks: the loop calls `ready` for a
descriptor that can be read.
"""

from __future__ import annotations

import _socket  # socket.py costs a megabyte that would be held for ever
import errno
import os
import stat
import sys

from converge.daemon.child import now

MOST_CONNECTIONS = 16
MOST_BYTES = 4096
_BACKLOG = 128  # who come at once: a connect(2) that finds no place fails
SECONDS = 1.0


class Connection:
    """Somebody who asks."""

    def __init__(self, fd: int) -> None:
        self.socket = _socket.socket(fileno=fd)
        self.socket.setblocking(False)
        self.deadline = now() + SECONDS
        self.asked = b""
        self.waits = False  # for the end of a run: no deadline any more

    def is_open(self) -> bool:
        """Tell whether there is still somebody to answer."""
        return self.socket.fileno() >= 0

    def reply(self, text: bytes) -> None:
        """Answer and hang up; who does not listen gets nothing."""
        try:
            while text:
                text = text[self.socket.send(text) :]
        except OSError:
            text = b""
        self.socket.close()


class Server:
    """A listening socket. `answer(request, connection)` returns the reply, None: it comes later."""

    def __init__(self, address: str, ending: bytes, answer: object, uids: object) -> None:
        """Raises OSError, ValueError."""
        self.address, self.ending = address, ending
        self.answer, self.uids = answer, uids
        self.listening = listen(address)
        self._inode = _inode(address)
        self.connections: dict[int, Connection] = {}
        self.rests_until = 0.0  # where no descriptor is left for another connection

    def fds(self) -> list[int]:
        """Return the descriptors to wait for."""
        listening = [] if self.rests_until else [self.listening.fileno()]
        return [*listening, *self.connections]

    def next_deadline(self) -> float | None:
        """Return when a connection has taken too long, or another may be taken again."""
        times = [c.deadline for c in self.connections.values() if not c.waits]
        if self.rests_until:
            times.append(self.rests_until)
        return min(times) if times else None

    def ready(self, fd: int) -> None:
        """Act on a descriptor that can be read."""
        if fd == self.listening.fileno():
            self._accept()
        elif fd in self.connections:
            self._read(fd)

    def expire(self) -> None:
        """Hang up on those who have taken too long."""
        if now() >= self.rests_until:
            self.rests_until = 0.0
        for fd, connection in list(self.connections.items()):
            if not connection.waits and now() >= connection.deadline:
                self._close(fd)

    def close(self) -> None:
        """Hang up on all, and listen no more."""
        for fd in list(self.connections):
            self._close(fd)
        self.listening.close()

    def is_lost(self) -> bool:
        """Tell whether the socket's file lies there no more."""
        return _inode(self.address) != self._inode

    def put_back(self) -> None:
        """Listen there again, if need be; who is connected stays. Raises OSError."""
        if self.is_lost():
            found = listen(self.address)
            self.listening.close()
            self.listening, self._inode = found, _inode(self.address)

    def _accept(self) -> None:
        try:
            fd, _ = self.listening._accept()  # type: ignore[attr-defined]
        except BlockingIOError:
            return  # it has hung up already
        except OSError:
            self.rests_until = now() + SECONDS
            return
        os.set_inheritable(fd, False)
        connection = Connection(fd)
        asking = sum(not one.waits for one in self.connections.values())
        if asking >= MOST_CONNECTIONS or not self._may(connection):
            connection.socket.close()
            return
        self.connections[fd] = connection

    def _may(self, connection: Connection) -> bool:
        if self.uids is None:
            return True
        packed = connection.socket.getsockopt(_socket.SOL_SOCKET, _socket.SO_PEERCRED, 12)
        return int.from_bytes(packed[4:8], sys.byteorder) in self.uids  # type: ignore[operator]

    def _read(self, fd: int) -> None:
        connection = self.connections[fd]
        try:
            data = connection.socket.recv(MOST_BYTES)
        except BlockingIOError:
            return
        except OSError:
            data = b""
        connection.asked += data
        if not data or connection.waits or len(connection.asked) > MOST_BYTES:
            self._close(fd)
            return
        request, ended, _ = connection.asked.partition(self.ending)
        if not ended:
            return
        reply = self.answer(request, connection)  # type: ignore[operator]
        if reply is None:
            connection.waits = True
        else:
            del self.connections[fd]
            connection.reply(reply)

    def release(self, connection: Connection, text: bytes) -> None:
        """Answer one who has waited."""
        if self.connections.pop(connection.socket.fileno(), None):
            connection.reply(text)

    def _close(self, fd: int) -> None:
        self.connections.pop(fd).socket.close()


def listen(address: str) -> _socket.socket:
    """Return a listening socket: a path (0600), or a HOST:PORT of this host's own. Raises OSError."""
    if address.startswith("/"):
        found = _socket.socket(_socket.AF_UNIX, _socket.SOCK_STREAM | _socket.SOCK_CLOEXEC)
        old = os.umask(0o177)
        try:
            _clear(address)
            found.bind(address)
        finally:
            os.umask(old)
    else:
        host, _, port = address.rpartition(":")
        family = _socket.AF_INET6 if ":" in host else _socket.AF_INET
        found = _socket.socket(family, _socket.SOCK_STREAM | _socket.SOCK_CLOEXEC)
        found.setsockopt(_socket.SOL_SOCKET, _socket.SO_REUSEADDR, 1)
        found.bind((host.strip("[]"), int(port)))
    found.listen(_BACKLOG)
    found.setblocking(False)
    return found


def _inode(address: str) -> int:
    """Return which file a socket is; 0: it is none."""
    try:
        return os.lstat(address).st_ino if address.startswith("/") else 0
    except OSError:
        return 0


def _clear(path: str) -> None:
    """Remove a socket that nobody listens at any more. Raises OSError for anything else."""
    try:
        if not stat.S_ISSOCK(os.lstat(path).st_mode):
            raise FileExistsError(errno.EEXIST, "there is something else", path)
    except FileNotFoundError:
        return
    probe = _socket.socket(_socket.AF_UNIX, _socket.SOCK_STREAM | _socket.SOCK_CLOEXEC)
    probe.setblocking(False)
    try:
        probe.connect(path)
    except ConnectionRefusedError:
        os.unlink(path)
        return
    finally:
        probe.close()
    raise OSError(errno.EADDRINUSE, os.strerror(errno.EADDRINUSE), path)
