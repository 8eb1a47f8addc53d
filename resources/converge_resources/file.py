"""The kind `file`: a regular file, its content, owner and mode."""

from __future__ import annotations

import stat

from converge.provider import Change, Provider, Spec, State, Unmanageable, reading
from converge_resources.paths import disclosure, trees
from converge_resources.paths.owners import Owners

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence
    from typing import Annotated, ClassVar, Literal

    from converge.declared import Asked, Declared
    from converge.fields import AbsolutePath, Doc, Line, Matching, Mode, Owner, Secret
    from converge.system import ReadOnlySystem, System

_MOST_LOADED = 1 << 20  # bytes; a larger file that differs in size is not read to show how


class FileSpec(Spec):
    """A regular file. Without `content`, `template` or `source` its content is left (empty if new)."""

    whole_secrets: ClassVar[frozenset[str]] = frozenset({"content"})
    rendered: ClassVar[tuple[str, str] | None] = ("template", "content")

    name: Annotated[AbsolutePath, Doc("Path of the file.")]
    state: Annotated[Literal["present", "absent"], Doc("Whether it exists.")] = "present"
    content: Annotated[Secret | None, Doc("The whole content, as text.")] = None
    secrets: Annotated[
        dict[Annotated[str, Matching(r"[A-Za-z_][A-Za-z0-9_]*", "the name of a secret")], Secret],
        Doc("Secrets by name; `{{ secrets.NAME }}` puts one into the content."),
    ] = {}  # noqa: RUF012  a spec is frozen
    template: Annotated[
        Line | None, Doc("Path of a template below the profile's folder that gives the content.")
    ] = None
    source: Annotated[
        Line | None, Doc("Path of a file below the profile's folder that holds the content.")
    ] = None
    digest: Annotated[
        Annotated[str, Matching(r"[0-9a-f]{64}", "a SHA-256 in lower-case hex")] | None,
        Doc("SHA-256 that the `source` must have."),
    ] = None
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
    show_diff: Annotated[
        bool | None, Doc("Show the content in diffs; unset: not where it looks like a secret.")
    ] = None
    force: Annotated[bool, Doc("Replace a directory, link or special file in the way.")] = False

    def problems(self) -> Iterable[tuple[str, str]]:
        """Say what does not go together."""
        if self.name == "/":
            yield "name", "`/` is a directory"
        if self.content is not None and self.source is not None:
            yield "source", "`content` and `source` exclude each other"
        if self.digest is not None and self.source is None:
            yield "digest", "a `digest` goes with a `source`"
        if type(self.content) is str and not _encodable(self.content):
            yield "content", "the content is not valid Unicode; use `source` for other bytes"
        if self.secrets:
            yield from _secrets_problems(self)
        if self.validate is not None:
            from converge_resources.paths import validation

            yield from (("validate", text) for text in validation.problems(self.validate))
        if self.state == "absent" and (self.content is not None or self.source is not None):
            yield "state", "a file that is to be absent has no content"


class FileState(State):
    """What is at the path. Of another `type` than `file` nothing but the type is told."""

    text = frozenset({"content"})

    type: str
    content: bytes | None = None
    digest: str | None = None
    mode: str | None = None
    owner: str | None = None
    group: str | None = None
    private: bool | None = None  # only its owner may read it; never managed, decides what is shown
    deletes: int | None = None  # how many entries go if it is removed; never managed


