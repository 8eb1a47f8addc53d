"""Reading of /proc/self/mountinfo (proc_pid_mountinfo(5))."""

from __future__ import annotations

import pytest

from converge import mounts
from converge.mounts import Mount

CONTAINER = r"""
612 527 0:54 / / rw,relatime - overlay overlay rw,lowerdir=/l,upperdir=/u
613 612 0:57 / /proc rw,nosuid,nodev,noexec,relatime - proc proc rw
640 613 0:57 /sys /proc/sys ro,nosuid,nodev,noexec,relatime - proc proc rw
641 612 8:1 /var/lib/c/hosts /etc/hosts rw,relatime master:1 - ext4 /dev/sda1 rw
642 612 8:1 /conf//deleted /etc/app.conf ro,relatime shared:2 master:1 - ext4 /dev/sda1 rw
643 612 8:1 /x /mnt/a\040b\011c\134d rw - ext4 /dev/disk\040one rw
644 612 0:60 / /data rw,relatime - tmpfs tmpfs ro,size=64k
"""


def test_fields():
    found = mounts.parse(CONTAINER)
    assert list(found) == [
        "/",
        "/proc",
        "/proc/sys",
        "/etc/hosts",
        "/etc/app.conf",
        "/mnt/a b\tc\\d",
        "/data",
    ]
    assert found["/"] == Mount(
        path="/", type="overlay", source="overlay", read_only=False,
        options=("rw", "relatime", "rw", "lowerdir=/l", "upperdir=/u"),
    )  # fmt: skip
    assert found["/etc/hosts"].root == "/var/lib/c/hosts"
    assert found["/mnt/a b\tc\\d"].source == "/dev/disk one"


def test_read_only_by_the_mount_or_by_the_file_system():
    found = mounts.parse(CONTAINER)
    assert [path for path, mount in found.items() if mount.read_only] == [
        "/proc/sys",
        "/etc/app.conf",
        "/data",
    ]


def test_a_source_that_was_replaced():
    assert [path for path, mount in mounts.parse(CONTAINER).items() if mount.deleted] == [
        "/etc/app.conf"
    ]


def test_of_several_on_one_point_the_last_is_on_top():
    text = "1 0 0:1 / /a rw - ext4 x rw\n2 1 0:2 / /a ro - tmpfs y rw\n"
    on_top = Mount(path="/a", type="tmpfs", source="y", read_only=True, options=("ro", "rw"))
    assert mounts.parse(text) == {"/a": on_top}


@pytest.mark.parametrize(
    "line",
    [
        "",
        "nonsense",
        "1 2 3 4 5 6 7",
        "1 0 0:1 / /a rw - ext4",
        "1 0 0:1 / /a\\9zz rw - ext4 x rw",
    ],
)
def test_a_line_of_another_format_says_nothing(line):
    good = "1 0 0:1 / /b rw - ext4 x rw"
    assert list(mounts.parse(f"{line}\n{good}\n")) == ["/b"]


def test_any_number_of_optional_fields():
    text = "1 0 0:1 / /a rw shared:1 master:2 propagate_from:3 unbindable - ext4 x rw\n"
    assert list(mounts.parse(text)) == ["/a"]


def test_a_name_may_hold_other_line_ends():
    text = "1 0 0:1 / /a\u2028b\x0cc rw - ext4 x rw\n"
    assert list(mounts.parse(text)) == ["/a\u2028b\x0cc"]


@pytest.mark.parametrize(
    ("text", "plain"),
    [
        ("/plain", "/plain"),
        (r"\040", " "),
        (r"a\040b", "a b"),
        (r"\134040", r"\040"),
        (r"a\012", "a\n"),
        (r"\043x", "#x"),
    ],
)
def test_unescape(text, plain):
    assert mounts.unescape(text) == plain


def test_covering():
    found = mounts.parse(CONTAINER)
    for path, point in {
        "/": "/",
        "/etc": "/",
        "/etc/hosts": "/etc/hosts",
        "/etc/hosts2": "/",
        "/proc/sys/net/core": "/proc/sys",
        "/proc/system": "/proc",
        "/data/": "/data",
    }.items():
        mount = mounts.covering(found, path)
        assert mount is not None
        assert mount.path == point


def test_covering_without_a_root():
    assert mounts.covering({}, "/etc/hosts") is None
    assert mounts.covering(mounts.parse("1 0 0:1 / /a rw - ext4 x rw"), "/b/c") is None
