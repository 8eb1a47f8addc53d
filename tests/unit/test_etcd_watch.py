"""The small process that waits at etcd, against a server that answers as the test says."""

from __future__ import annotations

import json
import os
import subprocess
import sys

import pytest

from converge.config import Settings
from converge.errors import UsageError
from converge.sources import etcd_watch
from converge.sources.etcd import EtcdSource, encoded, transaction
from unit.web_server import Server, reply

STATE = {"header": {"revision": "41"}, "succeeded": True}
CREATED = {"result": {"header": {"revision": "41"}, "created": True}}
EVENT = {"result": {"header": {"revision": "42"}, "events": [{"kv": {"key": "L3dlYg=="}}]}}
HEAD = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"


def chunk(message):
    data = json.dumps(message, separators=(",", ":")).encode() + b"\n"
    return b"%x\r\n%b\r\n" % (len(data), data)


def state(**changes):
    return reply(json.dumps({**STATE, **changes}, separators=(",", ":")).encode())


def etcd(watch, first=None):
    """Return an etcd that answers a transaction with `first` and a watch with these pieces."""

    def answer(seen):
        if seen.target == "/v3/kv/txn":
            return state() if first is None else first
        assert json.loads(seen.body)["create_request"]["start_revision"] == "42"
        return watch

    return answer


class Watcher:
    """The process, as EtcdSource starts it; `life` is the agent's end of the pipe."""

    def __init__(self, port, tag="7,8,0"):
        source = EtcdSource(f"etcd://127.0.0.1:{port}/web", Settings())
        request = os.memfd_create("request", 0)
        os.write(request, source._wait_request(tag))
        os.lseek(request, 0, os.SEEK_SET)
        read, self.life = os.pipe()
        script = f"import os; os.dup2({read}, 3); os.execv({sys.executable!r}, ['python', '-ISB', {etcd_watch.__file__!r}, '{request}'])"  # noqa: E501
        self.process = subprocess.Popen(
            [sys.executable, "-ISc", script], pass_fds=(read, request, 3), stderr=subprocess.PIPE
        )
        os.close(read)
        os.close(request)

    def end(self):
        try:
            _, err = self.process.communicate(timeout=30)
            assert err == b""
            return self.process.returncode
        finally:
            self.process.kill()
            if self.life >= 0:
                os.close(self.life)


@pytest.fixture(autouse=True)
def descriptor_three():
    """Something to be replaced at the number 3."""
    fd = os.open(os.devnull, os.O_RDONLY)
    if fd != 3:
        os.dup2(fd, 3) if not os.path.exists("/proc/self/fd/3") else None
    yield
    os.close(fd)


def ends(answer, tag="7,8,0"):
    with Server(answer) as server:
        return Watcher(server.port, tag).end()


def test_a_change_ends_the_wait():
    def pieces():
        yield HEAD + chunk(CREATED)
        yield chunk(EVENT)

    assert ends(etcd(pieces())) == 0


def test_a_change_in_the_same_packet_and_in_small_pieces():
    assert ends(etcd(HEAD + chunk(CREATED) + chunk(EVENT))) == 0
    whole = HEAD + chunk(CREATED) + chunk(EVENT)
    assert ends(etcd([whole[i : i + 1] for i in range(len(whole))])) == 0


def test_what_changed_before_the_wait_ends_it_at_once():
    assert ends(etcd(b"", state(succeeded=False))) == 0


@pytest.mark.parametrize(
    "watch",
    [
        HEAD + chunk({"result": {"canceled": True, "compact_revision": "99"}}),
        HEAD + chunk(CREATED) + chunk({"error": {"message": "no leader"}}),
        HEAD + chunk(CREATED),  # and the connection ends
        b"", b"HTTP/1.1 503 Unavailable\r\n\r\n",
    ],
    ids=["compacted", "error", "hung-up", "nothing", "503"],
)  # fmt: skip
def test_a_watch_that_breaks(watch):
    assert ends(etcd(watch)) == 1


@pytest.mark.parametrize(
    "first", [b"", b"garbage\r\n\r\n", reply(b"{}", status="401 No"), reply(b"")]
)
def test_a_server_that_is_no_etcd(first):
    assert ends(etcd(b"", first)) == 1


def test_a_server_that_is_not_there():
    with Server() as server:
        port = server.port
    assert Watcher(port).end() == 1


def test_it_ends_with_the_agent():
    with Server(lambda seen: None) as server:
        server.answer = lambda seen: (
            state() if "txn" in seen.target else iter_until(server, HEAD + chunk(CREATED))
        )
        watcher = Watcher(server.port)
        with pytest.raises(subprocess.TimeoutExpired):
            watcher.process.wait(1)
        os.close(watcher.life)
        watcher.life = -1
        assert watcher.end() == 1


def iter_until(server, first):
    yield first
    server.closed.wait(60)


def test_a_tag_is_the_revisions_that_are_compared():
    asked = transaction("/web", ["7", "8", "0"])
    assert [one["mod_revision"] for one in asked["compare"]] == ["7", "8", "0"]
    assert asked["compare"][1]["key"] == encoded("/web.minisig")
    assert not asked["success"]


@pytest.mark.parametrize("url", ["etcd://host", "etcd:///web", "etcd://host/"])
def test_urls_that_make_no_sense(url):
    with pytest.raises(UsageError):
        EtcdSource(url, Settings())
