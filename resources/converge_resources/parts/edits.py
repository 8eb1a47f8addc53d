"""What the kinds that manage a part of a file have in common: the base of their specs and providers.

A kind says what its part is called (`part`), what it shall be (`wanted`), and how a text is edited
(`edit`, a pure function). Reading, writing, obstacles, order and contradictions are done here.
"""

from __future__ import annotations

from abc import abstractmethod

from converge.provider import Change, Provider, Spec, State, Unmanageable, reading
from converge.record import Record
from converge_resources.parts import edit_files
from converge_resources.parts.edit_files import Target
from converge_resources.parts.texts import EditError, Texts, real_path
from converge_resources.paths import disclosure, trees, validation

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence
    from typing import Annotated, ClassVar, Literal

    from converge.fields import AbsolutePath, Doc, Line, Matching, Mode, Owner, Secret
    from converge.system import ReadOnlySystem, System

_SHOWN = ("content", "value")
_MISPLACED = "(twice, or at the wrong place)"
_MADE = "set `create: true`, or declare the `file` without a content"


class PartSpec(Spec):
    """A part of a file. A kind adds what the part is."""

    name: Annotated[Line, Doc("A title of your own; the file is `path`.")]
    path: Annotated[AbsolutePath, Doc("Path of the file. A trusted symbolic link is followed.")]
    state: Annotated[Literal["present", "absent"], Doc("Whether the part is in the file.")] = (
        "present"
    )
    create: Annotated[bool, Doc("Make the file if it is missing, with `mode`, owner, group.")] = (
        False
    )
    mode: Annotated[Mode | None, Doc("Mode of a file that is made; quoted.")] = None
    owner: Annotated[Owner | None, Doc("User name or id of a file that is made.")] = None
    group: Annotated[Owner | None, Doc("Group name or id of a file that is made.")] = None
    validate: Annotated[
        str | Sequence[str] | None,
        Doc(
            "Program that must accept the new file first: absolute path, no shell; `%` is the file."
        ),
    ] = None
    backup: Annotated[bool, Doc("Keep the old content before it is replaced.")] = True
    show_diff: Annotated[
        bool | None, Doc("Show the part in diffs; unset: not where the file looks like a secret.")
    ] = None

    secrets: Annotated[
        dict[Annotated[str, Matching(r"[A-Za-z_][A-Za-z0-9_]*", "the name of a secret")], Secret],
        Doc("Secrets by name; `{{ secrets.NAME }}` puts one into the part."),
    ] = {}  # noqa: RUF012  a spec is frozen

    def problems(self) -> Iterable[tuple[str, str]]:
        """Say what does not go together."""
        if not self.name.strip():
            yield "name", "a title is needed"
        if self.path == "/":
            yield "path", "`/` is a directory"
        if self.validate is not None:
            yield from (("validate", text) for text in validation.problems(self.validate))
        if self.secrets:
            from converge_resources.parts import secrets as part_secrets

            messages = part_secrets.unused(self.secrets, self.as_dict())
            yield from (("secrets", text) for text in messages)
        for attribute in ("mode", "owner", "group"):
            if getattr(self, attribute) is not None and not self.create:
                yield attribute, f"`{attribute}` is that of a file that is made: {_MADE}"

    def subject(self) -> str:
        """A diff is one of the file."""
        return self.path


class PartState(State):
    """What the part is: `content` of a text, `value` of anything else."""

    text = frozenset({"content"})

    content: bytes | None = None
    value: str | None = None
    private: bool | None = None  # only its owner may read the file; never managed


class Edited(Record):
    """What an edit makes of a text (`body`), and the part that it `found` there (None: none)."""

    body: str
    found: PartState | None = None


if TYPE_CHECKING:
    from typing import TypeVar

    P = TypeVar("P", bound=PartSpec)
else:
    P = PartSpec


