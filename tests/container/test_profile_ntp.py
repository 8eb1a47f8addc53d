"""The stock profile ntp, with real chronyd as server and as client. No clock is ever changed.

The server of a wrong time is chronyd under libfaketime; whoever may set the clock is only given servers
that have the time of this machine.
"""

from __future__ import annotations

import json

import pytest

from container.engine import Container
from container.resident import until

CONF = "local stratum 5\\nallow\\nport {}\\ncmdport 0\\nbindcmdaddress /\\npidfile /run/{}.pid\\n"
FAKETIME = "LD_PRELOAD=/usr/lib/x86_64-linux-gnu/faketime/libfaketime.so.1"
START = f"""
lib=$(find /usr/lib -name libfaketime.so.1 | head -n 1)
printf '{CONF.format(1123, "right")}' > /tmp/right.conf
printf '{CONF.format(1124, "wrong")}' > /tmp/wrong.conf
chronyd -x -d -u root -f /tmp/right.conf >/tmp/right.log 2>&1 &
LD_PRELOAD=$lib FAKETIME=+30s DONT_FAKE_MONOTONIC=1 chronyd -x -d -u root -f /tmp/wrong.conf \
  >/tmp/wrong.log 2>&1 &
exec sleep infinity
"""


@pytest.fixture(scope="module")
def with_chrony(engine, image):
    recipe = "RUN apt-get update && apt-get install -y --no-install-recommends chrony libfaketime"
    return engine.build("-", stdin=f"FROM {image}\n{recipe}\n")


@pytest.fixture(scope="module")
def servers(engine, with_chrony, tmp_path_factory):
    """A container with two time servers on its loopback device: right at 1123, wrong at 1124."""
    made = Container(engine, tmp_path_factory.mktemp("ntp") / "profile.yaml")
    engine.must(
        "run", "--detach", "--name", made.name, "--network", "none",
        "--entrypoint", "/usr/bin/tini", with_chrony, "--", "sh", "-c", START,
    )  # fmt: skip
    yield made
    made.remove()


def profile(*servers, **variables):
    variables = {"ntp_servers": list(servers), "ntp_check_every": 0.001, **variables}
    return json.dumps({"include": ["profiles/ntp.yaml"], "vars": variables})


@pytest.fixture
def box(container, servers):
    return container(f"--network=container:{servers.name}", profile=profile("127.0.0.1:1123"))


def outcome(report):
    return {entry["id"]: entry for entry in report["resources"]}.get("clock:utc")


def test_the_clock_of_the_host_is_checked_and_told(box):
    until(lambda: outcome(box.report("--once")) is None, "a server that is synchronised")
    box.profile(profile("127.0.0.1:1124"))
    until(lambda: "host's" in (outcome(box.report("--once")) or {"reason": ""})["reason"], "it")
    report = box.report("--once")
    told = outcome(report)
    assert told["outcome"] == "unmanageable"
    assert told["reason"].startswith("the clock is the host's: it is ")
    assert abs(float(told["reason"].split()[7]) - 30) < 5
    assert "behind 127.0.0.1:1124" in told["reason"]
    assert "--cap-add SYS_TIME" in told["remedy"]
    assert report["exit_code"] == 0
    box.profile(profile("127.0.0.1:1124", ntp_on_wrong="fail"))
    assert box.report("--once")["exit_code"] == 4
    box.profile(profile("127.0.0.1:1125"))
    assert "no time server answers" in outcome(box.report("--once"))["reason"]


def test_with_the_capability_chrony_keeps_the_clock(container, servers, with_chrony):
    """Its server has this machine's time, so there is nothing to set."""
    box = container(
        f"--network=container:{servers.name}", "--cap-add=SYS_TIME", image=with_chrony,
        profile=profile("127.0.0.1:1123"),
    )  # fmt: skip
    report = box.report("--once")
    assert report["exit_code"] == 0, report["resources"]
    assert "server 127.0.0.1 port 1123 iburst" in box.read("/etc/chrony/chrony.conf")
    until(lambda: "127.0.0.1" in box.exec("chronyc", "-n", "tracking").out, "synchronisation")
    assert box.report("--once")["counts"]["changed"] == 0
    box.exec("pkill", "-9", "chronyd") if box.exec("which", "pkill").code == 0 else box.exec(
        "sh", "-c", "kill -9 $(cat /run/chrony/chronyd.pid)"
    )
    again = box.report("--once")
    assert [one["id"] for one in again["resources"]] == ["service:chronyd"]
    assert again["counts"]["changed"] == 1
