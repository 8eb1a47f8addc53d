"""One container of a fleet, and how it stands. Pure: the clock is given."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from converge.record import Record

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

# The worst first; a container is counted once, as the worst that it is.
STANDINGS = ("failed", "stale", "contended", "drifting", "waiting", "converged")
_MEANING = {
    "failed": "its last run failed, or left something unresolved",
    "stale": "nothing was heard of it for twice its interval, or its source has been away as long",
    "contended": "something else keeps changing back what it repairs",
    "drifting": "its last run repaired something",
    "waiting": "a new bundle has not been rolled out to it yet",
    "converged": "all is as declared",
}
DEFAULT_INTERVAL = 1800.0


class Member(Record):
    """What is known of one container. Times are seconds since 1970; 0: never, or not known."""

    name: str
    container: str = ""
    groups: tuple[str, ...] = ()
    heard: float = 0.0
    success: float = 0.0
    interval: float = DEFAULT_INTERVAL
    failed: bool = False
    unresolved: tuple[str, ...] = ()
    contended: tuple[str, ...] = ()
    drift: int = 0
    bundle: str = ""
    sequence: int = 0
    stale_since: float = 0.0
    waiting: str = ""
    detail: str = ""

    def standing(self, now: float) -> str:
        """Return the worst of STANDINGS that holds."""
        late = 2 * self.interval
        away = self.stale_since and now - self.stale_since > late
        holds = {
            "failed": self.failed or bool(self.unresolved),
            "stale": now - self.heard > late or away,
            "contended": bool(self.contended),
            "drifting": self.drift > 0,
            "waiting": bool(self.waiting),
        }
        return next((name for name, true in holds.items() if true), "converged")


def meaning(standing: str) -> str:
    """Return what a standing means, for people."""
    return _MEANING[standing]


def count(members: Iterable[Member], now: float) -> dict[str, int]:
    """Return how many stand how."""
    found = dict.fromkeys(STANDINGS, 0)
    for member in members:
        found[member.standing(now)] += 1
    return found


def ordered(members: Iterable[Member], now: float) -> list[Member]:
    """Return the members, those that need somebody first."""
    return sorted(members, key=lambda m: (STANDINGS.index(m.standing(now)), m.name, m.container))


def plain(member: Member, now: float) -> dict[str, Any]:
    """Return a member as plain data, for --json."""
    return {**member.as_dict(), "standing": member.standing(now)}


def of_envelope(made: Mapping[str, Any]) -> Member:
    """Return the member of an envelope (converge.delivery). Raises anything for what is none."""
    report = made["report"]
    bundle = report.get("bundle") or {}
    troubled = [entry for entry in report.get("resources", []) if entry["fatal"]]
    first = troubled[0] if troubled else {}
    detail = report["error"] or (f"{first['id']}: {first['reason']}" if first else "")
    return Member(
        name=str(made["host"]), container=str(made["container"]),
        groups=tuple(map(str, made["groups"])), heard=float(made["time"]),
        success=float(made["last_success"] or 0), interval=float(made["interval"]),
        failed=bool(int(report["exit_code"]) & 5), unresolved=tuple(map(str, made["unresolved"])),
        contended=tuple(map(str, made["contended"])),
        drift=int(report.get("counts", {}).get("changed", 0)), bundle=str(bundle.get("name", "")),
        sequence=int(bundle.get("sequence", 0)), stale_since=float(bundle.get("stale_since") or 0),
        waiting=str(bundle.get("waiting", "")), detail=str(detail)[:300],
    )  # fmt: skip
