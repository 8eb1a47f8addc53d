"""Files of which resources manage parts: read once, edited in order, written once.

An edit is a pure function from text to text (converge_resources.parts.texts says what it sees).
"""

from __future__ import annotations

import errno
import os
import stat

from converge import probe, stopping
from converge.errors import ApplyError, BatchError, StoppedError
from converge.files import modes
from converge.record import Record
from converge_resources.parts.texts import EditError, Text, decode, encode, real_path
from converge_resources.paths import trees, validation
from converge_resources.paths.owners import Owners
from converge_resources.programs import argvs

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from converge.provider import Change, S, T, Unmanageable
    from converge.system import ReadOnlySystem, System

    Edit = Callable[[S, str], str]

_NEW = 0o644  # what a symbolic mode is applied to when the file is new
_TRIES = 3  # for a file that somebody else changes meanwhile


class Target(Record):
    """The file that a resource manages a part of, and how it may be written.

    `mode`, `owner` and `group` are those of a file that is created; one that exists keeps its own.
    """

    path: str
    create: bool = False
    mode: str | None = None
    owner: str | None = None
    group: str | None = None
    validate: str | Sequence[str] | None = None
    backup: bool = True


def apply(
    changes: Sequence[Change[S, T]],
    system: System,
    target: Callable[[S], Target],
    edit: Edit[S],
) -> None:
    """Make all these edits, each file written once. Raises BatchError for those that failed."""
    errors: dict[str, Exception] = {}
    files: dict[str, list[Change[S, T]]] = {}
    for change in changes:
        path = target(change.spec).path
        try:
            files.setdefault(real_path(system, path), []).append(change)
        except OSError as error:
            errors[change.spec.name] = error
    for path, group in files.items():
        errors |= _File(path, system, [(c, target(c.spec)) for c in group], edit).apply()
    if errors:
        raise BatchError(errors)


class _ChangedError(Exception):
    """Somebody else wrote to the file after it was read."""


class _RefusedError(Exception):
    """A program that must accept the new content has not."""

    def __init__(self, error: ApplyError) -> None:
        super().__init__(str(error))
        self.error = error


class _File:
    """The edits of one file."""

    def __init__(
        self,
        path: str,
        system: System,
        group: list[tuple[Change[S, T], Target]],
        edit: Edit[S],
    ) -> None:
        self._path, self._system, self._group, self._edit = path, system, group, edit
        self._errors: dict[str, Exception] = {}

    def apply(self) -> dict[str, Exception]:
        """Edit and write; return what went wrong, by name."""
        try:
            if stopping.requested():
                raise StoppedError("the run was asked to stop")
            for _ in range(_TRIES):
                try:
                    self._attempt()
                    return self._errors
                except _ChangedError:
                    continue
            raise ApplyError(f"{self._path}: someone else keeps changing it")
        except _RefusedError as refused:
            return self._one_by_one(refused.error)
        except Exception as error:  # noqa: BLE001  one bad file must not stop the others
            return {change.spec.name: error for change, _ in self._group} | self._errors

    def _one_by_one(self, error: Exception) -> dict[str, Exception]:
        """Make each edit by itself, as long as some are accepted; return what went wrong, by name."""
        left = self._group
        if len(left) == 1:
            return {left[0][0].spec.name: error}
        while True:
            errors: dict[str, Exception] = {}
            for one in left:
                errors |= _File(self._path, self._system, [one], self._edit).apply()
            if len(errors) in (0, len(left)):
                return errors
            left = [one for one in left if one[0].spec.name in errors]

    def _attempt(self) -> None:
        self._errors = {}
        data = self._system.read(self._path)
        makers = [target for _, target in self._group if target.create]
        if data is None and not makers:
            raise ApplyError(
                f"there is no {self._path}", "set `create: true`, or declare what brings it"
            )
        text = self._decode(data or b"")
        content = encode(text, self._edited(text.body))
        if content != data and len(self._errors) < len(self._group):
            self._write(data, content, makers[0] if data is None else None)

    def _decode(self, data: bytes) -> Text:
        try:
            return decode(data)
        except EditError as error:
            raise EditError(f"{self._path} {error.args[0]}", error.remedy) from error

    def _edited(self, body: str) -> str:
        for change, _ in self._group:
            try:
                body = self._edit(change.spec, body)
            except Exception as error:  # noqa: BLE001  one bad edit must not stop its neighbours
                self._errors[change.spec.name] = error
        return body

    def _write(self, old: bytes | None, content: bytes, maker: Target | None) -> None:
        uid = gid = mode = None
        if maker is not None:
            trees.require_parent(self._system, self._path)
            uid, gid = Owners(self._system).ids(maker.owner, maker.group)
            mode = None if maker.mode is None else modes.apply(maker.mode, _NEW)
        self._system.write(
            self._path, content, uid=uid, gid=gid, mode=mode, validate=self._validator(old),
            backup=any(target.backup for _, target in self._group),
        )  # fmt: skip

    def _validator(self, old: bytes | None) -> Callable[[str], None]:
        declared = {
            tuple(argvs.words(target.validate)): target.validate
            for change, target in self._group
            if target.validate is not None and change.spec.name not in self._errors
        }
        checks = [validation.validator(self._system, one) for one in declared.values()]

        def check(staged: str) -> None:
            for one in checks:
                try:
                    if one is not None:
                        one(staged)
                except ApplyError as error:
                    raise _RefusedError(error) from error
            if self._system.read(self._path) != old:  # or what they wrote would be lost
                raise _ChangedError

        return check


def obstacle(target: Target, system: ReadOnlySystem) -> Unmanageable | None:
    """Say why this container does not let the file be edited; None: it does. Raises OSError."""
    path = real_path(system, target.path)
    found = system.lstat(path)
    if found is None:
        uid, gid = Owners(system).known(target.owner, target.group)
        return probe.writable(system, path) or probe.attributes(
            system, path, owner=uid, group=gid, mode=target.mode is not None, new=True
        )
    if not stat.S_ISREG(found.st_mode):
        raise OSError(errno.EINVAL, os.strerror(errno.EINVAL), path)
    if system.is_mount_point(path):
        return probe.writable(system, path)
    return probe.writable(system, path) or probe.attributes(
        system, path, owner=found.st_uid, group=found.st_gid, mode=True, new=True
    )
