"""The kind `tidy`: files that are too old or too large are removed, as Puppet's `tidy` does."""

from __future__ import annotations

from converge import probe
from converge.provider import Change, Provider, Spec, State, Unmanageable, each, reading
from converge_resources.paths import tidy_rules, trees

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Mapping, Sequence
    from typing import Annotated, Literal

    from converge.fields import AbsolutePath, Doc, Line, Matching
    from converge.system import ReadOnlySystem, System


class TidySpec(Spec):
    """A directory in which nothing shall be too old or too large."""

    name: Annotated[AbsolutePath, Doc("Path of the directory, or of one file.")]
    age: Annotated[
        Annotated[str, Matching(r"[0-9]{1,9}[smhdw]", "an age such as `30m`, `12h`, `7d` or `2w`")]
        | None,
        Doc("What is at least so old goes: a number and s, m, h, d or w."),
    ] = None
    time: Annotated[
        Literal["mtime", "ctime", "atime"], Doc("Which of a file's times tells its age.")
    ] = "mtime"
    size: Annotated[
        Annotated[str, Matching(r"[0-9]{1,12}[bkmgt]", "a size such as `500k`, `10m` or `2g`")]
        | None,
        Doc("What is at least so large goes: a number and b, k, m, g or t (of 1024)."),
    ] = None
    criteria: Annotated[
        Literal["any", "all"], Doc("Whether `age` or `size` is enough, or both must hold.")
    ] = "any"
    matches: Annotated[
        Sequence[Line], Doc("Globs, of which the base name has to match one; unset: all do.")
    ] = ()
    recurse: Annotated[
        bool | int, Doc("False: what lies in the directory itself; true: all below; or levels.")
    ] = False
    rmdirs: Annotated[
        bool, Doc("Remove directories too: those that are old enough and left empty.")
    ] = False
    max_files: Annotated[int, Doc("Most entries that are looked at.")] = 100000
    backup: Annotated[bool, Doc("Keep the content of every file that is removed.")] = False
    managed: Annotated[
        Sequence[str], Doc("Filled in by the compiler: paths below that other resources manage.")
    ] = ()

    def problems(self) -> Iterable[tuple[str, str]]:
        """Say what does not go together."""
        if self.managed:
            yield "managed", "`managed` is filled in by the compiler"
        if self.age is None and self.size is None:
            yield "age", "give an `age` or a `size`; `age: 0s` is everything"
        if self.criteria == "all" and (self.age is None or self.size is None):
            yield "criteria", "`all` needs an `age` and a `size`"
        if self.recurse is not True and self.recurse is not False and self.recurse < 1:
            yield "recurse", "true, false, or a number of levels from 1"
        if self.max_files < 1:
            yield "max_files", "at least 1"


class TidyState(State):
    """What is to go: relative paths, each before the directory that holds it; `.` is the name itself."""

    found: tuple[str, ...] = ()


class TidyProvider(Provider[TidySpec, TidyState]):
    """Finds and removes what is too old or too large."""

    kind = "tidy"
    spec = TidySpec

    def desired(self, spec: TidySpec) -> TidyState:
        """Return that nothing is too old or too large."""
        return TidyState(found=())

    def adopt(self, spec: TidySpec, claimed: Collection[str]) -> TidySpec:
        """Learn which of the paths that the catalog manages lie below. Pure."""
        return spec.replace(managed=trees.below(spec.name, claimed))

    def inspect(
        self, specs: Sequence[TidySpec], system: ReadOnlySystem
    ) -> Mapping[str, TidyState | Unmanageable]:
        """Look at what is there; a directory that is missing is tidy."""

        def read(spec: TidySpec) -> TidyState | Unmanageable:
            found = tidy_rules.find(spec, system)
            return TidyState(found=found) if isinstance(found, tuple) else found

        return reading(specs, read)

    def apply(self, changes: Sequence[Change[TidySpec, TidyState]], system: System) -> None:
        """Remove what was found, each if it still is too old or too large."""
        each(changes, lambda change: tidy_rules.apply(change, system))

    def obstacles(
        self, changes: Sequence[Change[TidySpec, TidyState]], system: ReadOnlySystem
    ) -> Mapping[str, Unmanageable]:
        """Say where this container does not let us remove what was found."""

        def obstacle(change: Change[TidySpec, TidyState]) -> Unmanageable | None:
            paths = (tidy_rules.at(change.spec, path) for path in tidy_rules.found(change))
            return next(filter(None, (probe.writable(system, path) for path in paths)), None)

        return trees.probing(changes, obstacle)

    def depends(self, spec: TidySpec) -> Iterable[str]:
        """A directory is tidied when it, and those above it, are as declared."""
        yield from trees.needs_before(spec.name, None, None)
        yield f"directory:{spec.name}"

    def deletions(self, change: Change[TidySpec, TidyState]) -> int:
        """Count what goes."""
        return len(tidy_rules.found(change))
