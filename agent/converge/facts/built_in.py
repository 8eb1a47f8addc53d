"""How each fact that the agent brings itself is found, by name: FACTS.

Files (os-release, hosts, mounts) are read below the root prefix; what only the kernel knows is the
running machine's. Only what stays the same while the container runs untouched belongs here, as the
catalog is compiled again when a fact that it used has changed: no time, no load, no free memory.
"""

from __future__ import annotations

import os
import sys

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from typing import Any

    from converge.read_only import ReadOnlySystem

_DEBIAN = {  # dpkg-architecture(1): the kernel's name → Debian's, for 64-bit and 32-bit programs
    "x86_64": ("amd64", "i386"),
    "aarch64": ("arm64", "armhf"),
    "armv7l": ("armhf", "armhf"),
    "armv6l": ("armel", "armel"),
    "i686": ("i386", "i386"),
    "ppc64le": ("ppc64el", "ppc64el"),
    "loongarch64": ("loong64", "loong64"),
}
_EVERY_ID = "4294967295"  # the length of the map where every id is mapped
# capabilities(7), in the order of their numbers
_CAPABILITIES = """
CHOWN DAC_OVERRIDE DAC_READ_SEARCH FOWNER FSETID KILL SETGID SETUID SETPCAP LINUX_IMMUTABLE
NET_BIND_SERVICE NET_BROADCAST NET_ADMIN NET_RAW IPC_LOCK IPC_OWNER SYS_MODULE SYS_RAWIO SYS_CHROOT
SYS_PTRACE SYS_PACCT SYS_ADMIN SYS_BOOT SYS_NICE SYS_RESOURCE SYS_TIME SYS_TTY_CONFIG MKNOD LEASE
AUDIT_WRITE AUDIT_CONTROL SETFCAP MAC_OVERRIDE MAC_ADMIN SYSLOG WAKE_ALARM BLOCK_SUSPEND AUDIT_READ
PERFMON BPF CHECKPOINT_RESTORE
""".split()  # noqa: SIM905  one line for each of forty would be harder to check


def os_release(text: str) -> dict[str, str]:
    """Return the assignments of an os-release file (os-release(5)): shell quoting, no expansion."""
    found = {}
    for line in text.splitlines():
        name, equals, value = line.strip().partition("=")
        if not equals or name.startswith("#"):
            continue
        if value[:1] in ('"', "'") and value[-1:] == value[:1]:
            quote, value = value[0], value[1:-1]
            if quote == '"':
                value = _unescaped(value)
        found[name] = value
    return found


def _unescaped(text: str) -> str:
    plain, escaped = "", False
    for letter in text:
        if letter == "\\" and not escaped:
            escaped = True
            continue
        plain += ("\\" if escaped and letter not in '"$`\\' else "") + letter
        escaped = False
    return plain


def _os(system: ReadOnlySystem, _: Mapping[str, str]) -> dict[str, Any]:
    text = system.text("/etc/os-release") or system.text("/usr/lib/os-release")
    found = os_release(text)
    return {
        "id": found.get("ID", "linux"),
        "like": found.get("ID_LIKE", "").split(),
        "version": found.get("VERSION_ID", ""),
        "codename": found.get("VERSION_CODENAME", ""),
        "name": found.get("NAME", "Linux"),
    }


def _fqdn(system: ReadOnlySystem, _: Mapping[str, str]) -> str:
    """Return the first name of our line in /etc/hosts (hosts(5)); DNS is not asked, it may hang."""
    host = os.uname().nodename
    for line in system.text("/etc/hosts").splitlines():
        names = line.partition("#")[0].split()[1:]
        if host in names and names[0].startswith(f"{host}."):
            return names[0]
    return host


def _kernel(_: ReadOnlySystem, __: Mapping[str, str]) -> dict[str, str]:
    found = os.uname()
    return {"name": found.sysname, "release": found.release, "version": found.version}


def _debian_architecture(_: ReadOnlySystem, __: Mapping[str, str]) -> str:
    machine = os.uname().machine
    return _DEBIAN.get(machine, (machine, machine))[sys.maxsize < 1 << 32]


def _agent(_: ReadOnlySystem, __: Mapping[str, str]) -> dict[str, Any]:
    from converge import __version__

    uid = os.geteuid()
    return {
        "version": __version__,
        "python": ".".join(map(str, sys.version_info[:3])),
        "uid": uid,
        "gid": os.getegid(),
        "user": _user(uid),
    }


