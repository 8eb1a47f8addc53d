"""`converge fleet`: who stands how, from a directory of reports or from Prometheus."""

from __future__ import annotations

import json
import os
import time

import pytest

from converge import cli
from converge.errors import ConvergeError
from converge.fleet import members, page, table
from converge.fleet.command import main
from converge.fleet.members import Member
from unit.web_server import Server, reply

NOW = 1_800_000_000.0


def member(**changes):
    return Member(**{"name": "web-1", "heard": NOW - 60, "success": NOW - 60, **changes})


@pytest.mark.parametrize(
    ("changes", "standing"),
    [
        ({}, "converged"),
        ({"failed": True}, "failed"),
        ({"unresolved": ("file:/x",)}, "failed"),
        ({"heard": NOW - 3601}, "stale"),
        ({"heard": NOW - 3599}, "converged"),
        ({"heard": NOW - 100, "interval": 30.0}, "stale"),
        ({"stale_since": NOW - 4000}, "stale"),
        ({"stale_since": NOW - 60}, "converged"),
        ({"contended": ("file:/x",), "drift": 1}, "contended"),
        ({"drift": 1, "waiting": "why"}, "drifting"),
        ({"waiting": "why"}, "waiting"),
        ({"failed": True, "heard": 0.0, "drift": 3}, "failed"),
    ],
)
def test_a_member_stands_as_the_worst_that_it_is(changes, standing):
    assert member(**changes).standing(NOW) == standing
    assert members.meaning(standing)


def envelope(**changes):
    report = {
        "exit_code": 0,
        "error": "",
        "counts": {"changed": 0},
        "resources": [],
        "bundle": None,
    }
    report |= changes.pop("report", {})
    return {
        "version": 1, "host": "web-1", "container": "c1", "groups": ["eu"], "interval": 1800,
        "time": time.time(), "last_success": time.time(), "unresolved": [], "contended": [],
        "report": report, **changes,
    }  # fmt: skip


@pytest.fixture
def folder(tmp_path):
    """A function that puts envelopes into a directory."""

    def put(*made):
        for i, one in enumerate(made):
            text = one if isinstance(one, str) else json.dumps(one)
            (tmp_path / f"{i}.json").write_text(text)
        return str(tmp_path)

    return put


def test_a_directory(folder, capsys):
    failed = {"exit_code": 4, "resources": [{"id": "file:/x", "fatal": True, "reason": "no space"}]}
    where = folder(
        envelope(), envelope(host="web-2", report=failed), envelope(host="web-3", time=1.0),
        "no json", '{"version": 1}',
    )  # fmt: skip
    assert main([where, "--json"]) == 4
    found = json.loads(capsys.readouterr().out)
    assert found["counts"]["failed"] == 3
    assert found["counts"]["stale"] == found["counts"]["converged"] == 1
    assert found["containers"][2]["detail"] == "file:/x: no space"
    assert main([where, "--color", "never"]) == 4
    shown = capsys.readouterr().out
    assert shown.startswith("5 containers: 3 failed, 1 stale, 1 converged")
    assert "no space" in shown
    assert "\x1b" not in shown


@pytest.mark.parametrize(
    "made",
    [
        envelope(report={"counts": []}), envelope(report={"bundle": [1]}), {"report": "none"},
        envelope(report={"bundle": {"sequence": float("inf")}}), envelope(interval=10**400),
    ],
)  # fmt: skip
def test_whatever_a_file_holds_it_is_one_member(folder, made, capsys):
    assert main([folder(made, envelope()), "--json"]) == 4
    counts = json.loads(capsys.readouterr().out)["counts"]
    assert (counts["failed"], counts["converged"]) == (1, 1)


def test_links_and_devices_in_the_directory_are_not_followed(folder, tmp_path):
    where = folder(envelope())
    (tmp_path / "link.json").symlink_to("/etc/passwd")
    (tmp_path / "endless.json").symlink_to("/dev/zero")
    assert main([where, "--json"]) == 4


