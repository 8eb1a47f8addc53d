"""The kind `sysctl`: what a container does not allow, and what would."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from converge.testing import FakeSystem, converge
from converge_resources.sysctls.obstacles import in_first_namespace
from providers.fake_sysctl import (
    NET_ADMIN,
    SysctlFixtures,
    mount_read_only,
    obstacle,
    spec_of,
)


class TestObstacles(SysctlFixtures):
    def own(self, root: Path, namespace: str, inode: int) -> None:
        folder = root / "proc/self/ns"
        folder.mkdir(parents=True, exist_ok=True)
        (folder / namespace).symlink_to(f"{namespace}:[{inode}]")

    def test_none_for_what_can_be_set(self, provider, system):
        assert obstacle(provider, spec_of(value=1), system) is None

    def test_read_only_and_namespaced(self, provider, system):
        mount_read_only(system)
        found = obstacle(provider, spec_of(value=1), system)
        assert found.reason == "/proc/sys is mounted read-only"
        assert "--sysctl net.core.somaxconn=1, or set it in the pod's secur" in found.remedy
        found = obstacle(provider, spec_of("net.ipv4.tcp_rmem", value="1 2 3"), system)
        assert '--sysctl net.ipv4.tcp_rmem="1 2 3"' in found.remedy

    def test_read_only_but_holding(self, provider, system, drop_in):
        mount_read_only(system)
        assert obstacle(provider, spec_of(value=4096), system) is None
        assert converge(provider, [spec_of(value=4096)], system) == []
        assert drop_in.exists()

    def test_read_only_and_differing_is_all_unmanageable(self, provider, system):
        mount_read_only(system)
        assert obstacle(provider, spec_of(value=1, persist=True), system) is not None

    def test_read_only_host_name(self, provider, system):
        mount_read_only(system)
        found = obstacle(provider, spec_of("kernel.hostname", value="web2"), system)
        assert "--hostname" in found.remedy

    def test_read_only_and_host_wide(self, provider, system):
        mount_read_only(system)
        found = obstacle(provider, spec_of("vm.swappiness", value=1), system)
        assert found.remedy == "host-wide: set it on the host (node)"

    def test_read_only_in_the_hosts_network(self, provider, system, root):
        mount_read_only(system)
        (root / "proc/sys/net/core/netdev_max_backlog").write_text("1000\n")
        found = obstacle(provider, spec_of(value=1), system)
        assert found.remedy == "host-wide: set it on the host (node)"

    def test_host_wide_is_refused_though_it_could_be_written(self, provider, system):
        spec = spec_of("vm.swappiness", value=1)
        found = obstacle(provider, spec, system)
        assert found.reason.startswith("not namespaced: would change the host")
        assert "`host_wide: true`" in found.remedy
        assert obstacle(provider, spec.replace(host_wide=True), system) is None

    def test_a_key_unknown_to_the_table_is_host_wide(self, provider, system, root):
        (root / "proc/sys/new").mkdir()
        (root / "proc/sys/new/key").write_text("1")
        assert (
            "would change the host"
            in obstacle(provider, spec_of("new.key", value=2), system).reason
        )

    def test_namespaced_in_the_hosts_namespace(self, provider, system, root):
        self.own(root, "ipc", 0xEFFFFFFF)
        spec = spec_of("kernel.sem", value="1 2 3 4")
        found = obstacle(provider, spec, system)
        assert found.reason == "would change the host, whose ipc namespace this container shares"
        assert obstacle(provider, spec.replace(host_wide=True), system) is None

    def test_network_of_the_host_by_its_key(self, provider, system, root):
        (root / "proc/sys/net/core/netdev_max_backlog").write_text("1000\n")
        found = obstacle(provider, spec_of(value=1), system)
        assert "whose network namespace this container shares" in found.reason

    @pytest.mark.parametrize(
        ("namespace", "first"),
        [
            ("net", 4026531833),
            ("ipc", 4026531839),
            ("uts", 4026531838),
            ("user", 4026531837),
            ("pid", 4026531836),
        ],
    )
    def test_first_namespaces(self, system, root, namespace, first):
        assert not in_first_namespace(system, namespace)  # not to be seen: taken as our own
        self.own(root, namespace, first)
        assert in_first_namespace(system, namespace)
        (root / "proc/self/ns" / namespace).unlink()
        self.own(root, namespace, 4026532181)
        assert not in_first_namespace(system, namespace)

    def test_missing(self, provider, system):
        found = obstacle(provider, spec_of("net.core.nothing", value=1), system)
        assert found.reason == "this kernel, or this network namespace, does not have it"
        found = obstacle(provider, spec_of("fs.nothing", value=1), system)
        assert found.reason == "this kernel does not have it"
        found = obstacle(provider, spec_of("net.core.netdev_max_backlog", value=1), system)
        assert "only there in the host's network namespace" in found.reason

    def test_no_kernel_below_the_root_prefix(self, provider, tmp_path):
        (tmp_path / "etc/sysctl.d").mkdir(parents=True)
        system = FakeSystem(tmp_path)
        assert "no /proc/sys below --root" in obstacle(provider, spec_of(value=1), system).reason
        assert converge(provider, [spec_of(value=1, live=False)], system) == []

    def test_read_only_by_mode(self, provider, system, root):
        path = root / "proc/sys/net/core/rmem_max"
        path.write_text("212992\n")
        path.chmod(0o444)
        found = obstacle(provider, spec_of("net.core.rmem_max", value=1), system)
        assert "only be written in the host's network namespace" in found.reason
        path = root / "proc/sys/kernel/ostype"
        path.write_text("Linux\n")
        path.chmod(0o444)
        found = obstacle(provider, spec_of("kernel.ostype", value="BSD"), system)
        assert found.reason == "the kernel lets nobody write it"

    def test_capability(self, provider, system):
        spec = spec_of("net.ipv4.ip_forward", value=1)
        assert obstacle(provider, spec, system) is None
        system.capabilities &= ~NET_ADMIN
        found = obstacle(provider, spec, system)
        assert found.reason == "writing it needs CAP_NET_ADMIN"
        assert found.remedy.startswith("run with --cap-add NET_ADMIN, or start the container with")
        assert obstacle(provider, spec_of(value=1), system) is None

    @pytest.mark.parametrize(
        ("uid", "reason", "remedy"),
        [
            (
                1000,
                "uid 1000 may not write it",
                "run as root, or start the container with --sysctl",
            ),
            (0, "root may not write it in this container", "start the container with --sysctl"),
        ],
    )
    def test_permission(self, provider, system, monkeypatch, uid, reason, remedy):
        monkeypatch.setattr(os, "geteuid", lambda: uid)
        monkeypatch.setattr("converge.probe.may_write", lambda system, path: "sys/net" not in path)
        found = obstacle(provider, spec_of(value=1, persist=False), system)
        assert found.reason == reason
        assert found.remedy.startswith(remedy)

    def test_absent_asks_about_the_file_alone(self, provider, system, drop_in):
        drop_in.write_text("vm.swappiness = 1\n")
        assert obstacle(provider, spec_of("vm.swappiness", state="absent"), system) is None
        mount_read_only(system, "/etc")
        found = obstacle(provider, spec_of("vm.swappiness", state="absent"), system)
        assert found.reason == "/etc is mounted read-only"
