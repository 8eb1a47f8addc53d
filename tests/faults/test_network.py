"""A network that fails in every way: what is in force stays so, and the run ends in time.

The server is on loopback and answers as the test says; deadlines are shortened, the code is the same.
Real packets that are dropped, refused and lost: tests/container/test_sources.py.
"""

from __future__ import annotations

import json
import socket
import time
from collections import Counter

import pytest

from converge import runner
from converge.bundle import minisign
from converge.config import Settings
from converge.daemon import timer
from converge.errors import ConvergeError
from converge.runner import Asked
from converge.sources import asking
from converge.web import fetch
from unit.bundles import stated
from unit.web_server import Server, redirect, reply

KEY = minisign.generate()
DEADLINE = 2.0
FUTURE = int(time.time()) + 86400


@pytest.fixture
def site(tmp_path, monkeypatch):
    """A root, a state directory, a server, and how to run against it."""
    monkeypatch.setattr(asking, "DEADLINE", DEADLINE)
    for name in ("state", "run"):
        (tmp_path / name).mkdir(mode=0o700)
    (tmp_path / "root/etc").mkdir(parents=True)
    with Server() as server:
        yield Site(tmp_path, server)


class Site:
    """A container with a profile from a web server."""

    def __init__(self, folder, server):
        self.folder = folder
        self.server = server
        self.url = f"{server.url}/web.yaml"
        self.sequence = 0

    def content(self, text):
        """Return how the server answers when it has a profile with this text."""
        self.sequence += 1
        body = json.dumps({"resources": [{"file": "/etc/motd", "content": text}]}).encode()
        comment = str(stated("web", self.sequence, FUTURE))
        signature = minisign.sign(KEY, body, comment).encode()
        etag = f'"{self.sequence}"'

        def answer(seen):
            if seen.target.endswith(".minisig"):
                return reply(signature)
            if seen.target.endswith(".keys"):
                return reply(b"", status="404 Not Found")
            if seen.headers.get("if-none-match") == etag:
                return reply(b"", status="304 Not Modified", etag=etag)
            return reply(body, etag=etag)

        return answer

    def offer(self, text):
        """Let the server have a profile."""
        self.server.answer = self.content(text)

    def once(self, reason="timer"):
        """Run, and return the report."""
        settings = Settings(
            profile=self.url, root=str(self.folder / "root"), keys=(KEY.public.text,),
            state_dir=str(self.folder / "state"), runtime_dir=str(self.folder / "run"),
        )  # fmt: skip
        return runner.once(settings, Asked(reason=reason))

    @property
    def motd(self):
        return (self.folder / "root/etc/motd").read_text()

    def stays(self, *, error=""):
        """Run, and see that what is in force stayed so, drift repaired, said, and in time."""
        (self.folder / "root/etc/motd").write_text("drift")
        before = time.monotonic()
        report = self.once()
        assert time.monotonic() - before < DEADLINE * 3 + 5
        assert self.motd == "one"
        assert report["exit_code"] == 0
        assert report["bundle"]["stale_since"]
        assert error in report["bundle"]["error"]
        return report


@pytest.fixture
def running(site):
    """The same, after a first good run."""
    site.offer("one")
    site.once()
    return site


def test_f39_refused(running):
    running.server.closed.set()
    running.server._listener.shutdown(socket.SHUT_RDWR)
    running.server._listener.close()
    running.stays(error="cannot be reached")


def test_f39_reset(running):
    def reset(seen):
        raise ConnectionResetError

    running.server.answer = reset
    running.stays()


def test_f39_a_black_hole(running, monkeypatch):
    """A listener whose queue is full drops what comes, as a firewall does."""
    with socket.socket() as hole:
        hole.bind(("127.0.0.1", 0))
        hole.listen(0)
        fillers = [socket.socket() for _ in range(4)]
        for one in fillers:
            one.setblocking(False)
            one.connect_ex(hole.getsockname())
        running.url = f"http://localhost:{hole.getsockname()[1]}/web.yaml"
        running.stays()
        for one in fillers:
            one.close()


def test_f39_without_a_last_good_profile(site):
    site.server.answer = lambda seen: reply(b"", status="503 Unavailable")
    with pytest.raises(ConvergeError, match="no last good profile"):
        site.once()
    assert not (site.folder / "root/etc/motd").exists()


def test_f40_a_name_that_is_not_known(running):
    running.url = "http://no-such-host.invalid/web.yaml"
    running.stays()


def test_f40_a_resolver_that_hangs(running, monkeypatch):
    real = socket.getaddrinfo
    monkeypatch.setattr(
        socket, "getaddrinfo", lambda *words, **more: time.sleep(20) or real(*words, **more)
    )
    running.stays()


