"""How the container stands after all runs so far: what health, status and metrics are told from.

A run may be partial (only what an event touched), so its report alone does not tell. Plain data,
kept as `standing.json` in the state directory. Durations are measured by CLOCK_BOOTTIME, which does
not jump with the wall clock and is the host's: it is comparable while `boot` is the same.
"""

from __future__ import annotations

import time

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

NAME = "standing.json"
VERSION = 1
FLIPS = 3  # repairs of one resource within an hour: somebody else keeps changing it back
HOUR = 3600.0
_BOOT = "/proc/sys/kernel/random/boot_id"
_UNRESOLVED = ("failed", "unmanageable", "skipped")


class Clock:
    """Now, by both clocks, and the boot that the second one counts from."""

    def __init__(self) -> None:
        self.wall = time.time()
        self.boottime = time.clock_gettime(time.CLOCK_BOOTTIME)
        try:
            with open(_BOOT, encoding="utf-8") as file:
                self.boot = file.read().strip()
        except OSError:
            self.boot = ""

    def since(self, moment: dict[str, Any]) -> float:
        """Return the seconds since a kept moment; by the wall clock only across boots."""
        if moment.get("boot") == self.boot:
            return max(0.0, self.boottime - float(moment["boottime"]))
        return max(0.0, self.wall - float(moment["wall"]))

    def moment(self) -> dict[str, Any]:
        """Return this moment as plain data."""
        return {"wall": self.wall, "boottime": self.boottime, "boot": self.boot}


def after_run(
    before: dict[str, Any] | None, report: dict[str, Any], catalog: str, clock: Clock
) -> dict[str, Any]:
    """Return the standing after a run; `catalog` tells one catalog from another.

    A whole run forgets what was unresolved before, but for what is not part of its phase; a partial
    one only what it touched.
    """
    old = before if _same(before, catalog) else None
    touched = {entry["id"]: entry for entry in report["resources"]}
    unresolved = {
        name: {key: entry[key] for key in ("outcome", "reason", "remedy")}
        for name, entry in touched.items()
        if entry["fatal"] and entry["outcome"] in _UNRESOLVED
    }
    if old:
        seen, left = set(report["partial"]), set(report.get("left", ()))
        kept = {
            name: entry for name, entry in old["unresolved"].items()
            if name in left or (seen and name not in seen)
        }  # fmt: skip
        unresolved = kept | unresolved
    flips = _flips(old, report, clock)
    now = {"id": report["id"], "exit_code": report["exit_code"], **clock.moment()}
    whole = old["whole"] if report["partial"] and old else now
    good = not unresolved and not report["error"]
    return {
        "version": VERSION,
        "catalog": catalog,
        "last": now,
        "whole": whole,
        "success": now if good else (before or {}).get("success"),
        "unresolved": unresolved,
        "pending": report["pending"],
        "flips": flips,
        "contended": sorted(name for name, times in flips.items() if len(times) >= FLIPS),
        "error": report["error"],
        "bundle": report.get("bundle"),
    }


def after_error(before: dict[str, Any] | None, error: str, clock: Clock) -> dict[str, Any]:
    """Return the standing after a run that could not be made at all."""
    empty = {
        "version": VERSION, "catalog": "", "whole": None, "success": None, "unresolved": {},
        "pending": {}, "flips": {}, "contended": [],
    }  # fmt: skip
    now = {"id": "", "exit_code": 1, **clock.moment()}
    return {**empty, **(before or {}), "last": now, "error": error}


def good(found: Any) -> dict[str, Any] | None:
    """Return a standing that was kept, None if it is none that this agent made."""
    return found if isinstance(found, dict) and found.get("version") == VERSION else None


def problems(standing: dict[str, Any], clock: Clock, interval: float) -> list[str]:
    """Return what is wrong, for people; empty: converged, lately, nothing unresolved."""
    found = [standing["error"]] if standing["error"] else []
    for name, entry in standing["unresolved"].items():
        found.append(f"{name} {entry['outcome']}: {entry['reason']}")
    if standing["pending"]:
        found.append(f"refreshes are owed: {', '.join(standing['pending'])}")
    whole = standing["whole"]
    if whole is None:
        found.append("no run has ended yet")
    elif interval and clock.since(whole) > 2 * interval:
        found.append(
            f"the last run ended {clock.since(whole):.0f} s ago; "
            f"it is stale after {2 * interval:g} s"
        )
    return found


def _same(before: dict[str, Any] | None, catalog: str) -> bool:
    return before is not None and before["catalog"] == catalog


def _flips(
    old: dict[str, Any] | None, report: dict[str, Any], clock: Clock
) -> dict[str, list[float]]:
    """Return when each resource was put right again within the last hour (same catalog only)."""
    if old is None:
        return {}
    recent = {
        name: [when for when in times if 0 <= clock.boottime - when < HOUR]
        for name, times in old["flips"].items()
        if old["last"]["boot"] == clock.boot
    }
    for entry in report["resources"]:
        if entry["outcome"] == "changed":
            recent.setdefault(entry["id"], []).append(clock.boottime)
    return {name: times for name, times in recent.items() if times}
