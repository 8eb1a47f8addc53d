"""The kind `download` in a container, from a web server on its loopback."""

from __future__ import annotations

import hashlib

import pytest

PYTHON = "/opt/converge/bin/python"
SERVE = f"""
cd /srv
{PYTHON} -m http.server --bind 127.0.0.1 8000 > /var/log/web 2>&1 &
echo $! > /run/web
"""
URL = "http://127.0.0.1:8000"
WAIT = f"""
import time, urllib.request
for _ in range(200):
    try:
        urllib.request.urlopen("{URL}/a")
        break
    except OSError:
        time.sleep(0.05)
"""


@pytest.fixture
def box(container):
    """A container that serves its /srv, and whose web server has answered."""
    made = container(profile={"resources": []})
    made.exec("sh", "-c", SERVE)
    made.write("/srv/a", "one\n")
    assert made.exec(PYTHON, "-c", WAIT).code == 0
    made.write("/var/log/web", "")
    return made


def run(box, *resources, command="--once"):
    """Converge these and return the outcome and reason of each that is not in sync, by id."""
    box.profile({"resources": [*resources]})
    report = box.report(command)
    return {one["id"]: (one["outcome"], one["reason"]) for one in report["resources"]}


def outcomes(box, *resources, **options):
    return {name: outcome for name, (outcome, _) in run(box, *resources, **options).items()}


def asked(box):
    """Return what the web server has answered since the last time: path and status."""
    lines = [line.split('"') for line in box.read("/var/log/web").splitlines()]
    box.write("/var/log/web", "")
    return [(line[1].split()[1], line[2].split()[0]) for line in lines]


def test_with_a_digest_the_server_is_asked_once(box):
    declared = {
        "download": "/opt/a",
        "url": f"{URL}/a",
        "digest": f"sha256:{hashlib.sha256(b'one' + bytes([10])).hexdigest()}",
        "mode": "0640",
        "group": "adm",
    }
    assert outcomes(box, declared) == {"download:/opt/a": "changed"}
    assert (box.read("/opt/a"), box.stat("/opt/a")) == ("one\n", "640 root:adm")
    assert asked(box) == [("/a", "200")]
    assert outcomes(box, declared) == {}
    box.write("/opt/a", "drift\n")
    assert outcomes(box, declared, command="plan") == {"download:/opt/a": "would_change"}
    assert asked(box) == []
    box.write("/srv/a", "two\n")
    assert "has the digest sha256:" in run(box, declared)["download:/opt/a"][1]
    assert box.read("/opt/a") == "drift\n"


def test_without_a_digest_it_is_asked_for_what_is_newer(box):
    declared = {"download": "/opt/a", "url": f"{URL}/a"}
    assert outcomes(box, declared) == {"download:/opt/a": "changed"}
    asked(box)
    assert outcomes(box, declared) == {}
    assert asked(box) == [("/a", "304")]
    box.exec("sh", "-c", "echo two > /srv/a; touch -d '+1 hour' /srv/a")
    assert outcomes(box, declared, command="plan") == {"download:/opt/a": "would_change"}
    assert outcomes(box, declared) == {"download:/opt/a": "changed"}
    assert box.read("/opt/a") == "two\n"
    asked(box)
    assert outcomes(box, declared) == {}
    assert asked(box) == [("/a", "304")]


def test_what_is_there_stays_while_the_server_is_away(box):
    declared = {"download": "/opt/a", "url": f"{URL}/a", "tries": 1}
    run(box, declared)
    box.exec("sh", "-c", "kill $(cat /run/web)")
    outcome, reason = run(box, declared)["download:/opt/a"]
    assert outcome == "unmanageable"
    assert "Connection refused" in reason
    assert box.read("/opt/a") == "one\n"
    assert outcomes(box, {**declared, "on_unmanageable": "skip"}) == {"download:/opt/a": "skipped"}
