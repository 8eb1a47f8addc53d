"""Many cheap containers on one machine, without an engine: namespaces and an overlay root each.

Each has a mount, PID, UTS and IPC namespace and a host name of its own, above one shared read-only root.
They share the host's network (so servers are on loopback), have no cgroup, and root keeps its
capabilities: for scale, not for safety. Needs root; the files lie on a tmpfs that is thrown away.
"""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import time
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

_START = """
b=$1 name=$2 lower=$3; shift 3
mount -t overlay -o "lowerdir=$lower,upperdir=$b/up,workdir=$b/work" sandbox "$b/root"
cd "$b/root"; mount -t proc proc proc; mount -t tmpfs -o mode=755 dev dev
for d in null zero full random urandom; do : >dev/$d; mount --bind /dev/$d dev/$d; done
mkdir -p dev/shm; mount -t tmpfs -o mode=1777 shm dev/shm; ln -s /proc/self/fd dev/fd
hostname "$name"; echo "$name" >etc/hostname
exec env -i HOME=/root PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin chroot . "$@"
"""


def export(engine: str, image: str, folder: Path) -> Path:
    """Unpack an image of podman's or docker's into a folder, once; return the root."""
    root = folder / "root"
    if not (root / "etc").exists():
        root.mkdir(parents=True, exist_ok=True)
        made = subprocess.check_output([engine, "create", image], text=True).strip()
        with subprocess.Popen([engine, "export", made], stdout=subprocess.PIPE) as tar:
            subprocess.run(["tar", "-xf", "-", "-C", str(root)], stdin=tar.stdout, check=True)
        subprocess.run([engine, "rm", made], check=True, stdout=subprocess.DEVNULL)
    return root


class Sandboxes:
    """Sandboxes above `root`, numbered from 0; `up(i)` is what one has changed, seen from outside."""

    def __init__(self, root: Path, folder: Path) -> None:
        self.root = root
        self.folder = folder
        self.processes: list[subprocess.Popen[bytes]] = []
        folder.mkdir(parents=True, exist_ok=True)
        subprocess.run(["mount", "-t", "tmpfs", "-o", "mode=755", "bench", str(folder)], check=True)

    def up(self, number: int) -> Path:
        """Return the upper directory of a sandbox's overlay."""
        return self.folder / str(number) / "up"

    def start(self, argv: list[str]) -> None:
        """Start one more, with a command that stays."""
        number = len(self.processes)
        place = self.folder / str(number)
        for name in ("up", "work", "root"):
            (place / name).mkdir(parents=True)
        with open(place / "log", "wb") as log:
            self.processes.append(
                subprocess.Popen(
                    ["unshare", "--mount", "--pid", "--uts", "--ipc", "--fork", "--kill-child",
                     "--propagation", "private", "sh", "-c", _START, "sh", str(place),
                     f"web-{number:03d}", str(self.root), *argv],
                    stdin=subprocess.DEVNULL, stdout=log, stderr=log,
                )
            )  # fmt: skip

    def pids(self) -> list[int]:
        """Return every process in the sandboxes, but for `unshare` itself."""
        return [pid for process in self.processes for pid in _below(process.pid)]

    def stop(self) -> None:
        """End them all and throw their files away."""
        for process in self.processes:
            process.send_signal(signal.SIGKILL)  # --kill-child takes the rest along
        for process in self.processes:
            process.wait()
        for _ in range(50):
            if (
                subprocess.run(["umount", str(self.folder)], stderr=subprocess.DEVNULL).returncode
                == 0
            ):
                break
            time.sleep(0.1)
        else:
            subprocess.run(["umount", "-l", str(self.folder)], check=True)
        shutil.rmtree(self.folder)


def _below(pid: int) -> list[int]:
    try:
        with open(f"/proc/{pid}/task/{pid}/children", encoding="ascii") as file:
            children = [int(word) for word in file.read().split()]
    except OSError:
        return []
    return [one for child in children for one in (child, *_below(child))]


def memory(pids: list[int]) -> dict[str, float]:
    """Return the sums of PSS and of private memory of these processes, in MB, and how many there are."""
    total = {"processes": 0.0, "pss": 0.0, "private": 0.0}
    for pid in pids:
        try:
            with open(f"/proc/{pid}/smaps_rollup", encoding="ascii") as file:
                lines = [line.split() for line in file if line[0] in "P"]
        except OSError:
            continue
        sizes = {words[0].rstrip(":"): int(words[1]) for words in lines}
        if not sizes:
            continue
        total["processes"] += 1
        total["pss"] += sizes["Pss"] / 1024
        total["private"] += (sizes["Private_Clean"] + sizes["Private_Dirty"]) / 1024
    return total


if os.geteuid() != 0:
    raise SystemExit("namespaces and overlay mounts: run it as root")
