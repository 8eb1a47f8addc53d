"""What no resource may do: the agent does not kill its container, nor itself."""

from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING, Any

from converge import modes

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Mapping

_PATH_KINDS = ("file", "directory", "symlink")
SYSTEM_PATHS = (
    "/", "/bin", "/boot", "/dev", "/etc", "/home", "/lib", "/lib32", "/lib64", "/libx32", "/opt",
    "/proc", "/root", "/run", "/sbin", "/sys", "/tmp",  # noqa: S108 "/usr", "/usr/bin", "/usr/lib", "/usr/sbin",
    "/usr/share", "/var", "/var/lib", "/etc/passwd", "/etc/group", "/etc/shadow",
)  # fmt: skip
_PRIVATE = ("/root",)  # may be closed to others
_NEVER_OPEN_TO_ALL = 0o002


def own_paths(state: str | None) -> list[str]:
    """Return the paths that the agent lives in and by: its state, interpreter, code and settings."""
    here = os.path.dirname(os.path.abspath(__file__))
    found = {"/etc/converge", sys.prefix, sys.base_prefix, here, *([state] if state else [])}
    return sorted(path for path in found if path not in ("/", "/usr", "/usr/local"))


def problem(
    kind: str, state: str | None, name: str, spec: Mapping[str, Any], own: Collection[str]
) -> str | None:
    """Return why this resource would end the container or the agent; None: it would not."""
    if kind in _PATH_KINDS:
        return _path_problem(kind, state, name, spec, own)
    if kind == "user" and name == "root":
        if state == "absent":
            return "the user root is protected: a container cannot do without"
        if spec.get("uid") not in (None, 0):
            return "the user root is protected: its uid is 0"
    if (
        kind == "group"
        and name == "root"
        and (state == "absent" or spec.get("gid") not in (None, 0))
    ):
        return "the group root is protected: it stays, with gid 0"
    return None


def _path_problem(
    kind: str, state: str | None, name: str, spec: Mapping[str, Any], own: Collection[str]
) -> str | None:
    removes = state == "absent"
    if removes or kind != "directory":
        holds = sorted(path for path in own if _within(path, name))
        if holds:
            return f"{name} is protected: the agent needs {holds[0]}"
        if name in SYSTEM_PATHS and (removes or name not in _files()):
            return f"{name} is protected: a container cannot do without"
    if removes and any(_within(name, path) for path in own if path != "/etc/converge"):
        return f"{name} is protected: it belongs to the agent"
    if spec.get("purge") and (name in SYSTEM_PATHS or any(_within(path, name) for path in own)):
        return f"{name} is protected: purging it would remove what the container or the agent needs"
    return _mode_problem(name, spec.get("mode"))


def _mode_problem(name: str, mode: str | None) -> str | None:
    if mode is None or name not in SYSTEM_PATHS or name in _files():
        return None
    wanted = modes.apply(mode, 0o755, directory=True)
    if wanted & _NEVER_OPEN_TO_ALL and not wanted & 0o1000:
        return f"{name} is protected: with mode {mode} anyone could replace what is in it"
    if name not in _PRIVATE and wanted & 0o001 == 0:
        return f"{name} is protected: with mode {mode} other users could not work"
    return None


def _files() -> Iterable[str]:
    return ("/etc/passwd", "/etc/group", "/etc/shadow")


def _within(path: str, folder: str) -> bool:
    return path == folder or path.startswith(folder.rstrip("/") + "/")
