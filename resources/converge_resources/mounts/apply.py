"""Mounting and unmounting by mount(8) and umount(8), and what may stand against it."""

from __future__ import annotations

import os

from converge import probe
from converge.errors import ApplyError, BatchError, CannotManageError
from converge.programs.process import Context
from converge.provider import Unmanageable
from converge_resources.mounts import fstab
from converge_resources.mounts import options as mount_options
from converge_resources.parts import edit_files
from converge_resources.parts.edit_files import Target

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

    from converge.provider import Change
    from converge.system import ReadOnlySystem, System
    from converge_resources.mount import MountSpec, MountState

_REFUSED = ("permission denied", "must be superuser", "not permitted")


def obstacle(change: Change[MountSpec, MountState], system: ReadOnlySystem) -> Unmanageable | None:
    """Say why a change cannot be made in this container; None: it can."""
    spec = change.spec
    if _mounts(change) and not system.capable(probe.CAP_SYS_ADMIN):
        what = "unmounting" if change.after is None else "mounting"
        return Unmanageable(reason=f"{what} needs CAP_SYS_ADMIN", remedy=_remedy(spec))
    if _writes(change):
        return edit_files.obstacle(Target(path=fstab.PATH, create=True), system)
    return None


def _remedy(spec: MountSpec) -> str:
    """Name the engine's flag that does the same at the container's start."""
    options = ",".join(spec.options)
    if spec.state not in ("mounted", "present"):
        flag = "without that mount"
    elif spec.type == "tmpfs":
        flag = f"with --tmpfs {spec.name}{':' + options if options else ''}"
    elif mount_options.binds(spec.type or "", spec.options):
        kept = [option for option in spec.options if option not in ("bind", "rbind")]
        more = f":{','.join(kept)}" if kept else ""
        flag = f"with --volume SOURCE:{spec.name}{more}"
    else:
        flag = f"with --volume NAME:{spec.name}"
    return f"start the container {flag}, or with --cap-add SYS_ADMIN"


def _mounts(change: Change[MountSpec, MountState]) -> bool:
    """Tell whether something is to be mounted, mounted anew or unmounted."""
    if change.after is None:
        return change.before is not None and change.before.type is not None
    return any(change.wants(field) for field in ("source", "type", "options"))


def _writes(change: Change[MountSpec, MountState]) -> bool:
    if change.after is None:
        return change.spec.state == "absent" and bool(change.before and change.before.fstab)
    return change.wants("fstab")


def apply(change: Change[MountSpec, MountState], system: System) -> None:
    """Make one change. Raises OSError, ApplyError, CannotManageError."""
    if _writes(change):
        _write(change, system)
    if not _mounts(change):
        return
    spec, before = change.spec, change.before
    there = before is not None and before.type is not None
    same = not change.wants("source") and not change.wants("type")
    if there and change.after is not None and same:
        _remount(spec, system)
        return
    if there:
        _unmount(spec.name, system)
    if change.after is not None:
        _mount(spec, system)


def _write(change: Change[MountSpec, MountState], system: System) -> None:
    line = change.after.fstab if change.after else None
    try:
        edit_files.apply(
            [change], system, lambda _: Target(path=fstab.PATH, create=True, mode="0644"),
            lambda spec, text: fstab.edit(text, spec.name, line),
        )  # fmt: skip
    except BatchError as error:
        raise error.errors[change.spec.name] from error


def _mount(spec: MountSpec, system: System) -> None:
    """Mount it; the other options of a bind are set when it is there."""
    bind = mount_options.binds(spec.type or "", spec.options)
    if not bind:
        with _Pinned(spec.name, system) as point:
            _run("mount", [*_words(spec.type or "", spec.options), spec.what(), point], system)
        return
    deep = "rbind" in (spec.type, *spec.options)
    with _Pinned(spec.what(), system) as source, _Pinned(spec.name, system) as point:
        _run("mount", [*_words("none", ["rbind" if deep else "bind"]), source, point], system)
    if _kept(spec):
        _remount(spec, system)


def _remount(spec: MountSpec, system: System) -> None:
    bind = mount_options.binds(spec.type or "", spec.options)
    words = ["remount", *(["bind"] if bind else []), *_kept(spec)]
    with _Pinned(spec.name, system) as point:
        kind = "none" if bind else spec.type or ""
        _run("mount", [*_words(kind, words), spec.what(), point], system)


def _unmount(path: str, system: System) -> None:
    """Unmount it by its name in its directory, which is held: nobody can move that meanwhile."""
    folder, _, name = path.rpartition("/")
    _run("umount", ["-c", "--", f"./{name}"], system, folder or "/")


def _kept(spec: MountSpec) -> list[str]:
    return [option for option in spec.options if option not in ("bind", "rbind")]


def _words(kind: str, options: Sequence[str]) -> list[str]:
    chosen = ["-o", ",".join(options)] if options else []
    return ["-c", "-t", kind, *chosen, "--"]


class _Pinned:
    """A path as mount(8) may have it: of a descriptor, so that nobody can move it meanwhile."""

    def __init__(self, path: str, system: System) -> None:
        self._path, self._system, self._fd = path, system, -1

    def __enter__(self) -> str:
        path = self._path
        if self._system.lstat(path) is None:
            raise ApplyError(f"there is no {path}", f"declare `directory: {path}`")
        folder_fd, name = self._system.paths.parent(self._system.paths.resolve(path))
        self._fd = os.open(name, os.O_PATH | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=folder_fd)
        return f"/proc/{os.getpid()}/fd/{self._fd}"

    def __exit__(self, *_: object) -> None:
        os.close(self._fd)


def _run(program: str, argv: Sequence[str], system: System, folder: str = "/") -> None:
    path = system.which(program)
    if path is None:
        raise CannotManageError(f"there is no program {program}", "install mount (util-linux)")
    done = system.run([path, *argv], context=Context(folder=folder))
    if done.code != 0 and any(word in done.err.lower() for word in _REFUSED):
        words = done.err.strip()
        raise CannotManageError(words, "is a security module (AppArmor, seccomp) in the way?")
    done.check()