@pytest.mark.parametrize("first", [b"", b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n"])
def test_f41_a_byte_now_and_then(running, first):
    def drip(seen):
        yield first
        while not running.server.closed.wait(0.2):
            yield b"x"

    running.server.answer = drip
    running.stays()


@pytest.mark.parametrize(
    "answer",
    [
        b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\nshort",
        b"HTTP/1.1 200 OK\r\nContent-Length: -5\r\n\r\nx",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\nx",
        b"HTTP/1.1 200 OK\r\nX: " + b"y" * 200_000 + b"\r\n\r\n",
        b"HTTP/1.1 100 Continue\r\n\r\n" * 500,
        b"\x16\x03\x01 this is TLS",
        b"",
        reply(b"x" * (9 << 20)),
        reply(b"x", content_encoding="gzip"),
    ],
    ids=["cut", "negative", "chunks", "header", "continue", "tls", "empty", "large", "gzip"],
)  # fmt: skip
def test_f42_answers_that_are_broken(running, answer):
    running.server.answer = lambda seen: answer
    running.stays()


@pytest.mark.parametrize(
    "target", ["http://169.254.169.254/latest/meta-data", "file:///etc/shadow", "//127.0.0.2:1/x"]
)
def test_f42_redirects_to_elsewhere(running, target):
    running.server.answer = lambda seen: redirect(target)
    running.stays()


@pytest.mark.parametrize(
    ("after", "asked"), [("3600", 1), ("315360000", 1), ("-5", 2), ("soon", 2), ("", 2)]
)
def test_f44_retry_after(running, after, asked):
    running.server.answer = lambda seen: reply(
        b"", status="503 Unavailable", **({"retry_after": after} if after else {})
    )
    running.server.seen.clear()
    running.stays(error="503")
    if after == "-5":
        time.sleep(1.1)  # it is clamped to a second
    running.stays(error="503")
    assert len(running.server.seen) == asked


def test_f44_it_is_asked_again_after_the_pause(running, monkeypatch):
    running.server.answer = lambda seen: reply(b"", status="429 Slow Down", retry_after="86400")
    running.stays()
    real = time.time
    monkeypatch.setattr(time, "time", lambda: real() + 6 * 3600 + 1)
    running.offer("two")
    running.once()
    assert running.motd == "two"


def test_f45_a_304_costs_one_request(running):
    running.server.seen.clear()
    assert running.once()["bundle"]["stale_since"] is None
    assert [seen.target for seen in running.server.seen] == ["/web.yaml"]


def test_f45_a_304_where_there_is_nothing_here(running):
    for kept in (running.folder / "state/bundles").iterdir():
        kept.unlink()
    (running.folder / "root/etc/motd").unlink()
    running.once()
    assert running.motd == "one"


def test_f45_a_200_with_what_is_here_already(running):
    answer = running.server.answer
    running.server.answer = lambda seen: answer(
        seen._replace(headers={k: v for k, v in seen.headers.items() if k != "if-none-match"})
    )
    assert running.once()["counts"]["changed"] == 0


def test_f46_a_server_that_is_good_and_bad_by_turns(running):
    good = running.server.answer
    kept = []
    for turn in range(6):
        running.server.answer = good if turn % 2 else lambda seen: reply(b"resources: [")
        report = running.once()
        assert report["exit_code"] == 0
        assert running.motd == "one"
        kept.append(sorted(p.name for p in (running.folder / "state/bundles").iterdir()))
    assert all(one == kept[0] for one in kept), "nothing bad was ever kept"


# So many that chance moves the peak of a second by little.
AGENTS, INTERVAL = 300_000, 1800.0


def requests(outage, failing):
    """Return how many requests came in each second after an outage, by the agents' own timer.

    An agent with a last good profile goes on by its interval; without one it fails, and backs off.
    """
    seconds = Counter()
    for number in range(AGENTS):
        place = (number * 0.6180339887) % 1
        now, failures = place * INTERVAL, 0
        while now < outage + 2 * INTERVAL:
            down = now < outage
            failures = failures + 1 if down and failing else 0
            if not down:
                seconds[int(now - outage)] += 1
            now = timer.due(now, INTERVAL, place, failures)
    return seconds


@pytest.mark.parametrize(
    "failing",
    [False, True],  # True: new containers, all of which wait for their first profile
    ids=["with-last-good", "without"],
)
def test_f47_a_fleet_after_an_outage_of_ten_minutes(failing):
    seconds = requests(600.0, failing)
    span = range(int(INTERVAL))
    mean = sum(seconds[s] for s in span) / len(span)
    peak = max(seconds[s] for s in span)
    assert peak <= 3 * mean, (peak, mean)


def test_the_deadline_is_that_of_the_promise():
    assert fetch.Request(url="https://x").deadline == 30.0
