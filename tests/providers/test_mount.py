"""The kind `mount` against a fake root with fake mounts, and its rules."""

from __future__ import annotations

import os

import pytest

from converge import kinds
from converge.errors import BatchError
from converge.mounts import Mount
from converge.programs.process import Completed
from converge.provider import Spec
from converge.testing import FakeSystem, ProviderContract, converge, make_spec, plan
from converge_resources.mounts import fstab
from converge_resources.mounts import options as mount_options
from providers.fake_tree import TreeFixtures, differing, obstacle

SYS_ADMIN = 1 << 21
TABLE = """\
# comment
/dev/sda1 /boot ext4 defaults 0 2
tmpfs	/mnt	tmpfs	size=1m	0	0
none /srv/a\\040b none bind 0 0
tmpfs /mnt tmpfs size=2m
short line
"""


def spec_of(name="/mnt", **declared):
    if declared.get("state", "mounted") in ("mounted", "present"):
        declared = {"type": "tmpfs", **declared}
    return make_spec("mount", name=name, **declared)


class MountFixtures(TreeFixtures):
    kind = "mount"

    @pytest.fixture
    def live(self) -> dict[str, Mount]:
        """What is mounted, by mount point."""
        return {}

    @pytest.fixture(autouse=True)
    def _programs(self, root, system, live, monkeypatch):
        for folder in ("mnt", "data", "srv/app"):
            (root / folder).mkdir(parents=True)

        def real(path):
            return os.readlink(path).removeprefix(str(root)) if path.startswith("/proc") else path

        def mount(argv, stdin):
            kind, options = argv[3], argv[5].split(",") if argv[4] == "-o" else []
            source, point = real(argv[-2]), real(argv[-1])
            if "remount" in options:
                kept = [o for o in options if o not in ("remount", "bind")]
                live[point] = live[point].replace(options=("rw", *kept))
            elif "bind" in options:
                live[point] = Mount(
                    path=point, type="ext4", source="/dev/x", read_only=False, root=source,
                    options=("rw",),
                )  # fmt: skip
            else:
                live[point] = Mount(
                    path=point, type=kind, source=source, read_only="ro" in options,
                    options=(*(["rw"] if "ro" not in options else []), *options),
                )  # fmt: skip
            return ""

        def umount(argv, stdin):
            folder = system.how[-1][1].folder
            live.pop(os.path.join(folder, argv[-1].removeprefix("./")))
            return ""

        system.programs.update(mount=mount, umount=umount)
        for view in (FakeSystem, type(system.read_only())):
            monkeypatch.setattr(view, "mounts", lambda self: dict(live))


class TestContract(MountFixtures, ProviderContract):
    @pytest.fixture
    def present(self) -> list[Spec]:
        return [
            spec_of(options=["size=64m", "nosuid"], fstab=True),
            spec_of("/srv/app", source="fs:/export", type="nfs", state="present"),
        ]

    @pytest.fixture
    def absent(self) -> list[Spec]:
        return [spec_of(name, state="absent") for name in ("/mnt", "/srv/app")]


