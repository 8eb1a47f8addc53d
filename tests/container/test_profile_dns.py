"""The stock profile dns, by what programs resolve: two real name servers, one change, no restart."""

from __future__ import annotations

import json

import pytest

from container.resident import is_idle, until

NAME = "app.example.test"
SERVERS = (
    "for n in 2 3; do dnsmasq --no-resolv --no-hosts --listen-address=127.0.0.$n --bind-interfaces "
    f"--address=/{NAME}/10.9.0.$n --address=/db.inside.test/10.8.0.$n; done; exec sleep infinity"
)
# A program that was there before the change: it looks a name up, again and again.
LOOKS = f"""
import socket, time
while True:
    try:
        found = socket.gethostbyname("{NAME}")
    except OSError as error:
        found = str(error)
    open("/dev/shm/found", "w").write(found)
    time.sleep(0.2)
"""


@pytest.fixture(scope="module")
def with_dnsmasq(engine, image):
    recipe = "RUN apt-get update && apt-get install -y --no-install-recommends dnsmasq-base"
    return engine.build("-", stdin=f"FROM {image}\n{recipe}\n")


def profile(**variables):
    return json.dumps({"include": ["profiles/dns.yaml"], "vars": variables})


def getent(box, name):
    return (box.exec("getent", "hosts", name).out.split() or [""])[0]


def test_a_change_of_name_servers_reaches_programs_that_run(container, with_dnsmasq):
    box = container(
        "--network=bridge",  # where the engine mounts /etc/resolv.conf
        profile=profile(nameservers=["127.0.0.2"]), image=with_dnsmasq, command=("sh", "-c", SERVERS),
    )  # fmt: skip
    box.exec("sh", "-c", f"/opt/converge/bin/python -c '{LOOKS}' >/dev/null 2>&1 &")
    box.exec("sh", "-c", "converge >/dev/null 2>&1 &")
    until(lambda: is_idle(box), "an agent that answers")
    assert getent(box, NAME) == "10.9.0.2"
    until(lambda: box.read("/dev/shm/found") == "10.9.0.2", "the first server's answer")
    inode = box.stat("/etc/resolv.conf", "%i")
    box.profile(
        profile(nameservers=["127.0.0.3"], search=["inside.test"], resolver_options=["timeout:1"])
    )
    until(lambda: box.read("/dev/shm/found") == "10.9.0.3", "the second server's answer")
    assert getent(box, "db") == "10.8.0.3", "by the search domain"
    assert box.stat("/etc/resolv.conf", "%i") == inode, "a mount, written in place"
    box.write("/etc/resolv.conf", "nameserver 127.0.0.9\n")
    until(lambda: "127.0.0.3" in box.read("/etc/resolv.conf"), "the repair")
    assert box.report("--once")["counts"]["changed"] == 0


def test_entries_of_hosts(container):
    hosts = [{"ip": "10.0.0.9", "name": "db", "aliases": ["db.example.org"]}]
    box = container(profile=profile(hosts=hosts))
    before = box.read("/etc/resolv.conf")
    assert box.report("--once")["counts"]["changed"] == 1
    assert getent(box, "db.example.org") == getent(box, "db") == "10.0.0.9"
    assert getent(box, "localhost"), "what the engine wrote is still there"
    assert box.read("/etc/resolv.conf") == before, "without `nameservers` it is the engine's"
    assert box.report("--once")["counts"]["changed"] == 0


def test_too_many_servers_are_refused_before_anything_is_touched(container):
    box = container(profile=profile(nameservers=["10.0.0.1"] * 4))
    done = box.converge("--once")
    assert done.code == 1
    assert "three name servers at most" in done.err


def test_where_it_is_not_allowed_it_is_a_warning(container):
    box = container(
        "--user=1000",
        "--cap-drop=ALL",
        profile=profile(nameservers=["10.0.0.1"], search=["x.test"]),
    )
    report = box.report("--once")
    assert report["exit_code"] == 0
    assert report["resources"][0]["outcome"] == "unmanageable"
    assert report["resources"][0]["remedy"]
