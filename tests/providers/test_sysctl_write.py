"""The kind `sysctl`: live values and persisted lines as they are written."""

from __future__ import annotations

import errno
import os

import pytest

from converge.errors import ApplyError, BatchError, CannotManageError
from converge.files.backup import Backups
from converge.files.journal import Journal
from converge.testing import FakeSystem, converge, plan, snapshot
from providers.fake_sysctl import (
    DROP_IN,
    LIVE,
    Kernel,
    SysctlFixtures,
    live,
    mount_read_only,
    obstacle,
    spec_of,
)


class TestPersist(SysctlFixtures):
    def test_by_default_where_it_can_be(self, provider, system, drop_in):
        assert converge(provider, [spec_of(value=4096)], system) == []
        assert drop_in.read_text() == "net.core.somaxconn = 4096\n"
        assert system.written == []  # the live value held

    def test_by_default_not_without_the_directory(self, provider, system, root):
        (root / "etc/sysctl.d").rmdir()
        assert plan(provider, [spec_of(value=4096)], system) == []

    def test_by_default_not_on_a_read_only_mount(self, provider, system):
        mount_read_only(system, "/etc")
        assert plan(provider, [spec_of(value=4096)], system) == []

    def test_true_is_a_must(self, provider, system):
        mount_read_only(system, "/etc")
        found = obstacle(provider, spec_of(value=4096, persist=True), system)
        assert found.reason == "/etc is mounted read-only"

    def test_a_line_alone_is_a_must(self, provider, system):
        mount_read_only(system, "/etc")
        found = obstacle(provider, spec_of(value=4096, live=False), system)
        assert found.reason == "/etc is mounted read-only"

    def test_true_makes_the_directory(self, provider, system, root, drop_in):
        (root / "etc/sysctl.d").rmdir()
        assert converge(provider, [spec_of(value=4096, persist=True)], system) == []
        assert drop_in.parent.stat().st_mode & 0o7777 == 0o755
        assert drop_in.stat().st_mode & 0o7777 == 0o644

    def test_but_not_a_whole_path(self, provider, system):
        spec = spec_of(value=4096, persist=True, file="/opt/a/b/c.conf")
        with pytest.raises(BatchError, match="declare it as a `directory` resource"):
            converge(provider, [spec], system)

    def test_false_leaves_the_file(self, provider, system, drop_in):
        assert converge(provider, [spec_of(value=1, persist=False)], system) == []
        assert not drop_in.exists()

    def test_not_live_leaves_the_kernel(self, provider, system, root, drop_in):
        assert converge(provider, [spec_of(value=1, live=False)], system) == []
        assert live(root, "net/core/somaxconn") == "4096\n"
        assert drop_in.read_text() == "net.core.somaxconn = 1\n"

    def test_other_lines_stay(self, provider, system, drop_in):
        theirs = "# why\n\n; old\nvm.swappiness=10\nnot a setting\nnet.ipv4.conf.*.rp_filter = 2\n"
        drop_in.write_text(theirs + "-net/core/somaxconn = 1\n# end\nnet.core.somaxconn = 2")
        assert converge(provider, [spec_of(value=3)], system) == []
        assert drop_in.read_text() == theirs + "net.core.somaxconn = 3\n# end\n"
        assert converge(provider, [spec_of(state="absent")], system) == []
        assert drop_in.read_text() == theirs + "# end\n"

    def test_bytes_that_are_no_utf8_stay(self, provider, system, drop_in):
        drop_in.write_bytes(b"# caf\xe9\n")
        assert converge(provider, [spec_of(value=3)], system) == []
        assert drop_in.read_bytes() == b"# caf\xe9\nnet.core.somaxconn = 3\n"

    def test_the_last_line_takes_the_file(self, provider, system, drop_in):
        converge(provider, [spec_of(value=3)], system)
        assert converge(provider, [spec_of(state="absent")], system) == []
        assert not drop_in.exists()

    def test_mode_and_owner_stay(self, provider, system, drop_in):
        drop_in.write_text("vm.swappiness=10\n")
        drop_in.chmod(0o640)
        converge(provider, [spec_of(value=3)], system)
        assert drop_in.stat().st_mode & 0o7777 == 0o640

    def test_one_rewrite_for_a_batch(self, provider, system, monkeypatch):
        writes, write = [], system.write

        def count(path, *rest, **options):
            writes.append(path)
            write(path, *rest, **options)

        monkeypatch.setattr(system, "write", count)
        specs = [
            spec_of(value=3),
            spec_of("kernel.sem", value="1 2 3 4"),
            spec_of("vm.swappiness", value=1),
        ]
        assert converge(provider, specs, system) == []
        assert writes == [DROP_IN]

    def test_a_symbolic_link_is_named(self, provider, system, root):
        (root / "etc/sysctl.conf").write_text("net.core.somaxconn = 1\n")
        (root / "etc/sysctl.d/99-sysctl.conf").symlink_to("../sysctl.conf")
        spec = spec_of(value=4096, file="/etc/sysctl.d/99-sysctl.conf", persist=True)
        assert "symbolic link" in obstacle(provider, spec, system).reason
        assert plan(provider, [spec.replace(persist=None)], system) == []

    def test_no_backup_no_change(self, provider, root, drop_in):
        drop_in.write_text("vm.swappiness=10\n")
        with pytest.raises(BatchError, match="no backup"):
            converge(provider, [spec_of(value=4096)], FakeSystem(root))
        assert drop_in.read_text() == "vm.swappiness=10\n"

    def test_in_sync_touches_nothing(self, provider, system, root, drop_in):
        drop_in.write_text("net.core.somaxconn = 0x1000\n")
        before = snapshot(str(root))
        assert converge(provider, [spec_of(value=4096)], system) == []
        assert snapshot(str(root)) == before
        assert system.written == []


