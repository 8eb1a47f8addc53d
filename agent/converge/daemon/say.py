"""The supervisor's own log lines, in the format of the workers' (docs/logs.md)."""

from __future__ import annotations

import errno
import os
import select
import time

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
    if to == "syslog" and _syslog(level, text):
        return
    try:
        waiting = select.poll()
        waiting.register(2, select.POLLOUT)
        if waiting.poll(0):
            os.write(2, line.encode())
    except OSError:
        return


def _syslog(level: str, text: str) -> bool:
    """Log to syslog; False if nobody listens there (syslog(3) does not tell)."""
    import _socket  # socket.py costs a megabyte that would be held for ever
    import syslog

    probe = _socket.socket(_socket.AF_UNIX, _socket.SOCK_DGRAM | _socket.SOCK_CLOEXEC)
    try:
        probe.connect("/dev/log")
    except OSError as error:
        if error.errno != errno.EPROTOTYPE:  # a stream socket, which syslog(3) takes too
            return False
    finally:
        probe.close()

    syslog.openlog("converge", syslog.LOG_PID, syslog.LOG_DAEMON)
    syslog.syslog(syslog.LOG_ERR if level == "error" else syslog.LOG_INFO, text)
    return True
