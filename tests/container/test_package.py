"""The kind `package` with the real apt and dpkg, over a repository of tiny packages."""

from __future__ import annotations

import pytest

from container import debs

HOLD_A_LOCK = """
import fcntl, sys, time
with open(sys.argv[1], "w") as file:
    fcntl.lockf(file, fcntl.LOCK_EX)
    print("held", flush=True)
    time.sleep(float(sys.argv[2]))
"""
LOCKS = (
    "/var/lib/dpkg/lock-frontend", "/var/lib/dpkg/lock", "/var/cache/apt/archives/lock",
    "/var/lib/apt/lists/lock",
)  # fmt: skip
# Starts an installation in the background, waits for a sign and kills the newest dpkg.
KILL = """
apt-get -qqy update
apt-get -qqy install "$1" & apt=$!
for n in $(seq 2000); do eval "$2" && break; sleep 0.005; done
for dir in /proc/[0-9]*; do
    read -r name < $dir/comm && [ "$name" = dpkg ] && newest=${dir#/proc/}
done 2> /dev/null
kill -KILL $newest
wait $apt
test -n "$(find /var/lib/dpkg/updates -name '0*')"
"""


@pytest.fixture
def box(container, tmp_path):
    """A container whose only source is the tiny repository, with no package lists."""
    debs.build(tmp_path / "debs")
    (tmp_path / "lab.list").write_text(debs.SOURCE.format(folder="/srv/debs"))
    (tmp_path / "none").write_text("")
    for path in (tmp_path, *tmp_path.iterdir()):
        path.chmod(0o755 if path.is_dir() else 0o644)
    return container(
        f"--volume={tmp_path}/debs:/srv/debs:ro",
        f"--volume={tmp_path}/lab.list:/etc/apt/sources.list.d/lab.list:ro",
        f"--volume={tmp_path}/none:/etc/apt/sources.list.d/debian.sources:ro",
        profile={"resources": []},
    )


def run(box, *resources):
    """Converge these packages and return the outcome and reason of each that is not in sync."""
    box.profile({"resources": [*resources]})
    report = box.report("--once")
    return {
        one["id"].removeprefix("package:"): (one["outcome"], one["reason"])
        for one in report["resources"]
    }


def outcomes(box, *resources):
    return {name: outcome for name, (outcome, _) in run(box, *resources).items()}


def status(box, name):
    form = "${db:Status-Abbrev}${Version}"
    return box.exec("dpkg-query", "-W", "-f", form, name).out.removeprefix("un ")


def test_from_nothing_through_every_state(box):
    steps = [
        ({"package": "hello", "version": "1.*"}, "ii 1.1"),
        ({"package": "hello", "version": "1.0", "hold": True}, "hi 1.0"),
        ({"package": "hello", "state": "latest", "hold": False}, "ii 2.0"),
        ({"package": "hello", "state": "absent"}, "rc 2.0"),
        ({"package": "hello"}, "ii 2.0"),
        ({"package": "hello", "state": "purged"}, ""),
    ]
    for declared, found in steps:
        assert outcomes(box, declared) == {"hello": "changed"}, declared
        assert status(box, "hello") == found
        assert outcomes(box, declared) == {}, declared


def test_what_was_removed_is_purged_later(box):
    run(box, {"package": "hello"})
    run(box, {"package": "hello", "state": "absent"})
    assert box.exec("test", "-e", "/etc/hello.conf").code == 0
    assert outcomes(box, {"package": "hello", "state": "purged"}) == {"hello": "changed"}
    assert box.exec("test", "-e", "/etc/hello.conf").code == 1


def test_bad_ones_do_not_keep_the_others(box):
    found = run(
        box,
        {"package": ["web", "nope", "extra-", "e.tra", "tied", "broken", "libtest++"]},
        {"package": "hello", "version": "1.*"},
    )
    assert {name for name, (outcome, _) in found.items() if outcome == "changed"} == {
        "web", "libtest++", "hello",
    }  # fmt: skip
    assert "Unable to locate package nope" in found["nope"][1]
    assert "Unable to locate package extra-" in found["extra-"][1]
    assert "nowhere but it is not installable" in found["tied"][1]
    assert "cannot go on" in found["broken"][1]
    assert status(box, "extra") == ""


def test_a_changed_conffile_stays_unless_it_is_to_be_replaced(box):
    run(box, {"package": "hello", "version": "1.0"})
    box.write("/etc/hello.conf", "local\n")
    run(box, {"package": "hello", "version": "1.1"})
    assert box.read("/etc/hello.conf") == "local\n"
    run(box, {"package": "hello", "version": "2.0", "conffiles": "replace"})
    assert box.read("/etc/hello.conf") == "from 2.0\n"


def test_a_repository_that_nobody_signed_is_not_believed(container, tmp_path):
    debs.build(tmp_path / "debs")
    (tmp_path / "lab.list").write_text("deb file:/srv/debs ./\n")
    (tmp_path / "none").write_text("")
    for path in (tmp_path, *tmp_path.iterdir()):
        path.chmod(0o755 if path.is_dir() else 0o644)
    box = container(
        f"--volume={tmp_path}/debs:/srv/debs:ro",
        f"--volume={tmp_path}/lab.list:/etc/apt/sources.list.d/lab.list:ro",
        f"--volume={tmp_path}/none:/etc/apt/sources.list.d/debian.sources:ro",
        profile={"resources": [{"package": "hello"}]},
    )
    report = box.report("--once")
    assert report["exit_code"] == 4
    assert report["resources"][0]["outcome"] == "failed"
    assert "not signed" in report["resources"][0]["reason"]
    assert status(box, "hello") == ""


def test_what_the_system_needs_stays(box):
    run(box, {"package": ["keeper", "hello", "web"]})
    found = run(box, {"package": ["dash", "keeper", "hello"], "state": "purged"})
    assert [outcome for outcome, _ in found.values()] == ["failed", "failed", "changed"]
    assert "would remove dash" in found["dash"][1]
    assert status(box, "keeper") == "ii 1.0"


def test_a_held_package_is_not_changed_by_the_way(box):
    run(box, {"package": "web", "hold": True})
    found = run(box, {"package": "hello", "state": "absent"}, {"package": "extra"})
    assert "held packages" in found["hello"][1]
    assert status(box, "web") == "hi 1.0"
    assert found["extra"][0] == "changed"


@pytest.mark.parametrize("lock", LOCKS)
def test_waits_for_a_lock(box, lock):
    hold = f"/opt/converge/bin/python -I -c '{HOLD_A_LOCK}' {lock} 2 > /tmp/held & "
    box.exec("sh", "-c", f"{hold} until [ -s /tmp/held ]; do sleep 0.1; done")
    assert outcomes(box, {"package": "hello", "hold": True}) == {"hello": "changed"}


@pytest.mark.parametrize(
    ("name", "sign", "left"),
    [
        ("slow", "[ -e /run/slow-configures ]", "iF"),
        ("bulky", "[ -n \"$(find /usr/share/bulky -name '*.dpkg-new' -print -quit)\" ]", "iHR"),
    ],
)
def test_heals_what_a_killed_dpkg_left(box, name, sign, left):
    assert box.exec("sh", "-c", KILL, "sh", name, sign).code == 0
    assert status(box, name).startswith(left)
    assert outcomes(box, {"package": ["hello", name]}) == {"hello": "changed", name: "changed"}
    assert status(box, name) == "ii 1.0"
    assert box.exec("apt-get", "check").code == 0
