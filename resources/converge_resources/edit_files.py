"""Files of which resources manage parts: read once, edited in order, written once.

An edit is a pure function from text to text. It sees lines that end in `\\n`, whatever the file's
own line breaks are, and never a byte order mark; bytes that are not UTF-8 pass through unharmed
(PEP 383). What it does not touch stays byte for byte.
"""

from __future__ import annotations

import codecs
import errno
import os
import stat

from converge import modes, probe, stopping
from converge.errors import ApplyError, BatchError, StoppedError
from converge.record import Record
from converge_resources import argvs, trees, validation
from converge_resources.owners import Owners

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from converge.provider import Change, S, T, Unmanageable
    from converge.system import ReadOnlySystem, System

    Edit = Callable[[S, str], str]

_NEW = 0o644  # what a symbolic mode is applied to when the file is new
_TRIES = 3  # for a file that somebody else changes meanwhile


class EditError(ApplyError):
    """The file is not what the edit needs: no text, no JSON, without the line that is meant."""


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


class Text(Record):
    """A file's text, with `\\n` between its lines, and how its bytes differ from that."""

    body: str = ""
    dos: bool = False  # every line ends in CR LF
    mark: bool = False  # it begins with a byte order mark


def decode(data: bytes) -> Text:
    """Return the text of a file's bytes. Raises EditError for what is no text."""
    if b"\0" in data:
        raise EditError("is not a text: it holds NUL bytes")
    mark = data.startswith(codecs.BOM_UTF8)
    body = data[len(codecs.BOM_UTF8) if mark else 0 :].decode(errors="surrogateescape")
    breaks = body.count("\n")
    dos = 0 < breaks == body.count("\r\n")
    return Text(body=body.replace("\r\n", "\n") if dos else body, dos=dos, mark=mark)


def encode(text: Text, body: str) -> bytes:
    """Return the bytes of another body of the same file."""
    data = (body.replace("\n", "\r\n") if text.dos else body).encode(errors="surrogateescape")
    return codecs.BOM_UTF8 + data if text.mark else data


class Texts:
    """One reading of each file, for one inspect. A link at a path is followed if it is trusted."""

    def __init__(self, system: ReadOnlySystem) -> None:
        self._system = system
        self._found: dict[str, Text | EditError | None] = {}

    def body(self, path: str) -> str | None:
        """Return a file's text; None: there is none. Raises OSError, EditError."""
        if path not in self._found:
            data = self._system.read(path, follow=True)
            try:
                self._found[path] = None if data is None else decode(data)
            except EditError as error:
                self._found[path] = error
        found = self._found[path]
        if isinstance(found, EditError):
            raise EditError(f"{path} {found.args[0]}", found.remedy)
        return None if found is None else found.body


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


def real_path(system: ReadOnlySystem, path: str) -> str:
    """Return what a path names when a trusted link there is followed. Raises OSError."""
    return path if system.readlink(path) is None else system.paths.resolve(path)


class _ChangedError(Exception):
    """Somebody else wrote to the file after it was read."""


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
        except Exception as error:  # noqa: BLE001  one bad file must not stop the others
            return {change.spec.name: error for change, _ in self._group} | self._errors

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
                if one is not None:
                    one(staged)
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
