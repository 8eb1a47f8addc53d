"""The control socket: who may ask, how much and for how long; nobody can hold up a run."""

from __future__ import annotations

import os
import socket
import stat
import subprocess
import sys
from contextlib import ExitStack

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from daemon.supervisor import FINE, Held, children, until
from faults.needs import need_root

NO_SUCH = b"error\nmessage=no such request\n"
MOST = 4096  # bytes of a request
FOREIGN = 65534
ASK = """
import os, socket, sys
os.setgroups([])
os.setgid({uid})
os.setuid({uid})
connection = socket.socket(socket.AF_UNIX)
connection.connect(sys.argv[1])
try:
    connection.sendall(b"trigger\\n")
    print(connection.recv(4096))
except ConnectionError:
    print("hung up")
"""


@pytest.fixture
def one(supervisor):
    found = supervisor(FINE).start()
    until(lambda: found.runs() == 1 and not children(found.pid))
    return found


def test_it_lies_where_only_its_own_user_comes(one):
    found = os.lstat(one.socket)
    assert stat.S_ISSOCK(found.st_mode)
    assert found.st_mode & 0o7777 == 0o600
    assert found.st_uid == os.geteuid()
    assert os.lstat(one.run_directory).st_mode & 0o7777 == 0o700


@pytest.mark.parametrize("mask", [0o000, 0o077, 0o777])
def test_its_mode_is_not_left_to_the_umask(supervisor, mask):
    one = supervisor(FINE).start(umask=mask)
    assert os.lstat(one.socket).st_mode & 0o7777 == 0o600


def test_a_foreign_user_is_refused_though_the_way_is_open(one):
    need_root()
    for folder in (one.folder, *list(one.folder.parents)[:-2]):
        folder.chmod(0o755)
    one.run_directory.chmod(0o777)
    os.chmod(one.socket, 0o777)  # noqa: S103

    def ask(uid: int) -> subprocess.CompletedProcess[str]:
        argv = [sys.executable, "-IBc", ASK.format(uid=uid), one.socket]
        return subprocess.run(argv, capture_output=True, text=True)

    assert ask(FOREIGN).stdout.strip() in ("b''", "hung up")
    assert one.status()["runs"] == "1"
    assert ask(0).stdout.strip() == repr(b"ok\n")
    until(lambda: one.runs() == 2)


@pytest.mark.parametrize(
    "request_line",
    [
        *(b"", b" ", b"what", b"STATUS", b"status please", b"statusx", b"trigger now", b"pause"),
        *(
            b"pause  ",
            b"resume it",
            b"reload now",
            b"\xff\xfe",
            b"\0",
            b"status\0",
            b"GET / HTTP/1.0",
        ),
    ],
)
def test_what_is_no_request(one, request_line):
    assert one.ask(request_line + b"\n") == NO_SUCH
    assert one.status()["runs"] == "1"


def test_the_longest_request(one):
    longest = b"pause " + b"x" * (MOST - 7)
    assert one.ask(longest + b"\n").startswith(b"ok")
    assert one.status()["paused"] == "x" * (MOST - 7)
    assert one.ask(longest + b"x\n") == b""
    assert one.ask(b"status" + b" " * (1 << 20) + b"\n") == b""
    assert one.ask(b"\n" + b"x" * (1 << 20)) in (NO_SUCH, b"")


def test_a_request_in_pieces(one):
    with one.connection() as connection:
        for byte in b"status\n":
            connection.send(bytes([byte]))
        assert connection.recv(65536).startswith(b"ok\npid=")


def test_a_second_request_is_not_answered(one):
    assert one.ask(b"status\nstatus\n").count(b"pid=") == 1


def test_who_is_slow_is_hung_up_on(one):
    """After a second, however many bytes have come until then."""
    with one.connection() as silent, one.connection() as slow:
        slow.send(b"stat")
        assert silent.recv(1) == b""
        assert slow.recv(1) == b""
    assert one.status()["runs"] == "1"


def test_who_does_not_read_its_reply_holds_up_nobody(one):
    with one.connection() as connection:
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1)
        connection.sendall(b"status\n")
        for _ in range(20):
            assert one.trigger() == 0


