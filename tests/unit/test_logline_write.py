"""Where the lines of the log go: stderr, syslog, and what if neither is there."""

from __future__ import annotations

import json
import os
import socket
import sys
import types
from contextlib import contextmanager

import pytest

from converge.reports import logline

FORMS = ("logfmt", "json")


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


@pytest.fixture
def syslog(monkeypatch):
    """The C library always writes to /dev/log, so the module over it is what is watched."""
    sent = []
    fake = types.ModuleType("syslog")
    fake.LOG_PID, fake.LOG_DAEMON, fake.LOG_ERR, fake.LOG_WARNING, fake.LOG_INFO = 1, 24, 3, 4, 6
    fake.openlog = lambda *given: sent.append(given)
    fake.syslog = lambda priority, line: sent.append((priority, line))
    monkeypatch.setitem(sys.modules, "syslog", fake)
    return sent


@pytest.fixture(autouse=True)
def dev_log(monkeypatch, tmp_path):
    """Where syslog is looked for; nobody listens there yet."""
    place = str(tmp_path / "log")
    monkeypatch.setattr(logline, "_DEV_LOG", place)
    return place


@pytest.mark.parametrize("form", FORMS)
def test_syslog_gets_the_level_of_the_line_and_not_of_what_it_tells(form, syslog, dev_log):
    lines = [
        logline.event(form, "level=error", "info", reason='"level":"error"'),
        logline.event(form, "info", "error"), logline.event(form, "error", "warning"),
    ]  # fmt: skip
    with listen(dev_log), stderr() as found:
        logline.write(lines, "syslog")
    assert syslog == [("converge", 1, 24), *zip((6, 3, 4), lines, strict=True)]
    assert found == [b""]


def test_a_stream_socket_is_a_syslog_too(dev_log):
    with listen(dev_log, socket.SOCK_STREAM):
        assert logline._syslog_trouble(dev_log) == ""


@pytest.mark.parametrize("form", FORMS)
def test_without_syslog_lines_go_to_stderr_which_is_said_once(form, syslog, dev_log):
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
    assert syslog == []


def test_a_socket_that_nobody_listens_at_is_no_syslog(syslog, dev_log):
    listen(dev_log).close()
    with stderr() as found:
        logline.write(["kept"], "syslog")
    assert b"Connection refused" in found[0]
    assert found[0].endswith(b"\nkept\n")
    assert syslog == []


@pytest.mark.parametrize("to", ["stderr", "syslog"])
def test_no_lines_say_nothing(to, syslog):
    with stderr() as found:
        logline.write([], to)
    assert found == [b""]
    assert syslog == []
