"""The kind `timezone` in containers: what date(1) and Python say of the same instant."""

from __future__ import annotations

import base64

PYTHON = "/opt/converge/bin/python"
SUMMER = "1720000000"  # 2024-07-03 09:46:40 UTC


def run(box, zone, *arguments):
    box.profile({"resources": [{"timezone": zone}]})
    report = box.report("--once", *arguments)
    return {one["id"].partition(":")[2]: one for one in report["resources"]}


def clocks(box):
    """Return the hour and the zone's name of one instant, by the C library and by Python."""
    one = box.exec("date", "-d", f"@{SUMMER}", "+%H %Z").out.strip()
    code = f"import time; print(time.strftime('%H %Z', time.localtime({SUMMER})))"
    assert box.exec(PYTHON, "-c", code).out.strip() == one
    return one


def test_there_and_back(container):
    box = container(profile={"resources": []})
    assert clocks(box) == "09 UTC"
    assert run(box, "Europe/Berlin")["Europe/Berlin"]["outcome"] == "changed"
    assert clocks(box) == "11 CEST"
    assert box.read("/etc/timezone") == "Europe/Berlin\n"
    assert run(box, "Europe/Berlin") == {}
    failed = run(box, "Europe/Berlim")["Europe/Berlim"]
    assert (failed["outcome"], "Europe/Berlin" in failed["remedy"]) == ("failed", True)
    assert clocks(box) == "11 CEST"
    assert run(box, "Etc/UTC")["Etc/UTC"]["outcome"] == "changed"
    assert clocks(box) == "09 UTC"


def test_a_zone_that_is_mounted_over(container, tmp_path):
    """A mount on /etc/localtime lands on what the link leads to, so Etc/UTC then means Tokyo."""
    source = container(profile={"resources": []})
    tokyo = source.exec("base64", "/usr/share/zoneinfo/Asia/Tokyo").out
    (tmp_path / "tokyo").write_bytes(base64.b64decode(tokyo))
    box = container(f"--volume={tmp_path}/tokyo:/etc/localtime:ro", profile={"resources": []})
    assert clocks(box) == "18 JST"
    found = run(box, "Etc/UTC")["Etc/UTC"]
    assert (found["outcome"], "is a mount" in found["reason"]) == ("unmanageable", True)
    assert run(box, "Europe/Berlin")["Europe/Berlin"]["outcome"] == "changed"
    assert clocks(box) == "11 CEST"


def test_a_variable_wins(container):
    box = container("--env", "TZ=Asia/Tokyo", profile={"resources": []})
    found = run(box, "Europe/Berlin")["Europe/Berlin"]
    assert (found["outcome"], "TZ=Asia/Tokyo wins" in found["reason"]) == ("unmanageable", True)
    assert box.exec("readlink", "/etc/localtime").out == "/usr/share/zoneinfo/Europe/Berlin\n"
    assert clocks(box) == "18 JST"
