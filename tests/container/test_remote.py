"""The kinds `download` and `archive` in a container, from a web server on its loopback."""

from __future__ import annotations

import hashlib
import json

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


PACK = """
mkdir -p /tmp/t/tool-1/bin /srv && cd /tmp/t
echo 'echo works' > tool-1/bin/tool && chmod 4755 tool-1/bin/tool
ln -s bin/tool tool-1/run && ln tool-1/bin/tool tool-1/again
seq 100000 > tool-1/data && touch -d 2001-01-01 tool-1/data
tar -c{z}f /srv/tool.tar tool-1
"""


def packed(box, compress="z"):
    """Make /srv/tool.tar with the real tar and return its digest."""
    assert box.exec("sh", "-c", PACK.format(z=compress)).code == 0
    return "sha256:" + box.exec("sha256sum", "/srv/tool.tar").out.split()[0]


@pytest.mark.parametrize("compress", ["", "z"])
def test_an_archive_of_the_real_tar(box, compress):
    declared = {
        "archive": "/opt/tool",
        "url": f"{URL}/tool.tar",
        "digest": packed(box, compress),
        "strip": 1,
        "owner": "games",
        "group": "games",
    }
    assert outcomes(box, declared) == {"archive:/opt/tool": "changed"}
    assert asked(box) == [("/tool.tar", "200")]
    assert box.exec("diff", "-r", "/opt/tool", "/tmp/t/tool-1").code == 0
    assert box.exec("sh", "/opt/tool/run").out == "works\n"
    assert box.stat("/opt/tool/bin/tool") == "755 games:games"
    assert outcomes(box, declared) == {}
    assert asked(box) == []
    assert box.converge("explain", "archive:/opt/tool", "--json").json["now"] == "in_sync"
    box.write("/opt/tool/data", "drift\n")
    assert outcomes(box, declared, command="plan") == {"archive:/opt/tool": "would_change"}
    assert outcomes(box, declared) == {"archive:/opt/tool": "changed"}
    assert box.exec("diff", "-r", "/opt/tool", "/tmp/t/tool-1").code == 0
    assert outcomes(box, {"archive": "/opt/tool", "state": "absent"}) == {
        "archive:/opt/tool": "changed"
    }
    assert box.exec("ls", "-A", "/opt/tool").out == ""


def test_an_archive_that_climbs_is_refused(box):
    box.exec(
        "sh", "-c", "mkdir /tmp/t; cd /tmp/t; echo evil > ../evil; tar -cPf /srv/evil.tar ../evil"
    )
    declared = {"archive": "/opt/tool", "source": "/srv/evil.tar"}
    outcome, reason = run(box, declared)["archive:/opt/tool"]
    assert (outcome, "leads out of the directory" in reason) == ("failed", True), reason
    assert box.exec("test", "-e", "/opt/tool").code == 1


def test_what_an_image_was_built_with_is_known_on_a_read_only_root(
    engine, image, mounts, container
):
    """Its state is in the image; the container keeps its own elsewhere."""
    resource = {"archive": "/opt/tool", "source": "/srv/tool.tar", "strip": 1}
    profile = json.dumps({"resources": [resource]})
    lines = [
        f"FROM {image}",
        f"RUN {PACK.format(z='').strip().replace(chr(10), ' && ')}",
        (
            f"RUN echo '{profile}' > /etc/converge/tool.yaml"
            " && converge --once --profile /etc/converge/tool.yaml && rm /srv/tool.tar"
        ),
    ]
    baked = engine.build("-", *mounts, stdin="\n".join(lines))
    box = container("--read-only", image=baked)
    report = box.report("--once", "--profile", "/etc/converge/tool.yaml")
    assert [one["outcome"] for one in report["resources"]] == []
    assert report["counts"]["in_sync"] == 1
    assert report["exit_code"] == 0
