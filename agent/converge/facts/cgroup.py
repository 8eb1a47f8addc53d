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


def version(root: str = "/") -> int | None:
    """Return the version of the hierarchy that limits this container, 1 or 2; None: none is seen."""
    lines = _read(os.path.join(root, "proc/self/cgroup")).splitlines()
    if any(line.partition(":")[2].partition(":")[0].strip() for line in lines):
        return 1  # a controller is on a hierarchy of its own, or all are
    return 2 if lines else None


def memory_limit(root: str = "/") -> int | None:
    """Return the most bytes of memory that this container may use; None: no limit is known."""
    return _smallest(root, "memory", ("memory.max", "memory.limit_in_bytes"))


def swap_limit(root: str = "/") -> int | None:
    """Return the most bytes of swap that this container may use; None: no limit is known.

    v1 limits memory and swap together, v2 swap alone.
    """
    swap = _smallest(root, "memory", ("memory.swap.max",))
    memory, both = (
        _smallest(root, "memory", (name,))
        for name in ("memory.limit_in_bytes", "memory.memsw.limit_in_bytes")
    )
    return max(both - memory, 0) if both is not None and memory is not None else swap


def process_limit(root: str = "/") -> int | None:
    """Return the most processes and threads of this container; None: no limit is known."""
    return _smallest(root, "pids", ("pids.max",))


def _smallest(root: str, controller: str, names: tuple[str, ...]) -> int | None:
    """Return the smallest limit of all levels; the files have one of these names."""
    limits = []
    for folder in _levels(root, controller):
        for name in names:
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
