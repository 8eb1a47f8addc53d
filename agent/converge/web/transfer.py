"""Receiving from the network at a deadline that holds whatever the other side does.

Time-outs of sockets count from one byte to the next, and resolving a name has none at all. So the
exchange runs in a thread of its own, whose connections are cut when its time is over.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Generic, TypeVar

from converge.errors import ApplyError

if TYPE_CHECKING:
    import socket
    from collections.abc import Callable, Iterator
    from types import TracebackType

    Opened = Callable[[socket.socket], None]

H = TypeVar("H")

THREAD = "converge-transfer"
_MOST_WAITING = 8  # chunks that were received and not yet taken
_LOOK = 0.5  # seconds after which a thread that nobody takes from sees that it was given up


class TooSlowError(ApplyError):
    """The other side took too long, or sent too little in its time; or it cannot be asked now."""


class Transfer(Generic[H]):
    """One exchange: a head, then chunks of bytes. `with Transfer(…) as transfer`.

    `exchange(opened)` yields the head first, then the chunks; it calls `opened` with every socket
    that it connects. `ends` is in time.monotonic(). A body that comes in at less than `rate` bytes
    a second over `patience` seconds is given up. Raises TooSlowError where there can be no thread.
    """

    def __init__(
        self,
        exchange: Callable[[Opened], Iterator[H | bytes]],
        *,
        ends: float,
        rate: int,
        patience: float,
    ) -> None:
        import queue
        import threading

        self._exchange = exchange
        self._ends = ends
        self._rate = rate
        self._patience = patience
        self._received: queue.Queue[tuple[H | bytes | None, Exception | None]] = queue.Queue(
            _MOST_WAITING
        )
        self._lock = threading.Lock()
        self._sockets: list[socket.socket] = []
        self._given_up = False
        try:
            threading.Thread(target=self._work, name=THREAD, daemon=True).start()
        except RuntimeError as error:  # as many as the container may have
            raise TooSlowError(str(error)) from None

    def __enter__(self) -> Transfer[H]:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._give_up()

    def head(self, within: float) -> H:
        """Return the head, which may take so many seconds. Raises TooSlowError, and the exchange's."""
        head = self._take(min(self._ends, time.monotonic() + within))
        if head is None or isinstance(head, bytes):
            raise TooSlowError("no answer came in time")
        return head

    def chunks(self) -> Iterator[bytes]:
        """Yield the body. Raises TooSlowError, and what the exchange raises."""
        received, pause = 0, time.monotonic() + self._patience
        while True:
            chunk = self._take(min(pause, self._ends))
            if isinstance(chunk, bytes):
                if not chunk:
                    return
                received += len(chunk)
                yield chunk
            now = time.monotonic()
            if now >= self._ends:
                raise TooSlowError("the transfer did not end in time")
            if now >= pause:
                if received < self._rate * self._patience:
                    raise TooSlowError(f"the transfer is slower than {self._rate} bytes a second")
                received, pause = 0, now + self._patience

    def _take(self, until: float) -> H | bytes | None:
        """Return what comes next, empty bytes at the end; None: nothing came until then."""
        import queue

        try:
            item, error = self._received.get(timeout=max(until - time.monotonic(), 0))
        except queue.Empty:
            return None
        if error is not None:
            raise error
        return item

    def _work(self) -> None:
        try:
            for item in self._exchange(self._opened):
                if not self._put(item, None):
                    return
            self._put(b"", None)
        except Exception as error:  # noqa: BLE001  it is raised where it is waited for
            self._put(None, error)

    def _put(self, item: H | bytes | None, error: Exception | None) -> bool:
        """Hand something over; return False if nobody waits for it any more."""
        import queue

        while not self._given_up:
            try:
                self._received.put((item, error), timeout=_LOOK)
                return True
            except queue.Full:
                continue
        return False

    def _opened(self, sock: socket.socket) -> None:
        """Keep a second descriptor of a connection, as TLS takes the first one over."""
        with self._lock:
            self._sockets.append(sock.dup())
        if self._given_up:
            self._give_up()

    def _give_up(self) -> None:
        """Cut every connection: the thread's next read or write ends at once."""
        import socket

        self._given_up = True
        with self._lock:
            while self._sockets:
                with self._sockets.pop() as sock:
                    try:
                        sock.shutdown(socket.SHUT_RDWR)
                    except OSError:
                        continue  # it has ended already