def test_a_thousand_idle_connections_hold_up_no_run(one):
    before, runs = Held(one.pid), one.runs()
    with ExitStack() as idle:
        for _ in range(1000):
            idle.enter_context(one.connection())
        for number in range(1, 4):
            one.signal(10)
            until(lambda number=number: one.runs() == runs + number)
        assert Held(one.pid).descriptors <= before.descriptors + 16 + 2
    until(lambda: Held(one.pid).descriptors == before.descriptors)
    assert Held(one.pid).resident < before.resident + 512
    assert one.trigger() == 0


def test_who_wait_for_a_run_do_not_shut_out_others(supervisor):
    """`trigger wait`, fifty times, while a run takes its time: `health` asks as well."""
    one = supervisor("#!/bin/sh\nuntil test -e go; do sleep 0.02; done\n" + FINE).start()
    before = Held(one.pid)
    with ExitStack() as waiting:
        several = []
        for _ in range(50):
            several.append(waiting.enter_context(one.connection()))
            several[-1].sendall(b"trigger wait\n")
        assert one.status()["busy"] == "start"
        (one.folder / "go").touch()
        replies = [connection.recv(4096) for connection in several]
    told = [reply for reply in replies if reply.startswith(b"ok\ncode=0\n")]
    refused = [reply for reply in replies if reply.startswith(b"error\nmessage=")]
    assert told
    assert len(told) + len(refused) == 50
    until(lambda: not children(one.pid))
    assert Held(one.pid).descriptors <= before.descriptors


def test_those_who_gave_up_waiting_are_forgotten(supervisor):
    one = supervisor("#!/bin/sh\nuntil test -e go; do sleep 0.02; done\n" + FINE).start()
    before = Held(one.pid)
    for _ in range(500):
        with one.connection() as connection:
            connection.sendall(b"trigger wait\n")
    until(lambda: Held(one.pid).descriptors == before.descriptors)
    assert Held(one.pid).resident < before.resident + 256
    (one.folder / "go").touch()
    assert one.trigger() == 0


def test_what_cannot_be_kept_is_no_end(one):
    """A pause is kept in a file. A directory stands in its way, as a full disk would."""
    (one.state / "paused").mkdir()
    reply = one.ask(b"pause a trial\n")
    assert reply.startswith(b"ok\nmessage=until the agent ends: ")
    assert one.status()["paused"] == "a trial"
    assert one.ask(b"resume\n").startswith(b"ok\n")
    assert one.status()["paused"] == ""


def test_a_reason_cannot_forge_a_reply(one):
    one.ask(b"pause x\rok\x1b[2J\x00\xe2\x80\xa8y\n")
    assert one.status()["paused"] == "x ok [2J  y"
    assert one.status()["pid"] == str(one.pid)


verbs = st.sampled_from([b"status", b"trigger", b"trigger wait", b"pause", b"resume", b"reload"])
garbage = st.one_of(
    st.binary(max_size=5000),
    st.lists(st.one_of(verbs, st.binary(max_size=20), st.just(b" ")), max_size=8).map(b"".join),
)


def test_garbage(supervisor):
    """200 requests of any bytes, some cut off in the middle, ended or not."""
    one = supervisor(FINE).start()
    until(lambda: one.runs() == 1 and not children(one.pid))

    @settings(
        max_examples=200, deadline=None, database=None, derandomize=True,
        suppress_health_check=list(HealthCheck),
    )  # fmt: skip
    @given(garbage, st.booleans(), st.booleans())
    def try_it(data: bytes, ended: bool, waits: bool) -> None:
        with one.connection() as connection:
            try:
                connection.sendall(data + b"\n" * ended)
                if waits:
                    connection.shutdown(socket.SHUT_WR)
                    reply = connection.recv(65536)
                    assert reply[:3] in (b"", b"ok\n", b"err")
            except (BrokenPipeError, ConnectionResetError):
                pass

    before = Held(one.pid)
    try_it()
    one.ask(b"resume\n")
    assert one.trigger() == 0
    until(lambda: not children(one.pid))
    after = Held(one.pid)
    assert after.descriptors <= before.descriptors
    assert after.resident < before.resident + 512
