"""The kind `mount` with the real mount(8), with the capability and without."""

from __future__ import annotations

import pytest

SCRATCH = {"mount": "/srv/scratch", "type": "tmpfs", "options": ["size=1m", "mode=0750", "noexec"]}
BOUND = {"mount": "/srv/etc", "type": "bind", "source": "/etc", "options": ["ro"]}
POINTS = [{"directory": ["/srv/scratch", "/srv/etc"]}]


def run(box, *resources):
    """Converge, and return the outcomes of what is not in sync."""
    box.profile({"resources": [*resources]})
    return {one["id"]: one["outcome"] for one in box.report("--once")["resources"]}


@pytest.fixture
def box(container, programs_image):
    """A container that may mount; an engine's profile of AppArmor, if it has one, is left out."""
    options = ("--cap-add=SYS_ADMIN", "--security-opt=apparmor=unconfined")
    return container(*options, image=programs_image, profile={"resources": []})


def test_mounts_are_made_changed_and_undone(box):
    assert run(box, *POINTS, SCRATCH, {**BOUND, "fstab": True}) == {
        "directory:/srv/scratch": "changed", "directory:/srv/etc": "changed",
        "mount:/srv/scratch": "changed", "mount:/srv/etc": "changed",
    }  # fmt: skip
    find = ("findmnt", "-no", "FSTYPE,SIZE,OPTIONS", "/srv/scratch")
    assert box.exec(*find).out.split() == ["tmpfs", "1M", "rw,noexec,relatime,size=1024k,mode=750"]
    assert box.read("/srv/etc/passwd") == box.read("/etc/passwd")
    assert "Read-only file system" in box.exec("touch", "/srv/etc/x").err
    assert "/etc /srv/etc none bind,ro 0 0" in box.read("/etc/fstab").splitlines()
    assert run(box, SCRATCH, {**BOUND, "fstab": True}) == {}

    box.write("/srv/scratch/kept", "x")
    larger = {**SCRATCH, "options": ["size=2m", "mode=0750", "exec"]}
    writable = {**BOUND, "options": ["rw"]}
    assert set(run(box, larger, writable).values()) == {"changed"}
    assert box.exec(*find).out.split()[1:] == ["2M", "rw,relatime,size=2048k,mode=750"]
    assert box.read("/srv/scratch/kept") == "x"
    assert box.exec("touch", "/srv/etc/x").code == 0
    assert run(box, larger, writable) == {}

    other = {**BOUND, "source": "/usr", "options": []}
    assert run(box, other) == {"mount:/srv/etc": "changed"}
    assert box.exec("test", "-d", "/srv/etc/bin").code == 0

    gone = {"mount": ["/srv/scratch", "/srv/etc"], "state": "absent"}
    assert run(box, gone) == {"mount:/srv/scratch": "changed", "mount:/srv/etc": "changed"}
    assert "/srv" not in box.read("/proc/self/mountinfo") + box.read("/etc/fstab")
    assert run(box, gone) == {}


def test_a_mount_in_use_stays_and_is_told_of(box):
    run(box, *POINTS, SCRATCH)
    assert (
        box.exec("sh", "-c", "cd /srv/scratch; setsid tail -f /dev/null >/dev/null 2>&1 &").code
        == 0
    )
    box.profile({"resources": [{**SCRATCH, "state": "unmounted", "type": None, "options": []}]})
    (told,) = box.report("--once")["resources"]
    assert (told["outcome"], "busy" in told["reason"]) == ("failed", True)


def test_in_a_directory_of_another_users(box):
    """Who owns the directory above could put a link in place of the mount point."""
    home = [
        {"directory": "/home/app", "owner": "www-data"},
        {"directory": "/home/app/data", "owner": "www-data"},
    ]
    assert set(run(box, *home, {**SCRATCH, "mount": "/home/app/data"}).values()) == {"changed"}
    assert run(box, {"mount": "/home/app/data", "state": "unmounted"}) == {
        "mount:/home/app/data": "changed"
    }
    swap = "mv /home/app/data /home/app/old && ln -s /srv /home/app/data"
    assert box.exec("sh", "-c", swap, user="33").code == 0
    assert run(box, {**SCRATCH, "mount": "/home/app/data"}) == {"mount:/home/app/data": "failed"}
    assert "/srv" not in box.read("/proc/self/mountinfo")


def test_without_the_capability_it_says_what_would_help(container, programs_image):
    box = container(image=programs_image, profile={"resources": [*POINTS, SCRATCH, BOUND]})
    told = {one["id"]: one for one in box.report("--once")["resources"]}
    scratch, bound = told["mount:/srv/scratch"], told["mount:/srv/etc"]
    assert scratch["outcome"] == bound["outcome"] == "unmanageable"
    assert scratch["reason"] == "mounting needs CAP_SYS_ADMIN"
    assert "--tmpfs /srv/scratch:size=1m,mode=0750,noexec" in scratch["remedy"]
    assert "--volume SOURCE:/srv/etc:ro" in bound["remedy"]
    with_flag = container(
        "--tmpfs=/srv/scratch:size=1m,mode=0750,noexec", image=programs_image,
        profile={"resources": [SCRATCH]},
    )  # fmt: skip
    assert with_flag.report("--once")["counts"]["in_sync"] == 1
