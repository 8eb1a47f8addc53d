"""Reports out: batched, spooled while nobody listens, and never a reason for a run to fail."""

from __future__ import annotations

import errno
import json
import os

import pytest

from converge import commands, config, delivery, worker
from converge.config import Settings
from converge.delivery import web
from converge.errors import UsageError
from converge.reports.report import failed
from converge.state import directory as state
from unit.web_server import Server, reply


@pytest.fixture
def place(tmp_path):
    for name in ("state", "run"):
        (tmp_path / name).mkdir(mode=0o700)
    (tmp_path / "root/etc").mkdir(parents=True)
    (tmp_path / "profile.yaml").write_text("resources: [{file: /etc/motd, content: hello}]\n")
    return tmp_path


def settings(place, *targets):
    return Settings(
        profile=str(place / "profile.yaml"), root=str(place / "root"), quiet=True,
        state_dir=str(place / "state"), runtime_dir=str(place / "run"), report_to=targets,
    )  # fmt: skip


class Collector:
    """Answers with `status`, and keeps what it was sent."""

    def __init__(self):
        self.status = 200
        self.batches = []

    def __call__(self, seen):
        if self.status < 300:
            self.batches.append(seen)
        return reply(b"", status=f"{self.status} So")


def spooled(place):
    folder = place / "state/spool"
    return sorted(folder.iterdir()) if folder.exists() else []


def test_a_run_is_told_to_a_web_server(place):
    collector = Collector()
    with Server(collector) as server:
        commands.once(settings(place, f"{server.url}/reports"))
    (seen,) = collector.batches
    assert seen.target == "/reports"
    (made,) = json.loads(seen.body)
    assert made["host"] == os.uname().nodename
    assert made["report"]["counts"]["changed"] == 1
    assert made["last_success"] > 0
    assert "diff" not in made["report"]["resources"][0]
    assert not spooled(place)


def test_what_cannot_be_sent_is_sent_with_the_next_run(place, capsys):
    collector = Collector()
    with Server(collector) as server:
        target = settings(place, f"{server.url}/reports")
        collector.status = 503
        assert commands.once(target.replace(quiet=False)) == 0
        assert "could not be sent" in capsys.readouterr().out
        assert len(spooled(place)) == 1
        collector.status = 204
        commands.once(target)
    (seen,) = collector.batches
    counts = [made["report"]["counts"]["changed"] for made in json.loads(seen.body)]
    assert counts == [1, 0]
    assert not spooled(place)


def test_a_server_that_is_not_there(place):
    with Server() as server:
        url = server.url
    assert commands.once(settings(place, url)) == 0
    assert len(spooled(place)) == 1


def test_what_a_server_refuses_for_good_is_dropped(place):
    collector = Collector()
    collector.status = 400
    with Server(collector) as server:
        commands.once(settings(place, server.url))
    assert not spooled(place)


def test_the_spool_is_bounded(place, monkeypatch):
    monkeypatch.setattr(web, "MOST_SPOOLED", 5)
    with Server() as server:
        url = server.url
    for _ in range(8):
        delivery.deliver(settings(place, url), failed("x", "once"), 1.0)
    assert len(spooled(place)) == 5
    monkeypatch.setattr(web, "MOST_BYTES", 1000)
    delivery.deliver(settings(place, url), failed("x", "once"), 1.0)
    assert sum(file.stat().st_size for file in spooled(place)) <= 1000


def test_a_huge_report_is_cut_to_how_it_ended(place, monkeypatch):
    monkeypatch.setattr(web, "MOST_REPORT", 2000)
    collector = Collector()
    with Server(collector) as server:
        report = {"exit_code": 4, "error": "", "started": 0, "seconds": 0,
                  "resources": [{"id": "x" * 5000}]}  # fmt: skip
        delivery.deliver(settings(place, server.url), report)
    (made,) = json.loads(collector.batches[0].body)
    assert made["report"]["truncated"]
    assert made["report"]["exit_code"] == 4


def test_a_directory_that_containers_share(place, tmp_path):
    (tmp_path / "reports").mkdir()
    target = settings(place, f"file:{tmp_path}/reports")
    for _ in range(2):
        commands.once(target)
    (file,) = (tmp_path / "reports").iterdir()
    assert json.loads(file.read_text())["report"]["exit_code"] == 0
    assert file.stat().st_mode & 0o777 == 0o644


def test_a_link_in_place_of_the_directory(place, tmp_path):
    (tmp_path / "real").mkdir()
    (tmp_path / "reports").symlink_to(tmp_path / "real")
    (trouble,) = delivery.deliver(settings(place, f"file:{tmp_path}/reports"), failed("x", "once"))
    assert "could not be sent" in trouble
    assert not list((tmp_path / "real").iterdir())


def test_a_pushgateway_gets_the_metrics(place):
    collector = Collector()
    with Server(collector) as server:
        commands.once(settings(place, f"pushgateway+{server.url}"))
    (seen,) = collector.batches
    assert seen.target.startswith("/metrics/job/converge/instance/")
    assert b"converge_runs_total" in seen.body


def test_a_run_that_could_not_be_made_is_told_too(place):
    (place / "profile.yaml").write_text("resources: [{fiel: /x}]\n")
    collector = Collector()
    with Server(collector) as server, pytest.raises(Exception, match="unknown kind"):
        commands.once(settings(place, server.url))
    (made,) = json.loads(collector.batches[0].body)
    assert made["report"]["exit_code"] == 1
    assert "unknown kind" in made["report"]["error"]


@pytest.mark.parametrize("target", ["ftp://x", "file:relative", "http://a b", "carrier pigeon"])
def test_targets_that_make_no_sense(target):
    with pytest.raises(UsageError, match="report"):
        config.load({"report_to": [target]}, {}, None)


def test_without_a_state_directory_one_report_is_sent(place, monkeypatch):
    monkeypatch.setattr(state, "find", lambda *_, **__: None)
    collector = Collector()
    with Server(collector) as server:
        delivery.deliver(settings(place, server.url), failed("x", "once"))
    assert len(collector.batches) == 1


def test_a_machine_id_that_is_no_text_stops_no_run(place):
    (place / "root/etc/machine-id").write_bytes(b"\xff\n")
    (place / "reports").mkdir()
    assert commands.once(settings(place, f"file:{place}/reports")) == 0
    assert len(list((place / "reports").iterdir())) == 1


def test_a_spooled_report_that_is_damaged_is_not_sent_again_and_again(place):
    collector = Collector()
    (place / "state/spool").mkdir(mode=0o700)
    (place / "state/spool/0.json").symlink_to("/etc/passwd")
    with Server(collector) as server:
        commands.once(settings(place, server.url))
    assert len(collector.batches) == 1


def test_where_no_more_processes_may_be_the_resident_agents_run_goes_on(place, monkeypatch, capfd):
    def fork():
        raise BlockingIOError(errno.EAGAIN, os.strerror(errno.EAGAIN))

    monkeypatch.setattr(os, "fork", fork)
    words = worker._run(settings(place, f"file:{place}"), "timer", [])
    assert words[0] == "0"
    assert "could not be sent: Resource temporarily unavailable" in capfd.readouterr().err