class FileProvider(Provider[FileSpec, FileState]):
    """Reads and writes regular files."""

    kind = "file"
    spec = FileSpec

    def desired(self, spec: FileSpec) -> FileState | None:
        """Return the file that is declared."""
        if spec.state == "absent":
            return None
        return FileState(
            type="file",
            content=disclosure.content(spec),
            digest=None if spec.source is None else spec.digest or "",
            mode=spec.mode,
            owner=spec.owner,
            group=spec.group,
        )

    def resolve(self, spec: FileSpec, read: Callable[[str], tuple[str, bytes]]) -> FileSpec:
        """Take in the source: as `content` if it is a small text, else by real path and digest.

        `read` maps a path below the profile's folder to (real path, content). Raises ConvergeError,
        also where the declared digest is another one.
        """
        if spec.source is None:
            return spec
        from converge_resources.paths import sources

        real, data = read(spec.source)
        digest = sources.checked(data, spec.source, spec.digest)
        text = sources.as_text(data)
        if text is None:
            return spec.__replace__(source=real, digest=digest)
        return spec.__replace__(content=text, source=None, digest=None)

    def inspect(
        self, specs: Sequence[FileSpec], system: ReadOnlySystem
    ) -> Mapping[str, FileState | Unmanageable]:
        """Read each file, no more of it than the comparison needs."""
        owners = Owners(system)
        return reading(specs, lambda spec: _read(spec, system, owners))

    def apply(self, changes: Sequence[Change[FileSpec, FileState]], system: System) -> None:
        """Write, adjust or remove each file."""
        from converge_resources.paths import file_write

        file_write.apply_all(changes, system, Owners(system))

    def obstacles(
        self, changes: Sequence[Change[FileSpec, FileState]], system: ReadOnlySystem
    ) -> Mapping[str, Unmanageable]:
        """Say which files this container does not let us touch, asking for no more than is needed."""
        from converge_resources.paths import file_write

        owners = Owners(system)
        return trees.probing(changes, lambda change: file_write.obstacle(change, system, owners))

    def depends(self, spec: FileSpec) -> Iterable[str]:
        """A file goes after its directories, its owner and its group."""
        return trees.needs_before(spec.name, spec.owner, spec.group)

    def rests_on(self, spec: FileSpec) -> Iterable[str]:
        """A file shows by its own stat that it was changed."""
        return trees.rests_on(spec.name, spec.owner, spec.group)

    def claims(self, spec: FileSpec) -> Iterable[str]:
        """A path has one owner, whatever its kind; so has the whole of its content."""
        yield f"path:{spec.name}"
        if spec.replace and (spec.content is not None or spec.source is not None):
            yield f"content:{spec.name}"

    def hidden(self, change: Change[FileSpec, FileState]) -> frozenset[str]:
        """Hide the content where it is asked for, or looks like a secret."""
        if disclosure.has_secrets(change.spec):
            return frozenset({"content"})
        show = change.spec.show_diff
        if show is None:
            show = not disclosure.secret(change.spec.name, change.before, change.after)
        return frozenset() if show else frozenset({"content"})

    def deletions(self, change: Change[FileSpec, FileState]) -> int:
        """Count what is removed: the file, or all of a directory in its way."""
        return trees.deletions(change, "file")

    def declare(self, asked: Asked, system: ReadOnlySystem) -> Iterable[Declared]:
        """Tell of files by their paths."""
        from converge_resources.adoption import files

        return files.declare("file", asked, system)


def _encodable(text: str) -> bool:
    try:
        return text.encode() is not None
    except UnicodeEncodeError:
        return False


def _secrets_problems(spec: FileSpec) -> Iterable[tuple[str, str]]:
    from converge.language import secret_references

    if not isinstance(spec.content, str):
        yield "secrets", "they are for a `content` that is a text, with `{{ secrets.NAME }}` in it"
        return
    for name in secret_references.unused(spec.secrets, spec.content):
        yield (
            "secrets",
            f"`{{{{ secrets.{name} }}}}` is not in the content; a filter cannot be applied",
        )


def _read(spec: FileSpec, system: ReadOnlySystem, owners: Owners) -> FileState | None:
    found = system.lstat(spec.name)
    if found is None:
        return None
    if not stat.S_ISREG(found.st_mode):
        deletes = trees.count(system, spec.name, found) if spec.force else None
        return FileState(type=trees.describe(found), deletes=deletes)
    content, digest = _read_content(spec, system, found.st_size)
    return FileState(
        type="file",
        content=content,
        digest=digest,
        mode=trees.spelled_mode(spec.mode, found.st_mode),
        owner=owners.spelled("user", spec.owner, found.st_uid),
        group=owners.spelled("group", spec.group, found.st_gid),
        private=disclosure.private(found.st_mode),
    )


def _read_content(
    spec: FileSpec, system: ReadOnlySystem, size: int
) -> tuple[bytes | None, str | None]:
    """Return (content, digest) as far as they are declared; what is not to be replaced holds."""
    if spec.source is not None:
        return None, system.digest(spec.name) if spec.replace else spec.digest or ""
    wanted = disclosure.content(spec)
    if wanted is None:
        return None, None
    if not spec.replace:
        return wanted, None
    if size == len(wanted) or size <= _MOST_LOADED:
        return system.read(spec.name, size=size), None
    marker = b"(%d bytes, not read)\n" % size
    return marker + b"\n" * (marker == wanted), None
