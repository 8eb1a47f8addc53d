"""What no resource may do: the agent does not kill its container, nor itself.

This looks at what is declared, not at the machine, so that a profile is refused before anything is
read or touched. What is meant is the accident (a variable that is empty, a path with a space too
many), not malice: a profile's author commands root.
"""

from __future__ import annotations

import os
import re
import sys
from typing import TYPE_CHECKING, Any

from converge.files import modes
from converge.state import private

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping

_PATH_KINDS = ("file", "directory", "symlink", "download")
_CORE = frozenset((
    "/", "/bin", "/boot", "/dev", "/etc", "/lib", "/lib32", "/lib64", "/libx32", "/proc", "/run",
    "/sbin", "/sys", "/usr", "/usr/bin", "/usr/lib", "/usr/lib32", "/usr/lib64", "/usr/libexec",
    "/usr/sbin", "/usr/share", "/var", "/var/lib", "/var/lib/dpkg", "/var/lib/rpm", "/lib/apk",
    "/lib/apk/db", "/usr/lib/sysimage", "/usr/lib/sysimage/rpm",
))  # fmt: skip
_PLACES = frozenset(("/home", "/opt", "/root", "/tmp"))  # noqa: S108  others may own what is there
_FILES = frozenset(("/etc/passwd", "/etc/group", "/etc/shadow"))
_PROGRAMS = ("/usr/bin", "/usr/sbin", "/usr/lib", "/usr/lib32", "/usr/lib64", "/usr/share")
_CLOSED = frozenset(("/root", "/boot"))  # may be closed to others
_SETTINGS = "/etc/converge"
_SHARED = frozenset(("/", "/usr", "/usr/local", "/opt", _SETTINGS))  # not the agent's alone
_OTHER_NAME = re.compile(r"/proc/[^/]+(/task/[^/]+)?/(root|cwd|fd|map_files)(/|$)")
_PACKAGES = frozenset((
    "apk-tools", "apt", "base-files", "base-passwd", "converge", "dnf", "dpkg", "filesystem",
    "glibc", "libc-bin", "libc6", "musl", "rpm", "setup", "tini",
))  # fmt: skip
_PYTHON = re.compile(r"(lib)?python3(\.\d+)?(-minimal|-stdlib|-libs)?")


def own_paths(state: str | None) -> list[str]:
    """Return the paths that the agent lives in and by: its state, interpreter, code and settings."""
    import converge
    import converge_resources

    found = [
        _SETTINGS,
        sys.prefix,
        sys.base_prefix,
        sys.executable,
        os.path.dirname(os.__file__),
        os.path.dirname(converge.__file__),
        os.path.dirname(converge_resources.__file__),
        state or "",
    ]
    both = {path for given in found if given for path in (given, os.path.realpath(given))}
    return sorted(both - {"/"})


def problem(
    kind: str, state: str | None, name: str, spec: Mapping[str, Any], own: Collection[str]
) -> str | None:
    """Return why this resource would end the container or the agent; None: it would not.

    `spec` holds the declared attributes, `own` is what `own_paths` returns.
    """
    removed = state in ("absent", "purged")
    if kind in _PATH_KINDS:
        return _path_problem(kind, removed, "/" + os.path.normpath(name).lstrip("/"), spec, own)
    if kind == "mount":
        return None if state == "present" else _mount_problem(name, own)
    if kind == "tidy":
        return _tidy_problem("/" + os.path.normpath(name).lstrip("/"), spec, own)
    if spec.get("path") is not None:
        return _edit_problem("/" + os.path.normpath(spec["path"]).lstrip("/"), own)
    if kind in ("user", "group") and name == "root":
        number = "uid" if kind == "user" else "gid"
        if removed or spec.get(number) not in (None, 0):
            return f"the {kind} root is protected: it stays, with {number} 0"
    if kind == "package" and removed:
        return _package_problem(name.partition(":")[0], own)
    return None


