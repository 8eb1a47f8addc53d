"""The kind `clock`: is this clock right? Where it is the host's, nothing in here can set it."""

from __future__ import annotations

import time

from converge.errors import ApplyError
from converge.provider import Change, Provider, Spec, State, Unmanageable, each
from converge_resources.sntp import NoTimeError, offset

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence
    from typing import Annotated

    from converge.fields import Doc, Line, Seconds, Words
    from converge.system import ReadOnlySystem, System

_SYS_TIME = 25  # CAP_SYS_TIME, capabilities(7)
_REMEDY = (
    "set the host's clock, e.g. by chrony there; or, if this container shall keep the time of its "
    "host, run it with --cap-add SYS_TIME"
)


class ClockSpec(Spec):
    """The system clock, compared with time servers."""

    name: Annotated[Line, Doc("A title.")]
    servers: Annotated[
        Words, Doc("Time servers, HOST or HOST:PORT; the first that answers counts.")
    ]
    max_offset: Annotated[Seconds, Doc("By how many seconds the clock may be off.")] = 1.0
    every: Annotated[
        Seconds, Doc("For how many seconds an answer counts; until then no server is asked.")
    ] = 3600.0
    timeout: Annotated[Seconds, Doc("How many seconds a server has to answer.")] = 2.0

    def problems(self) -> Iterable[tuple[str, str]]:
        """An empty list asks nobody."""
        if not self.servers:
            yield "servers", "name at least one time server"


class ClockState(State):
    """`within`: how many seconds off the clock is at most: what is declared, where that holds."""

    within: float


class ClockProvider(Provider[ClockSpec, ClockState]):
    """Asks time servers; steps the clock by chronyc where the container may."""

    kind = "clock"
    spec = ClockSpec

    def desired(self, spec: ClockSpec) -> ClockState:
        """Return the offset that is allowed."""
        return ClockState(within=spec.max_offset)

    def inspect(
        self, specs: Sequence[ClockSpec], system: ReadOnlySystem
    ) -> Mapping[str, ClockState | Unmanageable]:
        """Return how far the clock is off, asked at most every so often."""
        return {spec.name: _read(spec, system) for spec in specs}

    def obstacles(
        self, changes: Sequence[Change[ClockSpec, ClockState]], system: ReadOnlySystem
    ) -> Mapping[str, Unmanageable]:
        """Say whose the clock is, and by how much it is off."""
        found = {}
        for change in changes:
            off = _told(system.notes.get(self.kind, change.spec.name))
            if not system.capable(_SYS_TIME):
                found[change.spec.name] = Unmanageable(
                    reason=f"the clock is the host's: it is {off}", remedy=_REMEDY
                )
            elif system.which("chronyc") is None:
                found[change.spec.name] = Unmanageable(
                    reason=f"the clock is {off}, and nothing here can set it",
                    remedy="install chrony, as the stock profile ntp does",
                )
        return found

    def apply(self, changes: Sequence[Change[ClockSpec, ClockState]], system: System) -> None:
        """Let chronyd step the clock."""
        each(changes, lambda change: _step(change.spec, system))


def _read(spec: ClockSpec, system: ReadOnlySystem) -> ClockState | Unmanageable:
    note = system.notes.get("clock", spec.name)
    now = time.clock_gettime(time.CLOCK_BOOTTIME)
    if not _counts(note, spec, now):
        note = _ask(spec, now)
        system.notes.put("clock", spec.name, note)
    if "offset" not in note:
        return Unmanageable(
            reason=f"no time server answers: {note['trouble']}",
            remedy="name servers that can be reached from here (UDP, port 123)",
        )
    off = abs(float(note["offset"]))
    return ClockState(within=spec.max_offset if off <= spec.max_offset else round(off, 3))


def _counts(note: Mapping[str, object], spec: ClockSpec, now: float) -> bool:
    """Tell whether what was noted is young enough, and of these servers."""
    when, servers = note.get("when"), note.get("servers")
    return (
        "offset" in note
        and isinstance(when, float)
        and 0 <= now - when < spec.every
        and servers == list(spec.servers)
    )


def _ask(spec: ClockSpec, now: float) -> dict[str, object]:
    troubles = []
    for server in spec.servers:
        try:
            found = offset(server, spec.timeout)
        except NoTimeError as error:
            troubles.append(f"{server}: {error}")
            continue
        return {
            "when": now, "servers": list(spec.servers), "server": server, "offset": round(found, 6),
        }  # fmt: skip
    return {"trouble": "; ".join(troubles)}


def _told(note: Mapping[str, object]) -> str:
    off = float(str(note["offset"]))
    return f"{abs(off):.3f} s {'behind' if off > 0 else 'ahead of'} {note['server']}"


def _step(spec: ClockSpec, system: System) -> None:
    chronyc = system.which("chronyc")
    if chronyc is None:
        raise ApplyError("there is no chronyc")
    system.run((chronyc, "makestep")).check()
    system.notes.put("clock", spec.name, {})  # the next reading asks again