class TestMounting(MountFixtures):
    def test_the_path_is_pinned_and_the_words_are_separate(self, provider, system):
        assert converge(provider, [spec_of(options=["size=1m", "noexec"])], system) == []
        (argv,) = system.ran
        assert argv[:7] == (
            "/usr/bin/mount", "-c", "-t", "tmpfs", "-o", "size=1m,noexec", "--",
        )  # fmt: skip
        assert argv[7] == "tmpfs"
        assert argv[8].startswith(f"/proc/{os.getpid()}/fd/")

    def test_no_line_unless_it_is_asked_for(self, provider, system, root):
        converge(provider, [spec_of()], system)
        assert not (root / "etc/fstab").exists()
        assert converge(provider, [spec_of(options=["size=1m"], fstab=True)], system) == []
        assert (root / "etc/fstab").read_text() == "tmpfs /mnt tmpfs size=1m 0 0\n"

    def test_other_options_are_set_without_unmounting(self, provider, system, live):
        converge(provider, [spec_of(options=["size=1m"])], system)
        spec = spec_of(options=["size=2m", "ro"])
        assert differing(plan(provider, [spec], system)) == ["options"]
        assert converge(provider, [spec], system) == []
        assert system.ran[-1][5] == "remount,size=2m,ro"
        assert [os.path.basename(argv[0]) for argv in system.ran] == ["mount", "mount"]

    def test_another_type_is_mounted_anew(self, provider, system, live):
        converge(provider, [spec_of()], system)
        assert converge(provider, [spec_of(type="ext4", source="/dev/x")], system) == []
        assert [os.path.basename(argv[0]) for argv in system.ran] == ["mount", "umount", "mount"]
        assert system.ran[1][1:] == ("-c", "--", "./mnt")

    def test_unmounted_leaves_the_line(self, provider, system, root, live):
        (root / "etc/fstab").write_text(TABLE)
        live["/mnt"] = Mount(path="/mnt", type="tmpfs", source="t", read_only=False)
        assert converge(provider, [spec_of(state="unmounted")], system) == []
        assert live == {}
        assert (root / "etc/fstab").read_text() == TABLE

    def test_absent_takes_every_line(self, provider, system, root, live):
        (root / "etc/fstab").write_text(TABLE)
        (root / "etc/fstab").chmod(0o640)
        assert converge(provider, [spec_of(state="absent")], system) == []
        assert "/mnt" not in (root / "etc/fstab").read_text()
        assert (root / "etc/fstab").stat().st_mode & 0o777 == 0o640
        assert system.ran == []

    def test_present_is_the_line_alone(self, provider, system, root, live):
        (root / "etc/fstab").write_text(TABLE)
        spec = spec_of(state="present", options=["size=2m"])
        assert differing(plan(provider, [spec], system)) == ["fstab"]  # there are two
        assert converge(provider, [spec], system) == []
        assert (root / "etc/fstab").read_text() == TABLE.replace(
            "tmpfs	/mnt	tmpfs	size=1m	0	0\n", ""
        )
        assert live == {}

    def test_a_missing_mount_point_is_named(self, provider, system):
        with pytest.raises(BatchError, match=r"there is no /nowhere .*declare `directory: /now"):
            converge(provider, [spec_of("/nowhere")], system)

    def test_what_mount_refuses_is_unmanageable(self, provider, system):
        words = "mount: /mnt: permission denied."
        system.programs["mount"] = lambda argv, stdin: Completed(
            argv=tuple(argv), code=32, out="", err=words
        )
        with pytest.raises(BatchError) as caught:
            converge(provider, [spec_of()], system)
        assert type(caught.value.errors["/mnt"]).__name__ == "CannotManageError"

    def test_other_failures_are_told_in_its_words(self, provider, system):
        system.programs["mount"] = lambda argv, stdin: Completed(
            argv=tuple(argv), code=32, out="", err="mount: unknown filesystem type 'x'."
        )
        with pytest.raises(BatchError, match="mount: exit 32: mount: unknown filesystem type"):
            converge(provider, [spec_of(type="x")], system)

    def test_without_the_program(self, provider, system):
        del system.programs["mount"]
        with pytest.raises(BatchError, match="there is no program mount"):
            converge(provider, [spec_of()], system)

    def test_by_the_path_behind_a_link(self, provider, system, root, live):
        (root / "link").symlink_to("srv")
        live["/srv/app"] = Mount(path="/srv/app", type="tmpfs", source="t", read_only=False)
        assert plan(provider, [spec_of("/link/app")], system) == []


class TestBind(MountFixtures):
    def bound(self, live, root, monkeypatch):
        """Make the mount point the same directory as the source, as a bind does."""
        lstat = FakeSystem.lstat

        def same(system, path):
            return lstat(system, "/data" if path == "/mnt" and "/mnt" in live else path)

        monkeypatch.setattr(type(FakeSystem(root).read_only()), "lstat", same)

    def test_its_options_are_set_afterwards(self, provider, system, root, live, monkeypatch):
        self.bound(live, root, monkeypatch)
        spec = spec_of(source="/data", type="bind", options=["ro", "nosuid"])
        assert converge(provider, [spec], system) == []
        assert [argv[5] for argv in system.ran] == ["bind", "remount,bind,ro,nosuid"]
        assert live["/mnt"].root == "/data"

    def test_another_directory_is_bound_anew(self, provider, system, root, live, monkeypatch):
        live["/mnt"] = Mount(
            path="/mnt", type="ext4", source="/dev/x", read_only=False, root="/other"
        )
        (change,) = plan(provider, [spec_of(source="/data", type="bind")], system)
        assert change.before.source == "/dev/x /other"
        assert change.wants("source")

    def test_its_line(self, provider):
        spec = spec_of("/srv/a b", source="/data", type="bind", options=["ro"], fstab=True)
        assert provider.desired(spec).fstab == r"/data /srv/a\040b none bind,ro 0 0"


class TestObstacles(MountFixtures):
    @pytest.mark.parametrize(
        ("declared", "flag"),
        [
            ({"options": ["size=1m"]}, "--tmpfs /mnt:size=1m"),
            ({}, "--tmpfs /mnt"),
            ({"type": "bind", "source": "/data", "options": ["ro"]}, "--volume SOURCE:/mnt:ro"),
            ({"type": "nfs", "source": "a:/b"}, "--volume NAME:/mnt"),
        ],
    )
    def test_mounting_needs_a_capability(self, provider, system, declared, flag):
        assert obstacle(provider, system, spec_of(**declared)) is None
        system.capabilities &= ~SYS_ADMIN
        found = obstacle(provider, system, spec_of(**declared))
        assert found.reason == "mounting needs CAP_SYS_ADMIN"
        assert found.remedy == f"start the container with {flag}, or with --cap-add SYS_ADMIN"

    def test_unmounting_too(self, provider, system, live):
        live["/mnt"] = Mount(path="/mnt", type="tmpfs", source="t", read_only=False)
        system.capabilities &= ~SYS_ADMIN
        found = obstacle(provider, system, spec_of(state="unmounted"))
        assert found.reason == "unmounting needs CAP_SYS_ADMIN"

    def test_a_line_does_not(self, provider, system, root, live):
        system.capabilities &= ~SYS_ADMIN
        assert obstacle(provider, system, spec_of(state="present")) is None
        (root / "etc/fstab").write_text(TABLE)
        assert obstacle(provider, system, spec_of(state="absent")) is None
        live["/etc"] = Mount(path="/etc", type="ext4", source="x", read_only=True)
        found = obstacle(provider, system, spec_of(state="present"))
        assert found.reason == "/etc is mounted read-only"


