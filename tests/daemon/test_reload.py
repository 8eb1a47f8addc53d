"""SIGHUP: what new settings change, and that wrong ones change nothing."""

from __future__ import annotations

import os
import signal
import socket

import pytest

from converge.daemon.options import dump
from daemon.supervisor import ORDERED, Held, children, until
from daemon.test_metrics_endpoint import Endpoint, free_port

# Answers the request for the settings with what lies in the file `blob`.
ANSWERS = """
verb = request.partition(b"\\n")[2].partition(b"\\0")[0]
blob = open("blob", "rb").read() if verb == b"configure" else b"whole\\0"
os.write(3, b"0\\0id\\0" + blob + b"\\0end\\0")
"""


@pytest.fixture
def one(supervisor):
    found = supervisor(ORDERED)
    (found.folder / "order").write_text(ANSWERS)
    found.start()
    until(lambda: found.idle() and not children(found.pid))
    return found


def reload(one, **options: object) -> None:
    """Let it read these settings, and wait for the run that follows."""
    (one.folder / "blob").write_bytes(dump({**one.options, **options}, b"{}"))
    runs, said = one.runs(), one.log().count("settings read again")
    one.signal(signal.SIGHUP)
    until(lambda: one.log().count("settings read again") > said)
    until(lambda: one.runs() == runs + 2 and one.idle() and not children(one.pid))


def test_the_interval(one):
    assert one.status()["interval"] == "3600.0"
    assert float(one.status()["next"]) > 60
    reload(one, interval=7.0)
    assert one.status()["interval"] == "7.0"
    assert float(one.status()["next"]) <= 7.0 * 1.1
    assert "settings read again, a run every 7 s" in one.log()


def test_events(one):
    before = Held(one.pid)
    for _ in range(20):
        reload(one, events="on")
        reload(one, events="off")
    assert one.status()["events"] == "off"
    assert Held(one.pid).descriptors == before.descriptors


def test_the_endpoint(one, tmp_path):
    before = Held(one.pid)
    tcp, unix = Endpoint(f"127.0.0.1:{free_port()}"), Endpoint(f"unix:{tmp_path}/m")
    for endpoint in (tcp, tcp, unix, unix, tcp):
        reload(one, listen=endpoint.listen)
        assert endpoint.get()[0] == 200
        other = unix if endpoint is tcp else tcp
        with pytest.raises(OSError, match=r"refused|No such file"):
            other.get()
    reload(one, listen="")
    with pytest.raises(ConnectionRefusedError):
        tcp.get()
    assert Held(one.pid).descriptors == before.descriptors


def test_with_somebody_at_the_endpoint(one, tmp_path):
    reload(one, listen=f"unix:{tmp_path}/m")
    with socket.socket(socket.AF_UNIX) as connection:
        connection.connect(f"{tmp_path}/m")
        reload(one, listen=f"unix:{tmp_path}/n")
        assert connection.recv(1) == b""
    assert Endpoint(f"unix:{tmp_path}/n").get()[0] == 200


@pytest.mark.parametrize(
    "blob",
    [
        *(b"", b"\0", b"interval=5", b"interval=\n\n{}", b"interval=x\n\n{}", b"\xff\n\n{}"),
        *(os.urandom(3000), b"interval=nan\n\n{}", b"interval=-1\n\n{}", b"poll=0\n\n{}"),
        *(b"interval=inf\n\n", b"splay=2\n\n", b"deadline=0\n\n", b"deadline=1e300\n\n"),
    ],
)
def test_wrong_ones_leave_the_old_in_force(one, blob):
    (one.folder / "blob").write_bytes(blob)
    one.signal(signal.SIGHUP)
    until(lambda: "the new settings are wrong; the old ones stay in force" in one.log())
    until(lambda: not children(one.pid))
    told = one.status()
    assert (told["interval"], told["poll"], told["crashes"]) == ("3600.0", "10.0", "0")
    assert one.trigger() == 0


def test_drift_is_not_forgotten_over_wrong_ones(supervisor):
    """A file is changed while the settings, wrong ones, are being read."""
    one = supervisor(events="on").real().start()
    motd = one.folder / "root/etc/motd"
    until(one.idle)
    text = one.worker.read_text()
    one.worker.write_text("#!/bin/sh\ntouch here\nuntil test -e go; do sleep 0.02; done\nexit 1\n")
    motd.write_text("changed\n")
    one.signal(signal.SIGHUP)
    until((one.folder / "here").exists)
    one.worker.write_text(text)
    (one.folder / "go").touch()
    until(lambda: motd.read_text() == "welcome\n")


def test_another_place_of_the_socket_is_for_the_next_start(one, tmp_path):
    reload(one, runtime=str(tmp_path / "elsewhere"))
    assert f"is asked in {one.run_directory} until it is started again" in one.log()
    assert one.answers()


WATCHES = """
if "sources.watcher" in sys.argv[-1]:
    open("watchers", "a").write("x")
    os.execvp("sleep", ["sleep", "1000"])
"""


def test_the_watcher_of_a_source_is_another_one_then(supervisor):
    one = supervisor(ORDERED, watch=1)
    (one.folder / "order").write_text(WATCHES + ANSWERS)
    one.start()
    watchers = one.folder / "watchers"
    until(watchers.exists)
    (one.folder / "blob").write_bytes(dump(one.options, b"{}"))
    one.signal(signal.SIGHUP)
    until(lambda: watchers.read_text() == "xx")
    assert "cannot be watched" not in one.log()
    until(lambda: len(children(one.pid)) == 1)
    assert one.end() == 0
