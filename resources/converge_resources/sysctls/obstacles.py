"""Why a sysctl that differs cannot be set in this container, found without writing."""

from __future__ import annotations

import os

from converge import mounts, probe
from converge.provider import Unmanageable
from converge_resources.sysctls.keys import path_of
from converge_resources.sysctls.table import (
    FIRST_NAMESPACES,
    FIRST_NETWORK_KEY,
    HOST,
    capability_for,
    namespace_of,
)

TYPE_CHECKING = False
if TYPE_CHECKING:
    from converge.read_only import ReadOnlySystem

_WORDS = {"net": "network", "uts": "host-name (UTS)"}
_ON_HOST = "host-wide: set it on the host (node)"


def in_first_namespace(system: ReadOnlySystem, namespace: str) -> bool:
    """Tell whether the agent is in the host's own namespace of this type.

    By the inode number of /proc/self/ns/TYPE; for the network also by a key that only the first
    network namespace has, as its inode number says nothing before Linux 6.18.
    """
    if namespace == "net" and system.lstat(path_of(FIRST_NETWORK_KEY)) is not None:
        return True
    for process in ("self", str(os.getpid())):  # rootless, /proc/self is not a link to be trusted
        try:
            link = system.readlink(f"/proc/{process}/ns/{namespace}")
        except OSError:
            continue
        return link == f"{namespace}:[{FIRST_NAMESPACES[namespace]}]"
    return False


def live_obstacle(
    system: ReadOnlySystem, key: str, value: str, *, host_wide: bool
) -> Unmanageable | None:
    """Say why the live value of a canonical key may not be set; None: it may."""
    path, namespace = path_of(key), namespace_of(key)
    found = system.lstat(path)
    if found is None:
        return _missing(system, key, namespace)
    shared = namespace != HOST and in_first_namespace(system, namespace)
    remedy = _ON_HOST if shared or namespace == HOST else _at_start(key, value, namespace)
    mount = mounts.covering(system.mounts(), path)
    if mount is not None and mount.read_only:
        return Unmanageable(reason=f"{mount.path} is mounted read-only", remedy=remedy)
    if not found.st_mode & 0o222:
        return _read_only(key, namespace)
    if (shared or namespace == HOST) and not host_wide:
        return _would_change_host(namespace)
    return _forbidden(system, key, remedy)


def file_obstacle(system: ReadOnlySystem, file: str) -> Unmanageable | None:
    """Say why the drop-in file may not be written; None: it may."""
    if system.readlink(file) is not None:
        return Unmanageable(
            reason=f"{file} is a symbolic link", remedy="name what it points to in `file`"
        )
    return probe.writable(system, file)


def _missing(system: ReadOnlySystem, key: str, namespace: str) -> Unmanageable:
    if system.prefixed and system.lstat("/proc/sys") is None:
        return Unmanageable(
            reason=f"there is no /proc/sys below --root {system.root}",
            remedy="`live: false` manages the persisted line alone",
        )
    if not key.startswith("net."):
        return Unmanageable(
            reason="this kernel does not have it",
            remedy="load its module on the host, or set `ignore_missing: true`",
        )
    if namespace == HOST:
        return Unmanageable(
            reason="it is only there in the host's network namespace", remedy=_ON_HOST
        )
    return Unmanageable(
        reason="this kernel, or this network namespace, does not have it",
        remedy="check the interface's name, load the module on the host, or set "
        "`ignore_missing: true`",
    )


def _read_only(key: str, namespace: str) -> Unmanageable:
    if key.startswith("net.") and namespace == HOST:
        return Unmanageable(
            reason="it can only be written in the host's network namespace", remedy=_ON_HOST
        )
    return Unmanageable(reason="the kernel lets nobody write it")


def _would_change_host(namespace: str) -> Unmanageable:
    if namespace == HOST:
        reason = "not namespaced: would change the host, and with it every container there"
    else:
        word = _WORDS.get(namespace, namespace)
        reason = f"would change the host, whose {word} namespace this container shares"
    return Unmanageable(
        reason=reason,
        remedy="set it on the host (node), or, if that is meant, `host_wide: true` here",
    )


def _at_start(key: str, value: str, namespace: str) -> str:
    """Name the flag that sets a key of the container's own when it is started."""
    if namespace == "uts":
        option = "--hostname" if key == "kernel.hostname" else "--domainname (docker)"
        return f"start the container with {option}"
    if namespace in ("net", "ipc"):
        setting = f'{key}="{value}"' if " " in value else f"{key}={value}"
        return (
            f"start the container with --sysctl {setting}, or set it in the pod's "
            "securityContext.sysctls"
        )
    return (
        "start the container with --security-opt unmask=/proc/sys (docker: systempaths=unconfined)"
    )


def _forbidden(system: ReadOnlySystem, key: str, remedy: str) -> Unmanageable | None:
    needed = capability_for(key)
    if needed and not system.capable(needed[1]):
        return Unmanageable(
            reason=f"writing it needs {needed[0]}",
            remedy=f"run with --cap-add {needed[0].removeprefix('CAP_')}, or {remedy}",
        )
    if not probe.may_write(system, path_of(key)):
        if system.uid == 0:  # of a user namespace that does not own the key's namespace
            return Unmanageable(reason="root may not write it in this container", remedy=remedy)
        return Unmanageable(
            reason=f"uid {system.uid} may not write it", remedy=f"run as root, or {remedy}"
        )
    return None
