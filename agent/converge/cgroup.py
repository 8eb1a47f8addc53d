"""The limits that the engine set on this container, from cgroup v2 or v1.

psutil, /proc/meminfo and os.cpu_count() tell of the host. A limit may be set at any level, so the
smallest on the way up is the one that counts (the kernel's admin-guide/cgroup-v2 and cgroup-v1).
Without a cgroup namespace /proc/self/cgroup names a path that the container does not see; its own
level is then what is mounted.
"""

from __future__ import annotations

import os

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

_UNLIMITED = 1 << 60  # v1 spells "no limit" as the largest page-aligned number


def memory_limit(root: str = "/") -> int | None:
    """Return the most bytes of memory that this container may use; None: no limit is known."""
    limits = []
    for folder in _levels(root, "memory"):
        for name in ("memory.max", "memory.limit_in_bytes"):
            text = _read(f"{folder}/{name}").strip()
            if text.isdigit() and int(text) < _UNLIMITED:
                limits.append(int(text))
    return min(limits, default=None)


def cpu_limit(root: str = "/") -> float | None:
    """Return how many CPUs' time this container may use (1.5 is one and a half); None: no limit."""
    limits = []
    for folder in _levels(root, "cpu"):
        quota, _, period = _read(f"{folder}/cpu.max").strip().partition(" ")
        if not quota:
            quota = _read(f"{folder}/cpu.cfs_quota_us").strip()
            period = _read(f"{folder}/cpu.cfs_period_us").strip()
        if quota.isdigit() and period.isdigit() and int(period):
            limits.append(round(int(quota) / int(period), 3))
    return min(limits, default=None)


def _levels(root: str, controller: str) -> Iterator[str]:
    """Yield the directories of our control groups that hold a controller's files, inside out."""
    base = os.path.join(root, "sys/fs/cgroup")
    for line in _read(os.path.join(root, "proc/self/cgroup")).splitlines():
        number, _, rest = line.partition(":")
        names, _, path = rest.partition(":")
        if number == "0" and not names:
            mount = base
        elif controller in names.split(","):
            mount = (
                f"{base}/{names}" if os.path.isdir(f"{base}/{names}") else f"{base}/{controller}"
            )
        else:
            continue
        parts = [part for part in path.split("/") if part not in ("", "..")]
        for count in range(len(parts), -1, -1):
            yield "/".join((mount, *parts[:count]))


def _read(path: str) -> str:
    try:
        with open(path, encoding="ascii", errors="replace") as file:
            return file.read()
    except OSError:
        return ""
