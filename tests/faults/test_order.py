"""The order of the calls of a change: owner before mode, private until dressed, durable when seen."""

from __future__ import annotations

import os
import re
import stat
import struct
from pathlib import Path

import pytest

from converge.system import System
from faults import scenarios, tracing
from faults.needs import need_root, need_strace
from faults.tracing import Point

# linux/capability.h: struct vfs_cap_data, revision 2, effective: CAP_NET_RAW
CAPABILITY = struct.pack("<5I", 0x02000001, 1 << 13, 0, 0, 0)


def acl(*entries: tuple[int, int, int]) -> bytes:
    """Return a POSIX ACL as linux/posix_acl_xattr.h has it, of (tag, permissions, id)."""
    return struct.pack("<I", 2) + b"".join(struct.pack("<HHI", *entry) for entry in entries)


USER_OBJ, USER, GROUP_OBJ, MASK, OTHER = 1, 2, 4, 16, 32
NOBODY = 0xFFFFFFFF
READABLE_BY_77 = acl(
    (USER_OBJ, 6, NOBODY),
    (USER, 4, 77),
    (GROUP_OBJ, 4, NOBODY),
    (MASK, 4, NOBODY),
    (OTHER, 0, NOBODY),
)


@pytest.fixture
def calls(request, tmp_path) -> list[Point]:
    need_strace()
    folder = tmp_path / "run"
    scenarios.prepare(request.param, folder)
    log = tmp_path / "log"
    argv = [*tracing.tracer(log), *tracing.command(request.param, str(folder))]
    assert tracing.run(argv).returncode == 0
    return tracing.points(log.read_text())


def numbers(calls: list[Point], *names: str, having: str = "") -> list[int]:
    return [i for i, c in enumerate(calls) if c.call in names and having in c.arguments]


@pytest.mark.parametrize("calls", ["replace", "set-user-id", "create", "symlink"], indirect=True)
def test_nothing_is_created_that_others_may_read(calls):
    created = [call for call in calls if call.call == "openat" and "O_CREAT" in call.arguments]
    for call in created:
        mode = re.search(r", 0(\d+)\)", call.arguments)
        assert mode, call
        assert int(mode[1], 8) & 0o077 == 0, call
        assert "O_EXCL" in call.arguments or '/index"' in call.arguments


@pytest.mark.parametrize("calls", ["set-user-id"], indirect=True)
def test_the_owner_comes_first_and_the_name_last(calls):
    need_root()
    (owner,) = numbers(calls, "fchown")
    (xattr,) = numbers(calls, "fsetxattr")
    (mode,) = numbers(calls, "fchmod", having="04711")
    rename = numbers(calls, "rename", "renameat", having='"target"')[-1]
    syncs = numbers(calls, "fsync")
    last = max(i for i in syncs if i < rename)
    assert owner < xattr < mode < last < rename
    new = calls[mode].arguments.partition(",")[0]
    assert calls[last].arguments.startswith(new), "what is renamed is on the disk"
    assert [i for i in syncs if i > rename], "and then its name is"
    backup = numbers(calls, "rename", "renameat")[0]
    index = numbers(calls, "openat", having='/index"')[-1]
    assert [i for i in syncs if i < backup], "what is backed up is on the disk"
    assert backup < index < max(i for i in syncs if i < last), "and so is its name, in the index"


@pytest.mark.parametrize("calls", ["attributes"], indirect=True)
def test_the_owner_comes_first_on_a_file_that_stays(calls):
    need_root()
    assert [call.call for call in calls] == ["chown", "chmod"]


class TestWhatAFileHas:
    @pytest.fixture
    def target(self, tmp_path) -> Path:
        target = tmp_path / "target"
        target.write_bytes(b"old")
        return target

    @pytest.fixture
    def system(self, tmp_path) -> System:
        return System(str(tmp_path))

    def test_acl_and_capabilities_stay(self, system, target):
        need_root()
        os.setxattr(target, "system.posix_acl_access", READABLE_BY_77)
        os.setxattr(target, "security.capability", CAPABILITY)
        before = {name: os.getxattr(target, name) for name in os.listxattr(target)}
        assert len(before) == 2
        system.write("/target", b"new", backup=False)
        assert {name: os.getxattr(target, name) for name in os.listxattr(target)} == before
        assert target.read_bytes() == b"new"

    def test_an_acl_of_the_directory_is_not_taken_over(self, system, target, tmp_path):
        """A default ACL would let a named user read what they could not read before."""
        target.chmod(0o640)
        os.setxattr(tmp_path, "system.posix_acl_default", READABLE_BY_77)
        system.write("/target", b"new", backup=False)
        assert os.listxattr(target) == []
        assert stat.S_IMODE(target.stat().st_mode) == 0o640

    def test_set_user_id_stays_with_its_owner(self, system, target):
        target.chmod(0o4755)
        system.write("/target", b"new", backup=False)
        assert stat.S_IMODE(target.stat().st_mode) == 0o4755

    @pytest.mark.parametrize("change", ["write", "attributes"])
    @pytest.mark.parametrize("asked", [None, 0o4755])
    def test_set_user_id_goes_with_another_owner_unless_asked_for(
        self, change, asked, system, target
    ):
        """Else root would lend its name to a program that another user wrote."""
        need_root()
        os.chown(target, 4242, 4242)
        target.chmod(0o6755)
        if change == "write":
            system.write("/target", b"new", uid=0, mode=asked, backup=False)
        else:
            system.set_attributes("/target", uid=0, mode=asked)
        assert target.stat().st_uid == 0
        assert stat.S_IMODE(target.stat().st_mode) == (asked or 0o755)

    def test_another_name_keeps_the_old_content(self, system, target, tmp_path):
        os.link(target, tmp_path / "other")
        system.write("/target", b"new", backup=False)
        assert (tmp_path / "other").read_bytes() == b"old"
        assert target.stat().st_nlink == 1