def _mount_problem(name: str, own: Collection[str]) -> str | None:
    """Return why nothing may be mounted, or unmounted, at a path; None: it may."""
    if _OTHER_NAME.match(name):
        return f"{name} is protected: it is another name of some path; use that"
    if name in _CORE:
        return f"{name} is protected: a container cannot do without what is there"
    for path in own:
        if _within(path, name) or (path not in _SHARED and _within(name, path)):
            return f"{name} is protected: the agent needs {path}"
    return None


def _edit_problem(path: str, own: Collection[str]) -> str | None:
    """Return why no part of a file may be edited; None: it may."""
    if _OTHER_NAME.match(path):
        return f"{path} is protected: it is another name of some path; use that"
    if any(_within(path, one) for one in own if one not in _SHARED):
        return f"{path} is protected: it belongs to the agent"
    return None


def _path_problem(
    kind: str, removed: bool, name: str, spec: Mapping[str, Any], own: Collection[str]
) -> str | None:
    trouble = _edit_problem(name, own)
    if trouble:
        return trouble
    if removed and _within(name, "/proc", "/sys"):
        return f"{name} is protected: nothing is removed there"
    needed = min((path for path in own if _within(path, name)), default=None)
    another_type = kind == "symlink" or (kind == "directory") == (name in _FILES)
    if removed or another_type:
        if needed:
            return f"{name} is protected: the agent needs {needed}"
        if name in _CORE | _PLACES | _FILES:
            return f"{name} is protected: a container cannot do without"
    if kind == "directory":
        return _directory_problem(name, spec, needed)
    if name in _FILES and _opens(spec.get("mode"), 0o644):
        return f"{name} is protected: with mode {spec['mode']} anyone could become root"
    return None


def _tidy_problem(name: str, spec: Mapping[str, Any], own: Collection[str]) -> str | None:
    """Return why a directory may not be tidied; its own fallbacks in /tmp and the like it spares."""
    trouble = _edit_problem(name, own)
    if trouble:
        return trouble
    if name in _CORE | _FILES or _within(name, "/proc", "/sys", "/dev", *_PROGRAMS):
        return f"{name} is protected: what is old there is needed all the same"
    spared = [f"{folder}/converge-{os.geteuid()}" for folder in private.FALLBACKS]
    needed = [p for p in own if _within(p, name) and not _within(p, *spared) and p != "/"]
    if needed and spec.get("recurse"):
        return f"{name} is protected: the agent needs {needed[0]}"
    return None


def _directory_problem(name: str, spec: Mapping[str, Any], needed: str | None) -> str | None:
    if spec.get("purge") and (needed or name in _CORE | _PLACES):
        return f"{name} is protected: `purge` would remove what the container or the agent needs"
    if spec.get("recurse") and (needed or name in _CORE):
        return f"{name} is protected: `recurse` would change what the container or the agent needs"
    if name in _CORE and spec.get("owner") not in (None, "root", "0", 0):
        return f"{name} is protected: it belongs to root, or nothing in it can be trusted"
    if not needed and name not in _CORE | _PLACES:
        return None
    mode = spec.get("mode")
    if _opens(mode, 0o755):
        return f"{name} is protected: with mode {mode} anyone could replace what is in it"
    reached = name in _CORE | _PLACES and name not in _CLOSED
    if mode and reached and not modes.apply(mode, 0o755, directory=True) & 0o001:
        return f"{name} is protected: with mode {mode} other users could not reach what is in it"
    return None


def _opens(mode: str | None, before: int) -> bool:
    """Tell whether a mode lets everyone write, without the sticky bit."""
    after = modes.apply(mode, before, directory=True) if mode else 0
    return after & 0o1002 == 0o002


def _package_problem(name: str, own: Collection[str]) -> str | None:
    python = any(path.startswith(("/usr/lib/python", "/usr/lib64/python")) for path in own)
    if name in _PACKAGES or (python and _PYTHON.fullmatch(name)):
        return f"the package {name} is protected: the container or the agent cannot do without"
    return None


def _within(path: str, *folders: str) -> bool:
    return any(path == top or path.startswith(top.rstrip("/") + "/") for top in folders)
