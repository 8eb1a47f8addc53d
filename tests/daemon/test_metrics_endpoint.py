"""The metrics endpoint: off unless it is asked for, this host's own, bounded, never in the way."""

from __future__ import annotations

import http.client
import os
import socket
import stat
import threading
from contextlib import ExitStack
from pathlib import Path

import pytest
from prometheus_client.parser import text_string_to_metric_families

from daemon.supervisor import FINE, Held, children, until

TEXT = "# HELP converge_info The agent.\n# TYPE converge_info gauge\nconverge_info 1\n"


def free_port() -> int:
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return found.getsockname()[1]


class Endpoint:
    """An endpoint, by its setting."""

    def __init__(self, listen: str) -> None:
        self.listen = listen

    def connect(self) -> socket.socket:
        unix = self.listen.startswith("unix:")
        found = socket.socket(socket.AF_UNIX if unix else socket.AF_INET)
        host, _, port = self.listen.rpartition(":")
        try:
            found.connect(port if unix else (host, int(port)))
        except OSError:
            found.close()
            raise
        found.settimeout(30.0)
        return found

    def ask(self, request: bytes) -> bytes:
        with self.connect() as connection:
            try:
                connection.sendall(request)
                return b"".join(iter(lambda: connection.recv(65536), b""))
            except (ConnectionResetError, BrokenPipeError):
                return b""

    def get(self, method: str = "GET", path: str = "/metrics") -> tuple[int, str, str]:
        """Return status, content type and body, by a client of HTTP/1.1."""
        client = http.client.HTTPConnection("localhost")
        client.sock = self.connect()
        client.request(method, path, headers={"User-Agent": "Prometheus/3.0", "X": "x" * 1000})
        answer = client.getresponse()
        body = answer.read().decode()
        client.close()
        return answer.status, answer.headers.get("Content-Type", ""), body


@pytest.fixture(params=["tcp", "unix"])
def endpoint(request, tmp_path) -> Endpoint:
    port = free_port()
    return Endpoint(f"127.0.0.1:{port}" if request.param == "tcp" else f"unix:{tmp_path}/metrics")


@pytest.fixture
def one(supervisor, endpoint):
    found = supervisor(FINE, listen=endpoint.listen)
    (found.state / "metrics.prom").write_text(TEXT)
    found.start()
    until(lambda: found.idle() and not children(found.pid))
    return found


def listening(pid: int) -> list[str]:
    """Return the addresses (hexadecimal) of the TCP sockets that a process listens at."""
    names = {os.readlink(path) for path in Path(f"/proc/{pid}/fd").iterdir()}
    found = []
    for table in ("tcp", "tcp6"):
        file = Path(f"/proc/{pid}/net/{table}")
        rows = file.read_text().splitlines()[1:] if file.exists() else []
        found += [row.split()[1] for row in rows if f"socket:[{row.split()[9]}]" in names]
    return found


def test_off_by_default(supervisor):
    assert listening(supervisor().start().pid) == []


def test_a_real_run_is_told_of(supervisor, endpoint):
    one = supervisor(listen=endpoint.listen).real().start()
    until(one.idle)
    assert one.trigger() == 0
    status, kind, body = endpoint.get()
    assert (status, kind) == (200, "text/plain; version=0.0.4; charset=utf-8")
    assert body == (one.state / "metrics.prom").read_text()
    found = {
        (sample.name, *sorted(sample.labels.values())): sample.value
        for family in text_string_to_metric_families(body)
        for sample in family.samples
    }
    assert found["converge_runs_total", "0", "start"] == 1
    assert found["converge_runs_total", "0", "trigger"] == 1
    assert found["converge_resources", "file", "in_sync"] == 2
    assert found["converge_outcomes_total", "changed", "file"] == 2
    assert found["converge_drift_total", "file"] == 2
    assert found[("converge_run_duration_seconds_count",)] == 2
    assert found[("converge_contended",)] == found[("converge_unresolved",)] == 0


def test_it_is_this_hosts_own(one, endpoint):
    if endpoint.listen.startswith("unix:"):
        found = os.lstat(endpoint.listen.removeprefix("unix:"))
        assert stat.S_ISSOCK(found.st_mode)
        assert found.st_mode & 0o7777 == 0o600
        assert listening(one.pid) == []
    else:
        assert [address.partition(":")[0] for address in listening(one.pid)] == ["0100007F"]