def _user(uid: int) -> str | None:
    import pwd

    try:
        return pwd.getpwuid(uid).pw_name
    except KeyError:
        return None  # an arbitrary user id has no line in /etc/passwd


def capabilities(mask: int) -> list[str]:
    """Return the names of the capabilities in a mask such as CapEff of /proc/PID/status."""
    names = dict(enumerate(_CAPABILITIES))
    return [f"CAP_{names.get(bit, bit)}" for bit in range(mask.bit_length()) if mask >> bit & 1]


def _capabilities(_: ReadOnlySystem, __: Mapping[str, str]) -> list[str]:
    for line in _lines("/proc/self/status"):
        if line.startswith("CapEff:"):
            return capabilities(int(line.split()[1], 16))
    return []


def _memory(_: ReadOnlySystem, __: Mapping[str, str]) -> dict[str, int | None]:
    from converge.facts import cgroup

    sizes = dict(line.split(":") for line in _lines("/proc/meminfo") if ":" in line)
    total, swap = (_kibibytes(sizes.get(name)) for name in ("MemTotal", "SwapTotal"))
    return {
        "total": total,
        "limit": _smallest(cgroup.memory_limit(), total),
        "swap_limit": _smallest(cgroup.swap_limit(), swap),
    }


def _kibibytes(text: str | None) -> int | None:
    return int(text.split()[0]) * 1024 if text else None


def _smallest(*numbers: Any) -> Any:
    return min((number for number in numbers if number is not None), default=None)


def _cpus(_: ReadOnlySystem, __: Mapping[str, str]) -> dict[str, float | None]:
    from converge.facts import cgroup

    count = len(os.sched_getaffinity(0))
    return {"count": count, "limit": _smallest(cgroup.cpu_limit(), float(count))}


def _processes(_: ReadOnlySystem, __: Mapping[str, str]) -> dict[str, int | None]:
    from converge.facts import cgroup

    (most,) = _lines("/proc/sys/kernel/pid_max")[:1] or [""]
    return {"limit": _smallest(cgroup.process_limit(), int(most) if most.isdigit() else None)}


def _cgroup(_: ReadOnlySystem, __: Mapping[str, str]) -> dict[str, int | None]:
    from converge.facts import cgroup

    return {"version": cgroup.version()}


def _network(_: ReadOnlySystem, __: Mapping[str, str]) -> dict[str, Any]:
    from converge.facts.network import network

    return network()


def _container(system: ReadOnlySystem, environment: Mapping[str, str]) -> dict[str, Any]:
    """Return marks that engines leave, for profiles only: the agent itself probes, never guesses."""
    paths = ("/run/.containerenv", "/.dockerenv", "/run/host/container-manager", "/dev/lxd/sock")
    hints: dict[str, Any] = {path: system.lstat(path) is not None for path in paths}
    for name in ("container", "KUBERNETES_SERVICE_HOST"):
        hints[name] = environment.get(name)
    root = system.mounts().get("/")
    return {
        "hints": hints,
        "pid_1": "".join(_lines("/proc/1/comm")[:1]) or None,
        "read_only_root": bool(root and root.read_only),
        "user_namespace": not any(
            line.split()[2:] == [_EVERY_ID] for line in _lines("/proc/self/uid_map")
        ),
    }


def _lines(path: str) -> list[str]:
    try:
        with open(path, encoding="utf-8", errors="replace") as file:
            return file.read().splitlines()
    except OSError:
        return []


FACTS: dict[str, Callable[[ReadOnlySystem, Mapping[str, str]], Any]] = {
    "hostname": lambda _, __: os.uname().nodename,
    "fqdn": _fqdn,
    "os": _os,
    "kernel": _kernel,
    "architecture": lambda _, __: os.uname().machine,
    "debian_architecture": _debian_architecture,
    "agent": _agent,
    "capabilities": _capabilities,
    "memory": _memory,
    "cpus": _cpus,
    "processes": _processes,
    "cgroup": _cgroup,
    "network": _network,
    "mounts": lambda system, _: [
        mount.as_dict() | {"options": list(mount.options)} for mount in system.mounts().values()
    ],
    "container": _container,
}
