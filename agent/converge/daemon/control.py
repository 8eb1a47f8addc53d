"""Who may ask for what: five verbs over a socket that only the agent's user and root can reach.

    status · trigger [wait] · pause REASON · resume · reload

A reply is lines `name=value`, the first of them `ok` or `error`. Pausing is kept in the state, so
that it outlives the agent.
"""

from __future__ import annotations

import os

from converge.daemon import server
from converge.daemon.child import now
from converge.daemon.place import AlreadyError, Place

TYPE_CHECKING = False  # typing costs a megabyte that would be held for ever
if TYPE_CHECKING:
    from converge.daemon.loop import Daemon

SOCKET, PAUSED, METRICS = "control.sock", "paused", "metrics.prom"
MOST_WAITING = 16  # for one run
_NO_WAITING = os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
_SETTLE = 0.5  # seconds that `rm -r` of our directory may take
_PAUSE = 60.0  # seconds between two tries to put it back


class Control:
    """The control socket, the metrics endpoint, and the lock that makes the agent the only one."""

    def __init__(self, daemon: Daemon) -> None:
        """Raises AlreadyError; a socket that cannot be had is said in the log."""
        self.daemon = daemon
        self.waiting: list[server.Connection] = []  # for the next run
        self.told: list[server.Connection] = []  # for the run under way
        self.socket: server.Server | None = None
        self.endpoint: server.Server | None = None
        self.place = Place(daemon.options.runtime)
        self._put_back: float | None = None  # when what has been removed is put back
        self._told = False  # that it cannot be
        if self.place.folder:
            address, uids = os.path.join(self.place.folder, SOCKET), {0, os.geteuid()}
            self.socket = self._serve(address, b"\n", self._answer, uids)
        self._open_endpoint()
        self.paused = self._read_paused()

    def fds(self) -> list[int]:
        """Return the descriptors to wait for."""
        return [fd for one in self._servers() for fd in one.fds()]

    def ready(self, fd: int) -> None:
        """Act on a descriptor that can be read."""
        for one in self._servers():
            one.ready(fd)

    def next_deadline(self) -> float | None:
        """Return when a connection has taken too long."""
        found = [self._put_back, *(one.next_deadline() for one in self._servers())]
        return min((moment for moment in found if moment is not None), default=None)

    def expire(self) -> None:
        """Hang up on those who have taken too long."""
        for one in self._servers():
            one.expire()

    def take_waiting(self) -> None:
        """A run starts: who has asked for one until now is told at its end."""
        self.told, self.waiting = self.told + self.waiting, []

    def tell(self, code: int, run: str) -> None:
        """A run has ended: tell those who wait for it."""
        self._release(self.told, _lines("ok", {"code": code, "run": run}))
        self.told = []

    def refuse(self) -> None:
        """There will be no run: tell those who wait for one."""
        self._release(self.waiting, _lines("error", {"message": f"paused: {self.paused}"}))
        self.waiting = []

    def _release(self, connections: list[server.Connection], reply: bytes) -> None:
        for connection in connections:
            if self.socket:
                self.socket.release(connection, reply)

    def close(self) -> None:
        """Answer nobody any more."""
        for one in self._servers():
            one.close()

    def reconfigure(self) -> None:
        """Follow new settings, but for the directory of the socket."""
        if self.daemon.options.runtime != self.place.folder:
            text = f"the agent is asked in {self.place.folder} until it is started again"
            self.daemon.say("warning", text)
        if self.endpoint:
            self.endpoint.close()
            self.endpoint = None
        self._open_endpoint()

    def look(self) -> None:
        """Put back what somebody has removed of lock and sockets, once they have had the time to."""
        servers = self._servers()
        if not (self.place.is_lost() or any(one.is_lost() for one in servers)):
            self._put_back, self._told = None, False
        elif self._put_back is None:
            self._put_back = now() + _SETTLE
        elif now() >= self._put_back:
            self._put_back = now() + _PAUSE
            try:
                if self.place.is_lost():
                    self.place.put_back()
                for one in servers:
                    one.put_back()
            except OSError as error:
                if not self._told:
                    self.daemon.say("error", f"what was removed cannot be put back: {error}")
                self._told = True
            except AlreadyError as error:
                self.daemon.say("error", f"another agent has taken over: it holds {error}")
                self.daemon.stop()

    def _servers(self) -> list[server.Server]:
        return [one for one in (self.socket, self.endpoint) if one]

    def _serve(
        self, address: str, ending: bytes, answer: object, uids: object
    ) -> server.Server | None:
        try:
            return server.Server(address, ending, answer, uids)
        except (OSError, ValueError) as error:
            self.daemon.say("error", f"{address} cannot be served: {error}")
            return None

    def _open_endpoint(self) -> None:
        address = self.daemon.options.listen
        if address:
            place = address.removeprefix("unix:")
            self.endpoint = self._serve(place, b"\r\n\r\n", self._metrics, None)

    def _answer(self, request: bytes, connection: server.Connection) -> bytes | None:
        verb, _, rest = request.decode(errors="replace").partition(" ")
        if verb == "status" and not rest:
            return self._status()
        if verb == "trigger" and rest in ("", "wait"):
            return self._trigger(connection, wait=bool(rest))
        if verb == "pause" and rest.strip():
            return self._pause(rest.strip())
        if verb == "resume" and not rest:
            return self._resume()
        if verb == "reload" and not rest:
            self.daemon.configure = True
            return b"ok\n"
        return b"error\nmessage=no such request\n"

    def _trigger(self, connection: server.Connection, *, wait: bool) -> bytes | None:
        if self.paused:
            return _lines("error", {"message": f"paused: {self.paused}"})
        if self.daemon.stopping:
            return b"error\nmessage=the agent is about to stop\n"
        self.waiting = [one for one in self.waiting if one.is_open()]
        if wait and len(self.waiting) >= MOST_WAITING:
            return b"error\nmessage=too many wait for the next run already\n"
        self.daemon.ask("trigger")
        if not wait:
            return b"ok\n"
        self.waiting.append(connection)
        return None

    def _pause(self, reason: str) -> bytes:
        self.paused = "".join(c if c.isprintable() else " " for c in reason)
        path = self._paused_file()
        flags = os.O_WRONLY | os.O_CREAT | os.O_TRUNC | _NO_WAITING
        try:
            fd = os.open(path, flags, 0o600)
        except OSError as error:
            return _only_until_the_end(error if path else "there is no state directory")
        try:
            os.write(fd, self.paused.encode())
        except OSError as error:
            return _only_until_the_end(error)
        finally:
            os.close(fd)
        return b"ok\n"

    def _resume(self) -> bytes:
        self.paused = ""
        self.daemon.drift.watches.look_at_everything()
        self.daemon.ask("resume")
        try:
            os.unlink(self._paused_file())
        except FileNotFoundError:
            return b"ok\n"  # it was not kept
        except OSError as error:
            return _only_until_the_end(error)
        return b"ok\n"

    def _paused_file(self) -> str:
        return os.path.join(self.daemon.options.state, PAUSED) if self.daemon.options.state else ""

    def _read_paused(self) -> str:
        return _start_of(self._paused_file(), 1000).decode(errors="replace").strip()

    def _status(self) -> bytes:
        daemon, watches = self.daemon, self.daemon.drift.watches
        lines = {
            "pid": os.getpid(), "busy": daemon.child.reason if daemon.child else "",
            "next": f"{max(0.0, daemon.due - now()):.3f}", "interval": daemon.options.interval,
            "paused": self.paused, "runs": daemon.runs, "crashes": daemon.crashes,
            "failures": daemon.failures, "last_end": daemon.last_end,
            "events": "inotify" if watches.fd >= 0 else "stat" if watches.trouble else "off",
            "trouble": watches.trouble, "watches": len(watches), "paths": len(watches.prints),
            "poll": daemon.options.poll,
        }  # fmt: skip
        return _lines("ok", lines)

    def _metrics(self, request: bytes, _connection: server.Connection) -> bytes:
        words = request.split(b"\r\n", 1)[0].split()
        if len(words) != 3 or words[0] != b"GET" or words[1] != b"/metrics":
            return b"HTTP/1.0 404 Not Found\r\nContent-Length: 0\r\n\r\n"
        state = self.daemon.options.state
        body = _start_of(os.path.join(state, METRICS), 1 << 20) if state else b""
        kind = b"Content-Type: text/plain; version=0.0.4; charset=utf-8"
        return b"HTTP/1.0 200 OK\r\n%b\r\nContent-Length: %d\r\n\r\n%b" % (kind, len(body), body)


def _start_of(path: str, size: int) -> bytes:
    """Return the start of a file; nothing of one that is not there, or is something else."""
    try:
        fd = os.open(path, os.O_RDONLY | _NO_WAITING)
    except OSError:
        return b""
    try:
        return os.read(fd, size)
    except OSError:
        return b""
    finally:
        os.close(fd)


def _lines(first: str, fields: dict[str, object]) -> bytes:
    """Return a reply; a path in it may hold any bytes."""
    rows = [f"{name}={value}" for name, value in fields.items()]
    text = "\n".join("".join(c if c.isprintable() else "?" for c in row) for row in [first, *rows])
    return text.encode() + b"\n"


def _only_until_the_end(why: OSError | str) -> bytes:
    return _lines("ok", {"message": f"until the agent ends: {why}"})