class PartProvider(Provider[P, PartState]):
    """Reads and edits parts of files."""

    restless: ClassVar[str] = ""  # what helps where an edit would be edited again
    one_line: ClassVar[bool] = False  # no text of the part may have a line break

    @abstractmethod
    def part(self, spec: P) -> str:
        """MUST be overridden. Name the part: no two resources of one file have the same. Pure."""

    @abstractmethod
    def wanted(self, spec: P) -> PartState:
        """MUST be overridden. Return the part that is declared, were it present. Pure."""

    @abstractmethod
    def edit(self, spec: P, body: str) -> Edited:
        """MUST be overridden. Return the text with the part as declared, present or absent.

        Pure; of a text in which all is right it returns that very text. Raises EditError.
        """

    def target(self, spec: P) -> Target:
        """MAY be overridden. Return the file and how it may be written."""
        return Target(
            path=spec.path, create=spec.create, owner=spec.owner,
            mode=spec.mode or ("0600" if spec.secrets else None),
            group=spec.group, validate=spec.validate, backup=spec.backup,
        )  # fmt: skip

    def desired(self, spec: P) -> PartState | None:
        """Return the part that is declared."""
        return None if spec.state == "absent" else self.wanted(self.filled(spec))

    def filled(self, spec: P) -> P:
        """MAY be overridden. Return the spec with its secrets in the part. Raises EditError."""
        if not spec.secrets:
            return spec
        from converge_resources.parts import secrets as part_secrets

        return spec.replace(
            **part_secrets.put_in(spec.as_dict(), spec.secrets, one_line=self.one_line)
        )

    def inspect(
        self, specs: Sequence[P], system: ReadOnlySystem
    ) -> Mapping[str, PartState | Unmanageable]:
        """Read each file once, and see whether an edit would change it."""
        texts = Texts(system)
        return reading(specs, lambda spec: self._inspect(spec, system, texts))

    def _inspect(
        self, spec: P, system: ReadOnlySystem, texts: Texts
    ) -> PartState | Unmanageable | None:
        try:
            self.filled(spec)
            body = texts.body(self.target(spec).path)
            if body is None:
                return None
            edited = self._edited(spec, body)
        except EditError as error:
            return Unmanageable(reason=str(error.args[0]), remedy=error.remedy)
        if edited.body == body:
            return self.desired(spec)
        return self._told(spec, edited.found, system)

    def _told(self, spec: P, found: PartState | None, system: ReadOnlySystem) -> PartState | None:
        """Return what is there where an edit has to be made."""
        if found is None:
            return PartState() if spec.state == "absent" else None
        status = system.lstat(real_path(system, self.target(spec).path))
        found = found.replace(private=status is not None and disclosure.private(status.st_mode))
        desired = self.desired(spec)
        same = desired is not None and all(
            getattr(desired, field) in (None, getattr(found, field)) for field in _SHOWN
        )
        return _marked(found) if same else found

    def _edited(self, spec: P, body: str) -> Edited:
        """Edit a text. Raises EditError also where the next run would edit the result again."""
        spec = self.filled(spec)
        edited = self.edit(spec, body)
        if edited.body != body and self.edit(spec, edited.body).body != edited.body:
            raise EditError(
                "it is not done with one edit: the next run would edit its result", self.restless
            )
        return edited

    def apply(self, changes: Sequence[Change[P, PartState]], system: System) -> None:
        """Edit each file in the order of the batch, and write it once."""
        edit_files.apply(
            changes, system, self.target, lambda spec, body: self._edited(spec, body).body
        )

    def obstacles(
        self, changes: Sequence[Change[P, PartState]], system: ReadOnlySystem
    ) -> Mapping[str, Unmanageable]:
        """Say which files this container does not let us edit."""
        return trees.probing(
            changes, lambda change: edit_files.obstacle(self.target(change.spec), system)
        )

    def depends(self, spec: P) -> Iterable[str]:
        """A part goes after its file, the directories of that, its owner and its group."""
        target = self.target(spec)
        yield from trees.bringing(target.path)
        yield from trees.needs_before(target.path, target.owner, target.group)

    def claims(self, spec: P) -> Iterable[str]:
        """A file may have many parts; a part has one owner."""
        return (f"part:{self.target(spec).path}\0{self.kind} {self.part(spec)}",)

    def watches(self, spec: P) -> Iterable[str]:
        """The file."""
        return (self.target(spec).path,)

    def hidden(self, change: Change[P, PartState]) -> frozenset[str]:
        """Hide the part where it is asked for, or the file looks like a secret."""
        show = False if change.spec.secrets else change.spec.show_diff
        if show is None:
            private = change.before is not None and bool(change.before.private)
            target = self.target(change.spec)
            show = not (private or disclosure.secret_path(target.path, target.mode))
        return frozenset() if show else frozenset(_SHOWN)

    def deletions(self, change: Change[P, PartState]) -> int:
        """Nothing: the file stays, and its old content is backed up."""
        return 0


def _marked(found: PartState) -> PartState:
    """Return a part that is right, but for standing twice or at the wrong place, as one that is not."""
    if found.content is not None:
        return found.replace(content=found.content + f"{_MISPLACED}\n".encode())
    return found.replace(value=f"{found.value} {_MISPLACED}")
