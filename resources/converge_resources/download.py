"""The kind `download`: a regular file whose content a web server gives."""

from __future__ import annotations

import os
import stat
from contextlib import contextmanager

from converge.provider import Change, Provider, State, Unmanageable, each, reading
from converge_resources.file import FileSpec, FileState
from converge_resources.paths import file_write, remote, trees, validation
from converge_resources.paths.owners import Owners
from converge_resources.paths.remote import RemoteSpec

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence
    from typing import Annotated, Literal

    from converge.fields import AbsolutePath, Doc, Mode, Owner
    from converge.system import ReadOnlySystem, System

_FILE = ("mode", "owner", "group", "force")  # what a download and a file declare alike


class DownloadSpec(RemoteSpec):
    """A regular file with the content that a URL gives."""

    name: Annotated[AbsolutePath, Doc("Path of the file.")]
    state: Annotated[Literal["present", "absent"], Doc("Whether it exists.")] = "present"
    mode: Annotated[Mode | None, Doc('Octal ("0644") or symbolic ("u=rw,go=r"); quoted.')] = None
    owner: Annotated[Owner | None, Doc("User name or id.")] = None
    group: Annotated[Owner | None, Doc("Group name or id.")] = None
    # Record.replace() stays reachable as copy.replace() reaches it
    replace: Annotated[bool, Doc("False: leave the content of a file that exists.")] = True  # type: ignore[assignment]
    validate: Annotated[
        str | Sequence[str] | None,
        Doc(
            "Program that must accept the new file first: absolute path, no shell; `%` is the file."
        ),
    ] = None
    backup: Annotated[bool, Doc("Keep the old content before it is replaced or removed.")] = True
    force: Annotated[bool, Doc("Replace a directory, link or special file in the way.")] = False

    def problems(self) -> Iterable[tuple[str, str]]:
        """Say what does not go together."""
        if self.name == "/":
            yield "name", "`/` is a directory"
        if self.state == "present" and self.url is None:
            yield "url", "a download needs a `url`"
        yield from super().problems()
        if self.validate is not None:
            yield from (("validate", text) for text in validation.problems(self.validate))


class DownloadState(State):
    """What is at the path. Of another `type` than `file` nothing but the type is told."""

    type: str
    digest: str | None = None
    version: str | None = None  # `current`, or `outdated` where the server has another content
    mode: str | None = None
    owner: str | None = None
    group: str | None = None
    deletes: int | None = None  # how many entries go if it is removed; never managed


class DownloadProvider(Provider[DownloadSpec, DownloadState]):
    """Fetches files, and writes them as the kind `file` does."""

    kind = "download"
    spec = DownloadSpec

    def desired(self, spec: DownloadSpec) -> DownloadState | None:
        """Return the file that is declared: by its digest, else as current."""
        if spec.state == "absent":
            return None
        return DownloadState(
            type="file",
            digest=spec.digest,
            version="current" if spec.digest is None else None,
            mode=spec.mode,
            owner=spec.owner,
            group=spec.group,
        )

    def inspect(
        self, specs: Sequence[DownloadSpec], system: ReadOnlySystem
    ) -> Mapping[str, DownloadState | Unmanageable]:
        """Read each file; a server is asked only of one that is there and has no digest declared."""
        owners = Owners(system)
        return reading(specs, lambda spec: _read(spec, system, owners))

    def apply(self, changes: Sequence[Change[DownloadSpec, DownloadState]], system: System) -> None:
        """Fetch and write, adjust or remove each file."""
        owners = Owners(system)
        each(
            changes,
            lambda change: file_write.apply(
                _as_file(change), system, owners, lambda: _fetched(change.spec, system)
            ),
        )

    def obstacles(
        self, changes: Sequence[Change[DownloadSpec, DownloadState]], system: ReadOnlySystem
    ) -> Mapping[str, Unmanageable]:
        """Say which files this container does not let us touch."""
        owners = Owners(system)
        return trees.probing(
            changes, lambda change: file_write.obstacle(_as_file(change), system, owners)
        )

    def depends(self, spec: DownloadSpec) -> Iterable[str]:
        """A file goes after its directories, owner and group, and what its request reads."""
        yield from trees.needs_before(spec.name, spec.owner, spec.group)
        yield from (f"file:{path}" for path in spec.files())
        yield "package:ca-certificates"

    def claims(self, spec: DownloadSpec) -> Iterable[str]:
        """A path has one owner, whatever its kind; so has the whole of its content."""
        yield f"path:{spec.name}"
        if spec.replace and spec.state == "present":
            yield f"content:{spec.name}"

    def deletions(self, change: Change[DownloadSpec, DownloadState]) -> int:
        """Count what is removed: the file, or all of a directory in its way."""
        return trees.deletions(change, "file")


def _read(
    spec: DownloadSpec, system: ReadOnlySystem, owners: Owners
) -> DownloadState | Unmanageable | None:
    found = system.lstat(spec.name)
    if found is None:
        return None
    if not stat.S_ISREG(found.st_mode):
        deletes = trees.count(system, spec.name, found) if spec.force else None
        return DownloadState(type=trees.describe(found), deletes=deletes)
    digest, version = spec.digest, "current"
    if spec.state == "present" and spec.replace:
        have = system.digest(spec.name) or ""
        digest = f"sha256:{have}"
        current = spec.digest is not None or remote.is_current("download", spec, system, have)
        if isinstance(current, Unmanageable):
            return current
        version = "current" if current else "outdated"
    return DownloadState(
        type="file",
        digest=digest,
        version=version,
        mode=trees.spelled_mode(spec.mode, found.st_mode),
        owner=owners.spelled("user", spec.owner, found.st_uid),
        group=owners.spelled("group", spec.group, found.st_gid),
    )


@contextmanager
def _fetched(spec: DownloadSpec, system: System) -> Iterator[int]:
    """Lend a descriptor of what the URL gives. Raises ApplyError."""
    fd = system.scratch(os.path.dirname(spec.name))
    try:
        answer = remote.fetch_into(spec, system, fd)
        if spec.digest is None:
            remote.remember("download", spec, system, answer)
        yield fd
    finally:
        os.close(fd)


def _as_file(change: Change[DownloadSpec, DownloadState]) -> Change[FileSpec, FileState]:
    """Return the same change as one of the kind `file`, with the version as its digest."""
    spec = change.spec
    file = FileSpec(
        name=spec.name,
        state=spec.state,
        source=spec.url,
        validate=spec.validate,
        backup=spec.backup,
        **{name: getattr(spec, name) for name in _FILE},
    )
    fields = tuple(
        field.replace(field="digest") if field.field == "version" else field
        for field in change.fields
    )
    return Change(
        id=change.id,
        spec=file,
        before=_file_state(change.before),
        after=_file_state(change.after),
        fields=fields,
    )


def _file_state(state: DownloadState | None) -> FileState | None:
    if state is None:
        return None
    names = ("type", "digest", "mode", "owner", "group", "deletes")
    return FileState(**{name: getattr(state, name) for name in names})
