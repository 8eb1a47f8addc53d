"""Changing a regular file: written anew, adjusted or removed, and what may stand against it."""

from __future__ import annotations

import os
from contextlib import nullcontext

from converge import probe
from converge.errors import BatchError
from converge.files import atomic, modes
from converge.files.together import Together
from converge.provider import each
from converge_resources.paths import disclosure, sources, trees, validation

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from contextlib import AbstractContextManager

    from converge.provider import Change, Unmanageable
    from converge.system import ReadOnlySystem, System
    from converge_resources.file import FileSpec, FileState
    from converge_resources.paths.owners import Owners

_SECRET = 0o600  # of a new file with a secret in it that declares no mode
_NEW = 0o644  # what a symbolic mode is applied to when the file is new


def apply_all(
    changes: Sequence[Change[FileSpec, FileState]], system: System, owners: Owners
) -> None:
    """As `apply`, each; what is written is made durable together. Raises BatchError."""
    together = Together(system)

    def act(change: Change[FileSpec, FileState]) -> None:
        together.owner = change.spec.name
        apply(change, system, owners, together=together)

    errors: dict[str, Exception] = {}
    try:
        each(changes, act)
    except BatchError as error:
        errors = error.errors
    together.finish()
    errors |= together.errors
    if errors:
        raise BatchError(errors)


def apply(
    change: Change[FileSpec, FileState],
    system: System,
    owners: Owners,
    lend: Callable[[], AbstractContextManager[int | None]] | None = None,
    together: Together | None = None,
) -> None:
    """Write, adjust or remove one file. Raises OSError, ApplyError.

    `lend` lends a descriptor of the content in place of what the spec says of it. What is written is
    handed to `together`, but for what something of another type has to make room for.
    """
    spec, before = change.spec, change.before
    wrong = before.type if before is not None and before.type != "file" else None
    if change.after is None:
        if wrong:
            trees.check_force(spec.name, wrong, force=spec.force)
        trees.remove_any(system, spec.name, keep=spec.backup)
        return
    if wrong or _written(change):
        together = None if wrong else together
        _write(spec, system, owners, wrong, lend or (lambda: _source(spec)), together)
    else:
        uid, gid = owners.ids(spec.owner, spec.group)
        trees.set_attributes(system, spec.name, spec.mode, uid, gid)


def _write(
    spec: FileSpec,
    system: System,
    owners: Owners,
    wrong: str | None,
    lend: Callable[[], AbstractContextManager[int | None]],
    together: Together | None,
) -> None:
    """Write the whole file; what is of a wrong type goes only when the new file has been accepted."""
    if wrong:
        trees.check_force(spec.name, wrong, force=spec.force)
    uid, gid = owners.ids(spec.owner, spec.group)
    trees.require_parent(system, spec.name)
    validate = validation.validator(system, spec.validate)
    with lend() as fd:
        content = (disclosure.content(spec) or b"") if fd is None else None
        if wrong:
            _rehearse(system, spec.name, content, fd, validate)
            trees.remove_any(system, spec.name, keep=spec.backup)
        system.write(
            spec.name, content, source_fd=fd, uid=uid, gid=gid, mode=_mode(spec, system, uid, gid),
            validate=validate, backup=spec.backup, together=together,
        )  # fmt: skip


def _rehearse(
    system: System,
    path: str,
    content: bytes | None,
    source_fd: int | None,
    validate: Callable[[str], None] | None,
) -> None:
    """Write and validate the new file beside the path, so that a refusal leaves what is there."""
    beside = f"{os.path.dirname(path).rstrip('/')}/{atomic.temporary_name()}"
    system.write(
        beside, content, source_fd=source_fd, mode=0o600, validate=validate, backup=False
    )  # fmt: skip
    system.remove(beside, backup=False)


def _source(spec: FileSpec) -> AbstractContextManager[int | None]:
    if spec.source is None:
        return nullcontext()
    return sources.opened(spec.source, spec.digest or "")


def _mode(spec: FileSpec, system: System, uid: int | None, gid: int | None) -> int | None:
    found = system.lstat(spec.name)
    if found is not None:
        return trees.wanted_mode(spec.mode, found, uid, gid)
    if spec.mode is None:
        return _SECRET if disclosure.has_secrets(spec) else None
    return modes.apply(spec.mode, _NEW)


def obstacle(
    change: Change[FileSpec, FileState], system: ReadOnlySystem, owners: Owners
) -> Unmanageable | None:
    """Say why this container does not let one file be changed; None: it does."""
    path, before = change.spec.name, change.before
    if change.after is None:
        return trees.obstacle_of_type(system, path)
    uid, gid = owners.known(change.spec.owner, change.spec.group)
    if before is not None and before.type == "file":
        if system.is_mount_point(path) or not _written(change):
            return _obstacle_in_place(change, system, uid, gid)
        found = system.lstat(path)
        if found is not None:  # a new file is given to the owner of the old one
            uid = found.st_uid if uid is None else uid
            gid = found.st_gid if gid is None else gid
        why = probe.writable(system, path)
    else:
        why = trees.obstacle_of_type(system, path)
    return why or probe.attributes(system, path, owner=uid, group=gid, mode=True, new=True)


def _obstacle_in_place(
    change: Change[FileSpec, FileState], system: ReadOnlySystem, uid: int | None, gid: int | None
) -> Unmanageable | None:
    """As above where the file itself stays: only its attributes, or a mount point's content too."""
    path, written = change.spec.name, _written(change)
    first = probe.writable if written else probe.read_only_mount
    return first(system, path) or probe.attributes(
        system, path, owner=uid, group=gid, mode=change.wants("mode")
    )


def _written(change: Change[FileSpec, FileState]) -> bool:
    """Tell whether the file is written anew, as more than its attributes differ."""
    return any(change.wants(field) for field in ("type", "content", "digest"))