def test_all_converged_is_exit_code_0(folder):
    assert main([folder(envelope(), envelope(report={"counts": {"changed": 1}})), "--json"]) == 0


def test_the_page_needs_nothing_else_and_believes_nobody(folder, tmp_path):
    evil = "<script>alert(1)</script>"
    where = folder(envelope(host=evil, groups=[evil], report={"error": evil}))
    main([where, "--html", str(tmp_path / "fleet.html")])
    text = (tmp_path / "fleet.html").read_text()
    assert "<script" not in text
    assert "&lt;script&gt;" in text
    assert "http" not in text.replace("http-equiv", "")


def test_names_cannot_move_the_cursor(folder, capsys):
    main(
        [
            folder(envelope(host="web\x1b[2J", report={"error": "a\x1b]0;x\x07b"})),
            "--color",
            "never",
        ]
    )
    assert "\x1b" not in capsys.readouterr().out


def test_500_containers_are_cut_to_the_worst(folder, capsys):
    made = [envelope(host=f"web-{i:03}") for i in range(60)]
    where = folder(*made, envelope(host="bad", report={"error": "x", "exit_code": 1}))
    main([where, "--color", "never"])
    shown = capsys.readouterr().out
    assert shown.index("bad") < shown.index("web-000")
    assert "… and 21 more (--all)" in shown
    main([where, "--color", "never", "--all"])
    assert "web-059" in capsys.readouterr().out


def test_prometheus():
    now = time.time()
    series = {
        "converge_last_run_timestamp_seconds": now, "converge_last_success_timestamp_seconds": now,
        "converge_unresolved": 0, "converge_contended": 2, "converge_stale_after_seconds": 600,
        "converge_bundle_sequence": 7,
    }  # fmt: skip

    def answer(seen):
        drift = "increase" in seen.target
        found = [
            {"metric": {"instance": "web-1"} | ({} if drift else {"__name__": name}),
             "value": [now, str(value)]}
            for name, value in ({"": 3.0} if drift else series).items()
        ]  # fmt: skip
        return reply(json.dumps({"status": "success", "data": {"result": found}}).encode())

    from converge.config import Settings
    from converge.fleet.reading import read

    with Server(answer) as server:
        (found,) = read(server.url, Settings())
    assert found.standing(now) == "contended"
    assert (found.name, found.sequence, found.drift, found.interval) == ("web-1", 7, 3, 300.0)


@pytest.mark.parametrize(
    "body",
    [
        b"", b"[]", b'{"data": {}}', b"<html>", b'{"data": {"result": [{}]}}',
        b'{"data": {"result": [{"metric": {}, "value": []}]}}',
        b'{"data": {"result": [{"metric": {}, "value": [1, "2"]}]}}',
        b'{"data": {"result": [{"metric": {"__name__": "converge_unresolved"}, "value": [1, "NaN"]}]}}',
    ],
)  # fmt: skip
def test_what_is_no_prometheus(body):
    with (
        Server(lambda seen: reply(body)) as server,
        pytest.raises(ConvergeError, match="Prometheus"),
    ):
        main([server.url])


def test_wrong_usage(tmp_path, monkeypatch):
    for words in ([], [str(tmp_path / "none")], ["a", "b"]):
        with pytest.raises(ConvergeError):
            main(words)
    monkeypatch.setattr(os, "umask", lambda mask: mask)
    assert cli.main(["fleet", str(tmp_path / "none")]) == 1


def test_ages_are_told_in_one_unit():
    assert [table.ago(NOW - s, NOW) for s in (5, 300, 7200, 200_000)] == [
        "5 s",
        "5 min",
        "2 h",
        "2 d",
    ]
    assert table.ago(0, NOW) == "never"
    assert "0 containers" in page.page([], NOW)


def test_of_nobody_one_cannot_say_that_all_is_well(tmp_path, capsys):
    with pytest.raises(ConvergeError, match="no container has reported to"):
        main([str(tmp_path)])
    assert main([str(tmp_path), "--json"]) == 1
    assert json.loads(capsys.readouterr().out)["containers"] == []
