"""The supervisor's own log lines, in the format of the workers' (docs/logs.md)."""

from __future__ import annotations

import errno
import os
import select
import time

TYPE_CHECKING = False  # typing costs a megabyte that would be held for ever
if TYPE_CHECKING:
    from collections.abc import Iterable

DEV_LOG = "/dev/log"
_DAEMON = 3 << 3  # the facility
_SEVERITY = {"error": 3, "warning": 4}  # RFC 5424; 6: for your information
_PATIENCE = 100  # milliseconds
_LONGEST = 1000  # bytes; a pipe takes up to 4,096 in one piece


def say(level: str, text: str, form: str = "logfmt", to: str = "stderr") -> None:
    """Write one line; a reader that does not read costs the line, never the agent."""
    text = "".join(c if c.isprintable() and c.isascii() else "?" for c in text)[:_LONGEST]
    text = text.replace("\\", "\\\\").replace('"', '\\"')
    now = time.time()
    when = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(now)) + f".{int(now % 1 * 1000):03d}Z"
    if form == "json":
        line = f'{{"time": "{when}", "level": "{level}", "msg": "{text}"}}\n'
    else:
        line = f'time={when} level={level} msg="{text}"\n'
    if to == "syslog" and not to_syslog([(level, text)]):
        return
    try:
        waiting = select.poll()
        waiting.register(2, select.POLLOUT)
        if waiting.poll(0):
            os.write(2, line.encode())
    except OSError:
        return


def to_syslog(
    lines: Iterable[tuple[str, str]], path: str = DEV_LOG, patience: int = _PATIENCE
) -> str:
    """Log lines, each with its level; return why that is impossible, or nothing.

    As syslog(3) does, which tells nothing, and waits for ever for one who has stopped reading: here
    that costs the rest after `patience` milliseconds.
    """
    import _socket  # socket.py costs a megabyte that would be held for ever

    for kind in (_socket.SOCK_DGRAM, _socket.SOCK_STREAM):
        flags = kind | _socket.SOCK_CLOEXEC | _socket.SOCK_NONBLOCK
        connection = _socket.socket(_socket.AF_UNIX, flags)
        room = select.poll()
        room.register(connection.fileno(), select.POLLOUT)
        try:
            connection.connect(path)
            for level, text in lines:
                if not room.poll(patience):
                    break
                when = time.strftime("%b %e %T")
                priority = _DAEMON | _SEVERITY.get(level, 6)
                head = f"<{priority}>{when} converge[{os.getpid()}]: "
                end = b"\0" if kind == _socket.SOCK_STREAM else b""
                connection.send((head + text).encode(errors="replace") + end)
        except OSError as error:
            if error.errno != errno.EPROTOTYPE:
                return "" if error.errno == errno.EAGAIN else f"{path}: {error.strerror}"
        else:
            return ""
        finally:
            connection.close()
    return f"{path}: no syslog listens there"