@pytest.mark.parametrize(
    ("method", "path"),
    [
        *(("GET", "/"), ("GET", "/metrics/"), ("GET", "/metrics?x"), ("GET", "//metrics")),
        *(("HEAD", "/metrics"), ("POST", "/metrics"), ("OPTIONS", "*")),
        ("GET", "/../../../etc/passwd"),
    ],
)
def test_anything_else_is_not_found(one, endpoint, method, path):
    assert endpoint.get(method, path)[::2] == (404, "")


@pytest.mark.parametrize(
    "request_bytes", [b"\r\n\r\n", b"GET\r\n\r\n", b"\xff\0\r\n\r\n", b"status\n\r\n\r\n"]
)
def test_what_is_no_request(one, endpoint, request_bytes):
    assert endpoint.ask(request_bytes).startswith(b"HTTP/1.0 404 ")


def test_a_request_without_end_or_measure(one, endpoint):
    assert endpoint.ask(b"GET /metrics HTTP/1.1\r\nX: " + b"x" * 5000 + b"\r\n\r\n") == b""
    assert endpoint.ask(b"GET /metrics HTTP/1.1\r\n") == b"", "hung up on after a second"
    assert endpoint.get()[2] == TEXT


def test_before_the_first_run_and_without_a_state(supervisor, endpoint):
    one = supervisor(FINE, listen=endpoint.listen, state="").start()
    assert endpoint.get()[::2] == (200, "")
    assert one.trigger() == 0


def test_a_large_answer_comes_whole(one, endpoint):
    text = "".join(f'converge_x{{n="{number}"}} 1\n' for number in range(6000))
    (one.state / "metrics.prom").write_text(text)
    assert len(text) > 120_000
    assert endpoint.get()[2] == text


def test_a_flood_is_answered_in_turn_and_holds_up_no_run(one, endpoint, capsys):
    """2,000 requests of eight clients, 500 idle connections, and runs meanwhile."""
    assert one.trigger() == 0
    before, answers = Held(one.pid), []

    def flood() -> None:
        answers.extend(endpoint.ask(b"GET /metrics HTTP/1.1\r\n\r\n") for _ in range(250))

    threads = [threading.Thread(target=flood) for _ in range(8)]
    with ExitStack() as idle:
        for thread in threads:
            thread.start()
        for number in range(500):
            idle.enter_context(endpoint.connect())
            if number % 50 == 0:
                assert one.trigger() == 0
        for thread in threads:
            thread.join()
        during = Held(one.pid)
    answered = sum(answer.endswith(TEXT.encode()) for answer in answers)
    assert answered + answers.count(b"") == len(answers) == 2000
    until(lambda: Held(one.pid).descriptors == before.descriptors)
    after = Held(one.pid)
    with capsys.disabled():
        print(f"\n{answered} of 2000 requests answered: {after.since(before)}")
    assert during.descriptors <= before.descriptors + 16 + 4
    assert after.resident < before.resident + 512
    assert endpoint.get()[2] == TEXT


def test_the_control_socket_is_no_endpoint_and_the_endpoint_no_control(one, endpoint):
    assert endpoint.ask(b"trigger\n\r\n\r\n").startswith(b"HTTP/1.0 404 ")
    assert one.ask(b"GET /metrics HTTP/1.1\n").startswith(b"error\n")
    assert one.status()["runs"] == "1"


@pytest.mark.parametrize("taken", ["file", "directory", "link", "socket"])
def test_nothing_is_removed_for_it_but_a_socket_that_nobody_listens_at(supervisor, tmp_path, taken):
    path = tmp_path / "metrics"
    with socket.socket(socket.AF_UNIX) as other:
        if taken == "file":
            path.write_text("mine")
        elif taken == "directory":
            path.mkdir()
        elif taken == "link":
            path.symlink_to("/etc/passwd")
        else:
            other.bind(str(path))
            other.listen()
        one = supervisor(FINE, listen=f"unix:{path}").start()
        assert f"{path} cannot be served" in one.log()
        assert path.is_symlink() or path.exists()
        assert one.trigger() == 0
        one.end()
        if taken == "socket":
            other.close()
            one.start()
            assert Endpoint(f"unix:{path}").get()[0] == 200


def test_a_port_that_is_taken_is_said(supervisor):
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        one = supervisor(FINE, listen=f"127.0.0.1:{other.getsockname()[1]}").start()
        assert "cannot be served: [Errno 98] Address already in use" in one.log()
        assert one.trigger() == 0
