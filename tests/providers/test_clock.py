"""The kind `clock`, against time servers on loopback."""

from __future__ import annotations

import socket
import struct
import threading
import time

import pytest

from converge import kinds
from converge.errors import BatchError
from converge.language.models import validate
from converge.programs.process import Completed
from converge.provider import Unmanageable
from converge.testing import FakeSystem, make_spec, plan
from converge_resources.sntp import NoTimeError, _address, offset

NO_CAPABILITIES = 0
_UNIX = 2_208_988_800


class TimeServer:
    """Answers as SNTP does, `ahead` seconds from our clock; `asked` counts."""

    def __init__(self, ahead=0.0, *, stratum=2, first=0x24, echo=True, cut=0, era=0):
        self.ahead, self.asked = ahead, 0
        self._form = (stratum, first, echo, cut, era)
        self._socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self._socket.bind(("127.0.0.1", 0))
        self.address = f"127.0.0.1:{self._socket.getsockname()[1]}"
        self._thread = threading.Thread(target=self._serve)
        self._thread.start()

    def _serve(self):
        while True:
            data, who = self._socket.recvfrom(1024)
            if data == b"end":
                return
            self.asked += 1
            self._socket.sendto(self._answer(data), who)

    def _answer(self, data):
        stratum, first, echo, cut, era = self._form
        now = time.time() + self.ahead + _UNIX - era * 2**32
        stamp = struct.pack("!II", int(now // 1) & 0xFFFFFFFF, int(now % 1 * 2**32))
        asked = data[40:48] if echo else bytes(8)
        packet = struct.pack("!BBbb", first, stratum, 6, -20) + bytes(20) + asked + stamp + stamp
        return packet[: len(packet) - cut]

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self._socket.sendto(b"end", self._socket.getsockname())
        self._thread.join()
        self._socket.close()


@pytest.mark.parametrize("ahead", [0.0, 5.0, -3600.0, 1e8])
def test_the_offset(ahead):
    with TimeServer(ahead) as server:
        assert offset(server.address, 5) == pytest.approx(ahead, abs=0.5)


def test_the_era_after_2036():
    with TimeServer(0.0, era=1) as server:
        assert offset(server.address, 5) == pytest.approx(0, abs=0.5)


@pytest.mark.parametrize(
    ("form", "message"),
    [
        ({"first": 0xE4}, "not synchronised"), ({"stratum": 0}, "not synchronised"),
        ({"stratum": 16}, "not synchronised"), ({"echo": False}, "not to what was asked"),
        ({"cut": 1}, "too short"), ({"first": 0x23}, "not to what was asked"),
    ],
)  # fmt: skip
def test_answers_that_are_not_believed(form, message):
    with TimeServer(**form) as server, pytest.raises(NoTimeError, match=message):
        offset(server.address, 5)


def test_no_answer():
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as silent:
        silent.bind(("127.0.0.1", 0))
        with pytest.raises(NoTimeError):
            offset(f"127.0.0.1:{silent.getsockname()[1]}", 0.2)


@pytest.mark.parametrize(
    ("server", "address"),
    [
        ("time.example.org", ("time.example.org", 123)), ("10.0.0.1:1123", ("10.0.0.1", 1123)),
        ("[fd00::1]:1123", ("fd00::1", 1123)), ("fd00::1", ("fd00::1", 123)),
    ],
)  # fmt: skip
def test_addresses(server, address):
    assert _address(server) == address


@pytest.fixture
def provider():
    return kinds.load("clock")


def spec_of(*servers, **more):
    return make_spec("clock", name="utc", servers=list(servers), **more)


def test_a_clock_that_is_right(provider, tmp_path):
    with TimeServer(0.2) as server:
        assert plan(provider, [spec_of(server.address)], FakeSystem(tmp_path)) == []


def test_a_server_is_asked_every_so_often(provider, tmp_path):
    system = FakeSystem(tmp_path)
    with TimeServer() as server, TimeServer() as other:
        for _ in range(3):
            plan(provider, [spec_of(server.address)], system)
        assert server.asked == 1
        plan(provider, [spec_of(server.address, every=1e-9)], system)
        assert server.asked == 2
        plan(provider, [spec_of(other.address)], system)
        assert other.asked == 1, "other servers are asked at once"


def test_the_clock_of_the_host(provider, tmp_path):
    system = FakeSystem(tmp_path, capabilities=NO_CAPABILITIES)
    with TimeServer(5.0) as server:
        changes = plan(provider, [spec_of(server.address)], system)
        assert changes[0].before.within == pytest.approx(5, abs=0.5)
        found = provider.obstacles(changes, system.read_only())["utc"]
    assert found.reason.startswith("the clock is the host's: it is 5.")
    assert f"s behind {server.address}" in found.reason
    assert "--cap-add SYS_TIME" in found.remedy


def test_nothing_that_could_set_it(provider, tmp_path):
    system = FakeSystem(tmp_path)
    with TimeServer(-5.0) as server:
        changes = plan(provider, [spec_of(server.address)], system)
        assert "ahead of" in provider.obstacles(changes, system.read_only())["utc"].reason


def test_chronyd_is_asked_to_step_it(provider, tmp_path):
    with TimeServer(5.0) as server:

        def chronyc(argv, stdin):
            server.ahead = 0.0
            return "200 OK\n"

        system = FakeSystem(tmp_path, {"chronyc": chronyc})
        changes = plan(provider, [spec_of(server.address)], system)
        assert provider.obstacles(changes, system.read_only()) == {}
        provider.apply(changes, system)
        assert system.ran == [("/usr/bin/chronyc", "makestep")]
        assert plan(provider, [spec_of(server.address)], system) == []


def test_a_chronyd_that_does_not_run(provider, tmp_path):
    failing = Completed(argv=("chronyc",), code=1, out="506 Cannot talk to daemon\n", err="")
    system = FakeSystem(tmp_path, {"chronyc": lambda argv, stdin: failing})
    with TimeServer(5.0) as server:
        changes = plan(provider, [spec_of(server.address)], system)
        with pytest.raises(BatchError, match="506 Cannot talk to daemon"):
            provider.apply(changes, system)


def test_the_next_server_where_one_is_silent(provider, tmp_path):
    with TimeServer(first=0xE4) as bad, TimeServer(9.0) as good:
        (change,) = plan(provider, [spec_of(bad.address, good.address)], FakeSystem(tmp_path))
        assert change.before.within == pytest.approx(9, abs=0.5)


def test_no_server_at_all(provider, tmp_path):
    with TimeServer(stratum=0) as bad:
        system = FakeSystem(tmp_path)
        found = provider.inspect([spec_of(bad.address)], system.read_only())["utc"]
    assert isinstance(found, Unmanageable)
    assert f"{bad.address}: the server is not synchronised" in found.reason


def test_wrong_declarations(provider):
    for declared in ({}, {"servers": []}, {"servers": ["a b"]}, {"servers": "x", "max_offset": 0}):
        assert validate(provider.spec, {"name": "utc", **declared})[1]