@pytest.mark.parametrize(
    ("declared", "live", "holds"),
    [
        ("", "rw,relatime", True),
        ("rw", "rw", True),
        ("ro", "rw", False),
        ("rw", "rw,ro", False),
        ("nosuid,nodev", "rw,nosuid,nodev", True),
        ("noexec", "rw", False),
        ("exec", "rw,noexec", False),
        ("suid,dev,async", "rw", True),
        ("size=64m", "rw,size=65536k", True),
        ("size=64M,mode=0750", "rw,size=65536k,mode=750", True),
        ("size=64m", "rw,size=32768k", False),
        ("size=10%", "rw,size=1k", True),
        ("size=1m", "rw", False),
        ("mode=1777,uid=0", "rw", True),
        ("mode=0755", "rw", False),
        ("uid=33", "rw,uid=33", True),
        ("nr_inodes=1k", "rw,nr_inodes=1024", True),
        ("nr_inodes=1k", "rw,nr_inodes=1025", False),
        ("defaults,noauto,nofail,_netdev,x-a.b=c", "rw", True),
        ("huge=never", "rw", True),
        ("size=x", "rw,size=1k", False),
    ],
)
def test_options(declared, live, holds):
    words = [word for word in declared.split(",") if word]
    assert mount_options.holding(words, live.split(","), "tmpfs") is holds


def test_an_option_that_the_kernel_does_not_show_counts_as_set():
    assert mount_options.holding(["vers=4.2"], ["rw"], "nfs")
    assert not mount_options.holding(["vers=4.2"], ["rw", "vers=3"], "nfs")


class TestTable:
    def test_find(self):
        assert fstab.find(TABLE, "/mnt") == "tmpfs /mnt tmpfs size=2m 0 0"
        assert fstab.find(TABLE, "/srv/a b") == r"none /srv/a\040b none bind 0 0"
        assert fstab.find(TABLE, "/boot") == "/dev/sda1 /boot ext4 defaults 0 2"

    @pytest.mark.parametrize("point", ["/a\u00a0b", "/a\u3000", r"/a\b", r"/a\040", "/a#\tb"])
    def test_only_spaces_and_tabs_part_fields(self, point):
        line, others = fstab.line_of("tmpfs", point, "tmpfs", []), "//x\\y /mnt\\z cifs ro 0 0\n"
        text = fstab.edit(others, point, line)
        assert fstab.find(text, point) == line
        assert fstab.edit(text, point, line) == text
        assert fstab.edit(text, point, None) == others
        assert fstab.find(TABLE, "line") is None
        assert fstab.count(TABLE, "/mnt") == 2

    def test_what_is_right_keeps_its_spacing(self):
        text = "tmpfs\t/mnt\ttmpfs\tsize=1m\t0\t0\n"
        assert fstab.edit(text, "/mnt", "tmpfs /mnt tmpfs size=1m 0 0") == text

    def test_new_and_changed_lines(self):
        assert fstab.edit("", "/a", "x /a y z 0 0") == "x /a y z 0 0\n"
        assert fstab.edit("# c", "/a", "x /a y z 0 0") == "# c\nx /a y z 0 0\n"
        after = fstab.edit(TABLE, "/boot", "/dev/sdb /boot ext4 ro 0 0")
        assert after == TABLE.replace(
            "/dev/sda1 /boot ext4 defaults 0 2", "/dev/sdb /boot ext4 ro 0 0"
        )


def test_order():
    provider = kinds.load("mount")
    found = set(provider.depends(spec_of("/srv/app/data", type="bind", source="/data/app")))
    assert {
        "directory:/srv/app/data", "mount:/srv/app", "mount:/srv", "directory:/data/app",
        "mount:/data", "mount:/data/app",
    } <= found  # fmt: skip
    assert "mount:/srv/app/data" not in found


@pytest.mark.parametrize(
    ("declared", "message"),
    [
        ({"type": None}, "needs a `type`"),
        ({"type": "-t"}, "a type of file system"),
        ({"type": "bind"}, "a bind needs a `source`"),
        ({"type": "bind", "source": "data"}, "not an absolute path"),
        ({"type": "none", "options": ["bind"], "source": "data"}, "not an absolute path"),
        ({"options": ["a,b"]}, "one option"),
        ({"options": ["a b"]}, "one option"),
        ({"state": "unmounted", "fstab": True}, "manage the line by themselves"),
        ({"state": "present", "fstab": True}, "manage the line by themselves"),
        ({"name": "mnt"}, "not an absolute path"),
        ({"source": "a\nb"}, "one line of text"),
    ],
)
def test_problems(declared, message):
    with pytest.raises(AssertionError, match=message):
        spec_of(**declared)