class TestApply(SysctlFixtures):
    def test_one_write_with_a_newline(self, provider, system, root):
        spec = spec_of("net.ipv4.tcp_rmem", value="1\t2 0x3", persist=False)
        assert converge(provider, [spec], system) == []
        assert system.written == [("/proc/sys/net/ipv4/tcp_rmem", b"1 2 3\n")]
        assert live(root, "net/ipv4/tcp_rmem") == "1 2 3\n"

    def test_a_part_of_a_vector_is_refused(self, provider, system, root):
        spec = spec_of("kernel.sem", value="250 32000")
        with pytest.raises(
            BatchError, match=r"4 field\(s\) for kernel\.sem, now '32000 "
        ) as caught:
            converge(provider, [spec], system)
        assert "'250 32000' has 2" in str(caught.value)
        assert live(root, "kernel/sem") == LIVE["kernel/sem"]

    def test_words_have_no_fixed_number(self, provider, system, root):
        path = root / "proc/sys/kernel/core_pattern"
        path.write_text("core\n")
        spec = spec_of("kernel.core_pattern", value="|/bin/false %p 010", persist=False)
        assert converge(provider, [spec], system) == []
        assert path.read_text() == "|/bin/false %p 010\n"

    def test_what_the_kernel_refuses_is_not_persisted(self, provider, system, drop_in):
        system.refuses = {"/proc/sys/net/core/somaxconn": errno.EINVAL}
        specs = [spec_of(value=-1), spec_of("net.ipv4.ip_forward", value=1)]
        with pytest.raises(BatchError) as caught:
            converge(provider, specs, system)
        [(name, error)] = caught.value.errors.items()
        assert name == "net.core.somaxconn"
        assert isinstance(error, ApplyError)
        assert "refuses '-1': Invalid argument (the value is not one" in str(error)
        assert drop_in.read_text() == "net.ipv4.ip_forward = 1\n"

    @pytest.mark.parametrize(
        ("number", "family", "words"),
        [
            (errno.EROFS, CannotManageError, "Read-only file system"),
            (errno.EACCES, CannotManageError, "Permission denied"),
            (errno.EPERM, CannotManageError, "Operation not permitted"),
            (errno.ENOENT, ApplyError, "module loaded"),
            (errno.ERANGE, ApplyError, "out of its range"),
            (errno.EBUSY, ApplyError, "Device or resource busy"),
        ],
    )
    def test_errors_of_the_kernel(self, provider, system, number, family, words):
        system.refuses = {"/proc/sys/net/core/somaxconn": number}
        with pytest.raises(BatchError) as caught:
            converge(provider, [spec_of(value=1)], system)
        error = caught.value.errors["net.core.somaxconn"]
        assert type(error) is family
        assert words in str(error)

    def test_a_file_that_fails_fails_its_keys_alone(self, provider, system, monkeypatch):
        def write(path, *rest, **options):
            if path == DROP_IN:
                raise OSError(errno.EROFS, os.strerror(errno.EROFS), path)
            return Kernel.write(system, path, *rest, **options)

        monkeypatch.setattr(system, "write", write)
        specs = [spec_of(value=1), spec_of("vm.swappiness", value=1, file="/etc/sysctl.d/b.conf")]
        with pytest.raises(BatchError) as caught:
            converge(provider, specs, system)
        assert list(caught.value.errors) == ["net.core.somaxconn"]
        assert isinstance(caught.value.errors["net.core.somaxconn"], CannotManageError)

    def test_a_mounted_file_is_written_in_place(
        self, provider, root, tmp_path, drop_in, monkeypatch
    ):
        drop_in.write_text("# mine\n")
        (tmp_path / "state").mkdir()
        system = FakeSystem(
            root,
            backups=Backups(str(tmp_path / "state")),
            journal=Journal(str(tmp_path / "state/journal")),
        )
        monkeypatch.setattr(system, "is_mount_point", lambda path: path == DROP_IN)
        inode = drop_in.stat().st_ino
        assert converge(provider, [spec_of(value=1)], system) == []
        assert drop_in.read_text() == "# mine\nnet.core.somaxconn = 1\n"
        assert drop_in.stat().st_ino == inode
