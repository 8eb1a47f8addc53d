"""The kind `host`: what the C library makes of /etc/hosts, which the engine mounts."""

from __future__ import annotations


def getent(box, name, database="hosts"):
    """Return the addresses that the C library finds."""
    lines = box.exec("getent", database, name).out.splitlines()
    return [line.split()[0] for line in lines if "STREAM" in line or database == "hosts"]


def test_names_are_looked_up_as_declared(container, image):
    hosts = [
        {"host": "db.internal", "ip": "10.9.8.7", "aliases": ["db"]},
        {"host": "both.internal", "ip": ["10.9.8.6", "fd00::6"]},
    ]
    box = container(profile={"resources": hosts})
    box.exec("sh", "-c", "echo '10.1.1.1 db other' >>/etc/hosts", user="0")
    assert getent(box, "db") == ["10.1.1.1"]
    report = box.report("--once")
    assert report["counts"]["changed"] == 2
    assert report["resources"][0]["in_place"]  # the engine's mount cannot be renamed over
    assert getent(box, "db") == getent(box, "db.internal") == ["10.9.8.7"]
    assert getent(box, "other") == ["10.1.1.1"]
    assert sorted(getent(box, "both.internal", "ahosts")) == ["10.9.8.6", "fd00::6"]
    assert box.report("--once")["counts"]["in_sync"] == 2

    own = box.read("/proc/sys/kernel/hostname").strip()
    box.profile({"resources": [{**hosts[0], "ip": "10.9.8.5"}, {"host": own, "ip": "10.5.5.5"}]})
    assert box.report("--once")["counts"]["changed"] == 2
    assert getent(box, "db") == ["10.9.8.5"]
    assert getent(box, own) == ["10.5.5.5"]

    box.profile({"resources": [{"host": "db.internal", "state": "absent"}]})
    assert box.report("--once")["counts"]["changed"] == 1
    assert getent(box, "db.internal") == []
    assert getent(box, "db") == ["10.9.8.5"]
