"""A fake /proc/sys tree, plain files below a scratch root, for the tests of the kind `sysctl`."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest

from converge import kinds
from converge.files.backup import Backups
from converge.mounts import Mount
from converge.provider import Spec
from converge.testing import FakeSystem, make_spec, plan

DROP_IN = "/etc/sysctl.d/60-converge.conf"
LIVE = {
    "net/core/somaxconn": "4096\n",
    "net/ipv4/tcp_rmem": "4096\t131072\t6291456\n",
    "net/ipv4/ip_forward": "0\n",
    "net/ipv4/conf/eth0.100/forwarding": "0\n",
    "kernel/sem": "32000\t1024000000\t500\t32000\n",
    "kernel/hostname": "web1\n",
    "vm/swappiness": "60\n",
}
NET_ADMIN = 1 << 12


class Kernel(FakeSystem):
    """A fake system whose kernel refuses some keys, by error number."""

    def __init__(self, *rest: Any, **options: Any) -> None:
        super().__init__(*rest, **options)
        self.refuses: dict[str, int] = {}
        self.written: list[tuple[str, bytes]] = []

    def write_kernel(self, path: str, content: bytes) -> None:
        number = self.refuses.get(path)
        if number:
            raise OSError(number, os.strerror(number), path)
        self.written.append((path, content))
        super().write_kernel(path, content)


class SysctlFixtures:
    """The fixtures; test classes inherit them."""

    @pytest.fixture
    def provider(self):
        return kinds.load("sysctl")

    @pytest.fixture
    def root(self, tmp_path):
        root = tmp_path / "root"
        (root / "etc/sysctl.d").mkdir(parents=True)
        for name, value in LIVE.items():
            path = root / "proc/sys" / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(value)
        return root

    @pytest.fixture
    def system(self, root, tmp_path):
        (tmp_path / "state").mkdir()
        return Kernel(root, backups=Backups(str(tmp_path / "state")))

    @pytest.fixture
    def drop_in(self, root):
        return root / DROP_IN[1:]


def spec_of(name: str = "net.core.somaxconn", **declared: Any) -> Any:
    return make_spec("sysctl", name=name, **declared)


def live(root: Path, name: str) -> str:
    return (root / "proc/sys" / name).read_text()


def obstacle(provider: Any, spec: Spec, system: FakeSystem) -> Any:
    return provider.obstacles(plan(provider, [spec], system), system.read_only()).get(spec.name)


def mount_read_only(system: Any, path: str = "/proc/sys") -> None:
    """Let a path look like a read-only mount, to the system and to its read-only view."""
    mount = Mount(path=path, type="ext4", source="/dev/sda", read_only=True)
    system.paths.forget()
    system.mounts = lambda: {path: mount}
    view = system.read_only()
    view.mounts = system.mounts
    system.read_only = lambda: view
