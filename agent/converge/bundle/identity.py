"""What tells one container from another, the same at each start: for its slot and its roll-outs."""

from __future__ import annotations

import os


def identity(root: str = "/") -> str:
    """Return the machine id and the host name, else the container's id (of its cgroup or mounts).

    Both, since a machine id that was written when the image was built (dbus does that) is the same
    in every container of it.
    """
    machine = _line(os.path.join(root, "etc/machine-id"))
    host = os.uname().nodename
    if machine == "uninitialized":
        machine = ""
    if host in ("", "localhost", "(none)"):
        host = _container_id()
    return f"{machine} {host}".strip()


def _container_id() -> str:
    """Return the 64 hexadecimal digits that engines put into the paths of a container's mounts."""
    import re

    found = re.search(
        r"[0-9a-f]{64}",
        _line("/proc/self/cgroup", 4096) + _line("/proc/self/mountinfo", 1 << 20),
    )
    return found[0] if found else ""


def _line(path: str, most: int = 256) -> str:
    try:
        with open(path, encoding="utf-8", errors="surrogateescape") as file:
            return file.read(most).strip()
    except OSError:
        return ""
