"""The kind `authorized_key`: who may log in by ssh as a user (sshd(8), authorized_keys)."""

from __future__ import annotations

from converge.provider import Change, Provider, Spec, State, Unmanageable, each, reading
from converge_resources.paths import trees
from converge_resources.ssh import keys as ssh_keys

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence
    from typing import Annotated, Literal

    from converge.declared import Asked, Declared
    from converge.fields import AbsolutePath, AccountName, Doc, Line, Lines
    from converge.system import ReadOnlySystem, System


class AuthorizedKeySpec(Spec):
    """A public key of a user's, or several with the same options."""

    name: Annotated[Line, Doc("A title of your own; the key's comment, if it has none.")]
    state: Annotated[Literal["present", "absent"], Doc("Whether it may be used.")] = "present"
    user: Annotated[AccountName, Doc("User that one logs in as.")]
    key: Annotated[Lines, Doc("The key, as the .pub file has it, or a list of keys.")]
    options: Annotated[
        Lines, Doc('Options of the key, such as [no-pty, from="10.0.0.0/8"]; these and no others.')
    ] = ()
    exclusive: Annotated[
        bool, Doc("No other keys than these: list them all here, in one resource.")
    ] = False
    path: Annotated[
        AbsolutePath | None,
        Doc("The file, if not ~/.ssh/authorized_keys; its directory has to be there."),
    ] = None

    def problems(self) -> Iterable[tuple[str, str]]:
        """Say what sshd would not accept."""
        for text in self.key:
            yield from (("key", problem) for problem in ssh_keys.problems(text))
        if not self.key and not self.exclusive:
            yield "key", "a `key` is needed; with `exclusive: true` an empty list stands for none"
        for option in self.options:
            problem = ssh_keys.option_problem(option)
            if problem:
                yield "options", problem
        if self.state == "absent" and self.exclusive:
            yield "exclusive", "`exclusive` goes with keys that are present"
        if not self.name.strip():
            yield "name", "a title is needed"

    def lines(self) -> dict[str, str]:
        """Return the lines of the file, by the key's data."""
        keys = [key for key in map(ssh_keys.parse, self.key) if key is not None]
        return {
            key.data: ssh_keys.line_of(key, self.options, key.comment or self.name) for key in keys
        }


class AuthorizedKeyState(State):
    """The lines of the keys that are there, how many others, and whether sshd would read the file."""

    lines: tuple[str, ...] = ()
    others: int | None = None
    trusted: bool | None = None  # the user's own or root's, and nobody else may write to it


class AuthorizedKeyProvider(Provider[AuthorizedKeySpec, AuthorizedKeyState]):
    """Reads and edits authorized_keys."""

    kind = "authorized_key"
    spec = AuthorizedKeySpec

    def desired(self, spec: AuthorizedKeySpec) -> AuthorizedKeyState | None:
        """Return the lines that are declared; None: no key at all is."""
        if spec.state == "absent" or not spec.key:
            return None
        lines = tuple(spec.lines().values())
        return AuthorizedKeyState(
            lines=lines, others=0 if spec.exclusive else None, trusted=True
        )  # fmt: skip

    def inspect(
        self, specs: Sequence[AuthorizedKeySpec], system: ReadOnlySystem
    ) -> Mapping[str, AuthorizedKeyState | Unmanageable]:
        """Read each user's file once."""
        from converge_resources.ssh.authorized_file import Files

        files = Files(system)
        return reading(specs, files.state)

    def obstacles(
        self,
        changes: Sequence[Change[AuthorizedKeySpec, AuthorizedKeyState]],
        system: ReadOnlySystem,
    ) -> Mapping[str, Unmanageable]:
        """Say which files this container does not let us write."""
        from converge_resources.ssh.authorized_file import obstacle

        return trees.probing(changes, lambda change: obstacle(change.spec, system))

    def apply(
        self, changes: Sequence[Change[AuthorizedKeySpec, AuthorizedKeyState]], system: System
    ) -> None:
        """Edit each user's file."""
        from converge_resources.ssh.authorized_file import write

        each(changes, lambda change: write(change.spec, system))

    def depends(self, spec: AuthorizedKeySpec) -> Iterable[str]:
        """A key goes after its user, and after the directories of a file that is named."""
        yield f"user:{spec.user}"
        if spec.path is not None:
            yield from trees.needs_before(spec.path, None, None)
            yield f"file:{spec.path}"

    def claims(self, spec: AuthorizedKeySpec) -> Iterable[str]:
        """A key of a user has one owner; a file that is named has no other whole content."""
        if spec.path is not None:
            yield f"part:{spec.path}\0{self.kind} {spec.name}"
        place = spec.path or f"~{spec.user}"
        for data in spec.lines():
            yield f"key of {place}:{data}"

    def watches(self, spec: AuthorizedKeySpec) -> Iterable[str]:
        """The file, where it is named; a home is known only when it is looked at."""
        return () if spec.path is None else (spec.path,)

    def deletions(self, change: Change[AuthorizedKeySpec, AuthorizedKeyState]) -> int:
        """Nothing: the file stays, and its old content is backed up."""
        return 0

    def declare(self, asked: Asked, system: ReadOnlySystem) -> Iterable[Declared]:
        """Tell of the keys of users."""
        from converge_resources.adoption import parts

        return parts.keys(asked, system)
