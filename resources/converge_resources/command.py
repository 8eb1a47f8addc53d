"""The kind `command`: a program that brings about what no other kind can, and how one sees it did."""

from __future__ import annotations

from converge.provider import Change, Provider, Spec, State, Unmanageable, each, reading
from converge_resources.programs import argvs

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence
    from typing import Annotated, Any, ClassVar

    from pydantic import Field

    from converge.fields import (
        AbsolutePath,
        AbsolutePaths,
        Argv,
        Doc,
        ExitCodes,
        Line,
        Matching,
        Owner,
        Secret,
        SecretWord,
        Umask,
    )  # fmt: skip
    from converge.system import ReadOnlySystem, System

_GUARDS = ("creates", "removes", "unless", "only_if")
NOT_DUE = "no"
UNGUARDED = (
    "nothing says when it is done, so it would run again and again: give one of `creates`, "
    "`removes`, `unless` and `only_if`, or `refresh_only: true` (only when notified), or "
    "`always: true` (in every run)"
)


class CommandSpec(Spec):
    """A program that is run until its guards say that it is done. No shell reads its words."""

    whole_secrets: ClassVar[frozenset[str]] = frozenset({"stdin"})

    name: Annotated[Line, Doc("What it does; without `argv`, the program and its arguments.")]
    argv: Annotated[
        Argv | None, Doc("Program and arguments: a list, or a string that is split at spaces.")
    ] = None
    creates: Annotated[AbsolutePaths, Doc("Paths that are there when it is done.")] = ()
    removes: Annotated[AbsolutePaths, Doc("Paths that are gone when it is done.")] = ()
    unless: Annotated[Argv | None, Doc("Program that exits with 0 when it is done.")] = None
    only_if: Annotated[Argv | None, Doc("Program that exits with 0 while it is to be run.")] = None
    refresh_only: Annotated[bool, Doc("Run only when notified (and the guards agree).")] = False
    always: Annotated[
        bool, Doc("Run in every run (if the guards agree); `plan` does not count that as drift.")
    ] = False
    returns: Annotated[ExitCodes, Doc("Exit codes that mean success.")] = (0,)
    tries: Annotated[Annotated[int, Field(ge=1, le=100)], Doc("How often it is tried.")] = 1
    try_sleep: Annotated[
        Annotated[float, Field(ge=0, le=3600)], Doc("Seconds between two tries.")
    ] = 0.0
    timeout: Annotated[
        Annotated[float, Field(ge=0)],
        Doc("Seconds that a try, or a guard, may take; then its process group is killed. 0: any."),
    ] = 300.0
    cwd: Annotated[AbsolutePath, Doc("Directory that it runs in, its guards too.")] = "/"
    env: Annotated[
        dict[
            Annotated[str, Matching(r"[A-Za-z_][A-Za-z0-9_]*", "the name of a variable")],
            SecretWord,
        ],
        Doc("Variables for it and its guards, beside PATH, LANG, LC_ALL and DEBIAN_FRONTEND."),
    ] = {}  # noqa: RUF012  a spec is frozen
    stdin: Annotated[Secret, Doc("What it reads from its standard input.")] = ""
    user: Annotated[Owner | None, Doc("User that it, and its guards, run as.")] = None
    group: Annotated[Owner | None, Doc("Its group; default: the primary one of `user`.")] = None
    umask: Annotated[Umask, Doc("Its umask, octal, quoted.")] = "022"
    sensitive: Annotated[bool, Doc("Never repeat what it prints, not even when it fails.")] = False

    def problems(self) -> Iterable[tuple[str, str]]:
        """A command needs to say when it is done, and words that can be run."""
        declared = [("argv" if self.argv is not None else "name", self.argv or self.name)]
        declared += [(key, value) for key in ("unless", "only_if") if (value := getattr(self, key))]
        for key, value in declared:
            yield from ((key, text) for text in argvs.problems(value))
        if self.refresh_only and self.always:
            yield "always", "`always` and `refresh_only` exclude each other"
        if not (guarded(self) or self.refresh_only or self.always):
            yield "name", UNGUARDED


def guarded(spec: CommandSpec) -> bool:
    """Tell whether anything says when it is done."""
    return any(getattr(spec, guard) for guard in _GUARDS)


class CommandState(State):
    """`due`: why it is to be run, or `no`."""

    due: str


class CommandProvider(Provider[CommandSpec, CommandState]):
    """Runs programs, and asks their guards."""

    kind = "command"
    spec = CommandSpec
    recurring = True

    def desired(self, spec: CommandSpec) -> CommandState:
        """Return what is wanted of every command: that there is nothing to run."""
        return CommandState(due=NOT_DUE)

    def resolve(self, spec: CommandSpec, read: Callable[[str], tuple[str, bytes]]) -> CommandSpec:
        """Split what was given as strings, so that runs need not."""
        split: dict[str, Any] = {
            key: argvs.words(value)
            for key in ("unless", "only_if")
            if (value := getattr(spec, key))
        }
        return spec.replace(argv=argvs.words(spec.argv or spec.name), **split)

    def inspect(
        self, specs: Sequence[CommandSpec], system: ReadOnlySystem
    ) -> Mapping[str, CommandState | Unmanageable]:
        """Ask the guards: paths first, then programs."""

        def read(spec: CommandSpec) -> CommandState | Unmanageable:
            if spec.refresh_only or spec.always:
                return CommandState(due=NOT_DUE)
            from converge_resources.programs.run import due

            found = due(spec, system)
            return found if isinstance(found, Unmanageable) else CommandState(due=found or NOT_DUE)

        return reading(specs, read)

    def obstacles(
        self, changes: Sequence[Change[CommandSpec, CommandState]], system: ReadOnlySystem
    ) -> Mapping[str, Unmanageable]:
        """Say which commands cannot be run as the user that they name."""
        from converge_resources.programs.run import obstacle

        found = {change.spec.name: obstacle(change.spec, system) for change in changes}
        return {name: why for name, why in found.items() if why}

    def apply(self, changes: Sequence[Change[CommandSpec, CommandState]], system: System) -> None:
        """Run each; whether that helped is read from the guards."""
        from converge_resources.programs.run import run

        each(changes, lambda change: run(change.spec, system))

    def recurs(self, spec: CommandSpec) -> bool:
        """Tell whether it is run in every run."""
        return spec.always

    def refresh(self, spec: CommandSpec, system: System) -> None:
        """Run it, if its guards agree."""
        from converge_resources.programs.run import due, run

        found = due(spec, system.read_only()) if guarded(spec) else "it was notified"
        if isinstance(found, Unmanageable):
            from converge.errors import ApplyError

            raise ApplyError(found.reason, found.remedy)
        if found:
            run(spec, system)

    def watches(self, spec: CommandSpec) -> Iterable[str]:
        """What it creates may go, what it removes may come back."""
        return (*spec.creates, *spec.removes) if not (spec.refresh_only or spec.always) else ()

    def depends(self, spec: CommandSpec) -> Iterable[str]:
        """It goes after its directories, its user and group, and programs that are managed files."""
        from converge_resources.paths.trees import bringing, needs_before

        if spec.cwd != "/":
            yield f"directory:{spec.cwd}"
        yield from needs_before(spec.cwd, spec.user, spec.group)
        for path in spec.creates:
            yield from needs_before(path, None, None)
        for value in (spec.argv or spec.name, spec.unless, spec.only_if):
            if value and (program := argvs.words(value)[0]).startswith("/"):
                yield from bringing(program)
