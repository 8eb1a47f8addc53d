"""The limits of a container, from trees as cgroup v1 and v2 show them."""

from __future__ import annotations

import pytest

from converge.facts import cgroup

V1_UNLIMITED = "9223372036854771712\n"


@pytest.fixture
def machine(tmp_path):
    def machine(groups, **files):
        (tmp_path / "proc/self").mkdir(parents=True)
        (tmp_path / "proc/self/cgroup").write_text(groups)
        for name, text in files.items():
            path = tmp_path / "sys/fs/cgroup" / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text)
        return str(tmp_path)

    return machine


def test_no_cgroups_at_all(tmp_path):
    assert cgroup.memory_limit(str(tmp_path)) is None
    assert cgroup.cpu_limit(str(tmp_path)) is None


def test_v2(machine):
    root = machine("0::/\n", **{"memory.max": "67108864\n", "cpu.max": "150000 100000\n"})
    assert cgroup.memory_limit(root) == 64 << 20
    assert cgroup.cpu_limit(root) == 1.5


def test_v2_without_limit(machine):
    root = machine("0::/\n", **{"memory.max": "max\n", "cpu.max": "max 100000\n"})
    assert cgroup.memory_limit(root) is None
    assert cgroup.cpu_limit(root) is None


def test_v2_the_smallest_level_counts(machine):
    root = machine(
        "0::/pod/app\n",
        **{
            "pod/memory.max": "1000\n",
            "pod/app/memory.max": "max\n",
            "pod/cpu.max": "max 100000\n",
            "pod/app/cpu.max": "50000 100000\n",
        },
    )
    assert cgroup.memory_limit(root) == 1000
    assert cgroup.cpu_limit(root) == 0.5


def test_v1(machine):
    root = machine(
        "4:memory:/\n1:cpu,cpuacct:/\n0::/\n",
        **{
            "memory/memory.limit_in_bytes": "33554432\n",
            "cpu,cpuacct/cpu.cfs_quota_us": "200000\n",
            "cpu,cpuacct/cpu.cfs_period_us": "100000\n",
        },
    )
    assert cgroup.memory_limit(root) == 32 << 20
    assert cgroup.cpu_limit(root) == 2.0


def test_v1_without_a_cgroup_namespace(machine):
    """The path is the host's; what is mounted is the container's own level."""
    root = machine(
        "4:memory:/docker/0123\n1:cpu,cpuacct:/docker/0123\n",
        **{
            "memory/memory.limit_in_bytes": "33554432\n",
            "cpu/cpu.cfs_quota_us": "25000\n",  # a link for one of the names that are joined
            "cpu/cpu.cfs_period_us": "100000\n",
        },
    )
    assert cgroup.memory_limit(root) == 32 << 20
    assert cgroup.cpu_limit(root) == 0.25


def test_v1_without_limit(machine):
    root = machine(
        "4:memory:/\n1:cpu:/\n",
        **{
            "memory/memory.limit_in_bytes": V1_UNLIMITED,
            "cpu/cpu.cfs_quota_us": "-1\n",
            "cpu/cpu.cfs_period_us": "100000\n",
        },
    )
    assert cgroup.memory_limit(root) is None
    assert cgroup.cpu_limit(root) is None


@pytest.mark.parametrize("groups", ["", "garbage\n", "::\n", "4:memory\n", "4:memory:../../..\n"])
def test_strange_files_are_no_error(machine, groups):
    root = machine(groups, **{"memory/memory.limit_in_bytes": "\x00\n", "cpu.max": "1 0\n"})
    assert cgroup.memory_limit(root) is None
    assert cgroup.cpu_limit(root) is None


def test_processes_and_swap_v2(machine):
    root = machine(
        "0::/app\n",
        **{"app/pids.max": "100\n", "pids.max": "max\n", "memory.swap.max": "4096\n"},
    )
    assert cgroup.process_limit(root) == 100
    assert cgroup.swap_limit(root) == 4096
    assert cgroup.version(root) == 2


def test_processes_and_swap_v1(machine):
    """v1 limits memory and swap together."""
    root = machine(
        "5:pids:/\n4:memory:/\n0::/\n",
        **{
            "pids/pids.max": "50\n",
            "memory/memory.limit_in_bytes": "1000\n",
            "memory/memory.memsw.limit_in_bytes": "1500\n",
        },
    )
    assert cgroup.process_limit(root) == 50
    assert cgroup.swap_limit(root) == 500
    assert cgroup.version(root) == 1


def test_without_cgroups_nothing_is_known(tmp_path):
    assert cgroup.process_limit(str(tmp_path)) is None
    assert cgroup.swap_limit(str(tmp_path)) is None
    assert cgroup.version(str(tmp_path)) is None
