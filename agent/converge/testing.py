"""For authors of kinds: a fake machine, and the tests that every provider must pass.

Subclass ProviderContract in a pytest module and give it the fixtures that it names.
"""

from __future__ import annotations

import os
import time
from typing import TYPE_CHECKING, Any, ClassVar

from converge import kinds
from converge.diff import difference
from converge.errors import ApplyError
from converge.language.models import validate
from converge.programs.process import Completed
from converge.provider import Change, Provider, Spec, Unmanageable
from converge.state.fingerprints import Fingerprints
from converge.state.standing import Clock
from converge.system import ReadOnlySystem, System

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from pathlib import Path

    from converge.programs.launch import Program as StartedProgram
    from converge.programs.process import Context

    Program = Callable[[Sequence[str], bytes], Completed | str]


_TICK = 0.02  # seconds in which the clock that a file system takes its times from moves on


class FakeSystem(System):
    """A System below a scratch directory, whose programs are functions and whose powers are set.

    `programs` maps a program's base name to a function of (argv, stdin) that returns its output
    (exit 0) or a Completed. `ran` lists the argv of all that was run, `how` the environment and
    the context of each; `signals` (pid, number) of all that was sent, each told to `on_signal`.
    """

    def __init__(
        self,
        root: Path | str,
        programs: Mapping[str, Program] | None = None,
        *,
        capabilities: int = (1 << 41) - 1,
        **stores: Any,
    ) -> None:
        super().__init__(str(root), **stores)
        self.programs = dict(programs or {})
        self.capabilities = capabilities
        self.ran: list[tuple[str, ...]] = []
        self.how: list[tuple[Mapping[str, str] | None, Context | None]] = []
        self.signals: list[tuple[int, int]] = []
        self.on_signal: Callable[[int, int], None] = lambda *_: None

    def read_only(self) -> ReadOnlySystem:
        """Return a view with the same programs and powers."""
        view = FakeReader(paths=self.paths, notes=lambda: self.notes)
        view.fake = self
        return view

    def capable(self, capability: int) -> bool:
        """Tell whether the fake agent has a capability."""
        return bool(self.capabilities >> capability & 1)

    def which(self, program: str) -> str | None:
        """Return where a fake program would be."""
        return f"/usr/bin/{program}" if program in self.programs else None

    def start(self, program: StartedProgram, ready: Callable[[], bool], timeout: float) -> None:
        """Run the fake program, and ask once whether it is ready."""
        self.run(program.argv, timeout=timeout).check()
        if not ready():
            raise ApplyError(f"{program.path} was started, but is not seen to run")

    def signal(self, pid: int, started: int, number: int) -> bool:
        """Note a signal, if there is such a process in the fake /proc."""
        self.forget()
        if self.text(f"/proc/{pid}/stat").rpartition(") ")[2].split()[19:20] != [str(started)]:
            return False
        self.signals.append((pid, number))
        self.on_signal(pid, number)
        self.forget()
        return True

    def _run(
        self,
        argv: Sequence[str],
        *,
        timeout: float,
        stdin: bytes,
        environment: Mapping[str, str] | None,
        context: Context | None = None,
    ) -> Completed:
        self.ran.append(tuple(argv))
        self.how.append((environment, context))
        program = self.programs.get(os.path.basename(argv[0]))
        if program is None:
            raise ApplyError(f"{argv[0]} cannot be started: no such fake program")
        answer = program(argv, stdin)
        if isinstance(answer, Completed):
            return answer
        return Completed(argv=tuple(argv), code=0, out=answer, err="")


class FakeReader(ReadOnlySystem):
    """The read-only view of a FakeSystem."""

    fake: FakeSystem

    def capable(self, capability: int) -> bool:
        """As the fake system."""
        return self.fake.capable(capability)

    def which(self, program: str) -> str | None:
        """As the fake system."""
        return self.fake.which(program)

    def _run(self, argv: Sequence[str], **options: Any) -> Completed:
        return self.fake._run(argv, **options)


def make_spec(kind: str, **declared: Any) -> Any:
    """Return a validated spec, as a profile would declare it. Raises AssertionError if it is wrong."""
    spec, problems = validate(kinds.load(kind).spec, declared)
    assert spec is not None, problems  # noqa: S101
    return spec


