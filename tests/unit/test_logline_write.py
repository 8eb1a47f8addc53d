"""Where the lines of the log go: stderr, syslog, and what if neither is there."""

from __future__ import annotations

import json
import os
import re
import socket
from contextlib import contextmanager, suppress

import pytest

from converge.reports import logline

FORMS = ("logfmt", "json")
HEAD = re.compile(rf"<(\d+)>[A-Z][a-z]{{2}} [ \d]\d \d\d:\d\d:\d\d converge\[{os.getpid()}\]: (.*)")


@pytest.fixture(autouse=True)
def _said_nothing(monkeypatch):
    monkeypatch.setattr(logline, "_told_of_syslog", False)


@contextmanager
def stderr():
    """Make stderr a pipe; what was written is in the list afterwards, as far as it took it."""
    ours, theirs = os.pipe()
    os.set_blocking(ours, False)
    kept = os.dup(2)
    os.dup2(theirs, 2)
    os.close(theirs)
    found = []
    try:
        yield found
    finally:
        os.dup2(kept, 2)
        os.close(kept)
        found.append(os.read(ours, 1 << 20))
        os.close(ours)


def test_lines_go_to_stderr_one_write_each(monkeypatch):
    written = []
    real = os.write
    monkeypatch.setattr(os, "write", lambda fd, data: written.append(data) or real(fd, data))
    with stderr() as found:
        logline.write(iter(["one", "zwölf"]), "stderr")
    assert found[0].decode() == "one\nzwölf\n"
    assert [line.decode() for line in written] == ["one\n", "zwölf\n"]


def test_a_reader_that_does_not_read_costs_lines_and_not_the_run(monkeypatch):
    monkeypatch.setattr(logline, "_PATIENCE", 1)
    with stderr() as found:
        logline.write(["x" * 3999] * 100, "stderr")
    assert len(found[0]) % 4000 == 0
    assert 0 < len(found[0]) < 100 * 4000


def test_a_stderr_that_has_gone_is_no_error():
    kept = os.dup(2)
    os.close(2)
    try:
        logline.write(["lost"], "stderr")
    finally:
        os.dup2(kept, 2)
        os.close(kept)


def listen(path, kind=socket.SOCK_DGRAM):
    listener = socket.socket(socket.AF_UNIX, kind)
    listener.bind(str(path))
    if kind == socket.SOCK_STREAM:
        listener.listen()
    return listener


def heard(listener):
    """Return what a syslog has got, as (priority, line); the time and the process are looked at."""
    listener.setblocking(False)
    found = []
    with suppress(BlockingIOError):
        while True:
            priority, line = HEAD.fullmatch(listener.recv(8192).decode()).groups()
            found.append((int(priority), line))
    return found


@pytest.fixture(autouse=True)
def dev_log(monkeypatch, tmp_path):
    """Where syslog is looked for; nobody listens there yet."""
    place = str(tmp_path / "log")
    monkeypatch.setattr(logline, "_DEV_LOG", place)
    return place


@pytest.mark.parametrize("form", FORMS)
def test_syslog_gets_the_level_of_the_line_and_not_of_what_it_tells(form, dev_log):
    lines = [
        logline.event(form, "level=error", "info", reason='"level":"error"'),
        logline.event(form, "info", "error"), logline.event(form, "error", "warning"),
    ]  # fmt: skip
    with listen(dev_log) as listener:
        with stderr() as found:
            logline.write(lines, "syslog")
        assert heard(listener) == [*zip((30, 27, 28), lines, strict=True)]
    assert found == [b""]


def test_a_stream_socket_is_a_syslog_too(dev_log):
    with listen(dev_log, socket.SOCK_STREAM) as listener:
        logline.write(["one", "two"], "syslog")
        with listener.accept()[0] as connection:
            one, two, rest = connection.recv(8192).split(b"\0")
    assert (one[-5:], two[-5:], rest) == (b": one", b": two", b"")


def test_a_syslog_that_has_stopped_reading_costs_lines_and_not_the_run(dev_log, monkeypatch):
    monkeypatch.setattr(logline, "_PATIENCE", 1)
    with listen(dev_log) as listener, stderr() as found:
        logline.write(map(str, range(5000)), "syslog")
        lines = [line for _, line in heard(listener)]
    assert lines == [str(number) for number in range(len(lines))]
    assert 0 < len(lines) < 5000
    assert found == [b""]


@pytest.mark.parametrize("form", FORMS)
def test_without_syslog_lines_go_to_stderr_which_is_said_once(form, dev_log):
    line = logline.event(form, "hello")
    with stderr() as found:
        logline.write([line], "syslog")
        logline.write([line], "syslog")
    notice, *rest = found[0].decode().splitlines()
    assert rest == [line, line]
    if form == "json":
        told = json.loads(notice)
        assert told["level"] == "warning"
        assert told["reason"] == f"{dev_log}: No such file or directory"
    else:
        assert " level=warning " in notice
        assert notice.endswith(f'reason="{dev_log}: No such file or directory"')


def test_a_socket_that_nobody_listens_at_is_no_syslog(dev_log):
    listen(dev_log).close()
    with stderr() as found:
        logline.write(["kept"], "syslog")
    assert b"Connection refused" in found[0]
    assert found[0].endswith(b"\nkept\n")


@pytest.mark.parametrize("to", ["stderr", "syslog"])
def test_no_lines_say_nothing(to):
    with stderr() as found:
        logline.write([], to)
    assert found == [b""]