def plan(
    provider: Provider[Any, Any], specs: Sequence[Spec], system: System
) -> list[Change[Any, Any]]:
    """Return the changes that the engine would find, with nothing changed."""
    system.forget()
    live = provider.inspect(specs, system.read_only())
    changes = []
    for spec in specs:
        before = live.get(spec.name)
        assert not isinstance(before, Unmanageable), before  # noqa: S101
        change = difference(f"{provider.kind}:{spec.name}", spec, before, provider.desired(spec))
        if change:
            changes.append(change)
    return changes


def converge(
    provider: Provider[Any, Any], specs: Sequence[Spec], system: System
) -> list[Change[Any, Any]]:
    """Apply what differs and return what still differs on the second reading (should be empty)."""
    changes = plan(provider, specs, system)
    if changes:
        provider.apply(changes, system)
    return plan(provider, specs, system)


def snapshot(root: str) -> dict[str, tuple[int, int, int, bytes]]:
    """Return every path below a root with its mode, owner, ctime and content: to see that none moved."""
    found = {}
    for folder, folders, files in os.walk(root):
        for name in [*folders, *files]:
            path = os.path.join(folder, name)
            status = os.lstat(path)
            content = b""
            if os.path.isfile(path) and not os.path.islink(path):
                with open(path, "rb") as file:
                    content = file.read()
            found[path] = (status.st_mode, status.st_uid, status.st_ctime_ns, content)
    return found


class ProviderContract:
    """What every provider promises. A subclass names its `kind` and gives these fixtures:

    - `system`: a FakeSystem in the state before anything is converged
    - `present`: specs (make_spec) that differ from that state and can be converged
    - `absent`: specs of the same names that are to be absent
    """

    kind: ClassVar[str]

    def test_converges_and_then_agrees(self, system: FakeSystem, present: list[Spec]) -> None:
        """After apply a second diff is empty."""
        provider = kinds.load(self.kind)
        assert plan(provider, present, system), "the fixture must start with a difference"  # noqa: S101
        assert converge(provider, present, system) == []  # noqa: S101

    def test_inspect_writes_nothing(self, system: FakeSystem, present: list[Spec]) -> None:
        """Inspecting leaves every file, mode and ctime as it was, before and after."""
        provider = kinds.load(self.kind)
        for _ in range(2):
            before = snapshot(system.root)
            plan(provider, present, system)
            assert snapshot(system.root) == before  # noqa: S101
            converge(provider, present, system)

    def test_inspect_is_canonical(self, system: FakeSystem, present: list[Spec]) -> None:
        """Once converged, inspect returns what desired declares, field by field and type by type."""
        provider = kinds.load(self.kind)
        converge(provider, present, system)
        live = provider.inspect(present, system.read_only())
        for spec in present:
            wanted = provider.desired(spec)
            assert wanted is not None  # noqa: S101
            found = live[spec.name]
            for name in wanted.field_names:
                value = getattr(wanted, name)
                if value is not None:
                    assert getattr(found, name) == value  # noqa: S101
                    assert type(getattr(found, name)) is type(value)  # noqa: S101

    def test_round_trip(self, system: FakeSystem, present: list[Spec], absent: list[Spec]) -> None:
        """Present, absent and present again each converge, and absent is idempotent."""
        provider = kinds.load(self.kind)
        for specs in (present, absent, absent, present):
            assert converge(provider, specs, system) == []  # noqa: S101

    def test_apply_of_nothing(self, system: FakeSystem, present: list[Spec]) -> None:
        """An empty batch is no error and runs no program."""
        kinds.load(self.kind).apply([], system)
        assert system.ran == []  # noqa: S101

    def test_what_it_rests_on_shows_each_change(
        self, system: FakeSystem, present: list[Spec], absent: list[Spec]
    ) -> None:
        """What may be known again without being read looks different once it was changed."""
        provider = kinds.load(self.kind)
        resting = {spec.name: provider.rests_on(spec) for spec in present}
        named = {name: [*paths] for name, paths in resting.items() if paths is not None}
        known = Fingerprints(None, "", Clock(), tick=-(10**18))
        for specs in (present, absent):
            known.look_anew()
            for name, paths in named.items():
                known.before_reading(name, paths, system)
                known.was_right(name)
            time.sleep(_TICK)
            changed = {change.spec.name for change in plan(provider, specs, system)}
            assert converge(provider, specs, system) == []  # noqa: S101
            known.look_anew()
            for name in changed & {*known.plain()["paths"]}:
                assert not known.hold(name, system), name  # noqa: S101
