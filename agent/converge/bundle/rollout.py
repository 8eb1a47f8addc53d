"""Who takes a new bundle, and when: a staged roll-out with no server to ask.

Each container has a place between 0 and 1, by a hash of its identity and the bundle's name, and
takes the bundle once the share of the roll-out has passed its place. Pure: the clock is given.
"""

from __future__ import annotations

import hashlib
import re
from typing import TYPE_CHECKING, Any

from converge.bundle import moments
from converge.errors import UsageError
from converge.record import Record

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping

_UNITS = {"s": 1, "m": 60, "h": 3600, "d": 86400}
_KEYS = ("percent", "start", "over", "groups")


class Rollout(Record):
    """`percent` of the containers of `groups` (none: all), growing from `start` on for `over` seconds.

    `start` is in seconds since 1970; 0: at once.
    """

    percent: float = 100.0
    start: float = 0.0
    over: float = 0.0
    groups: tuple[str, ...] = ()

    def share(self, now: float) -> float:
        """Return the share of the containers, 0 to 1, that may have taken the bundle by now."""
        if now < self.start:
            return 0.0
        grown = min(1.0, (now - self.start) / self.over) if self.over else 1.0
        return grown * self.percent / 100

    def waits(self, place: float, groups: Collection[str], now: float) -> str:
        """Return why a container does not take the bundle now; empty: it does."""
        if self.groups and not set(self.groups) & set(groups):
            return f"it is for the groups {', '.join(self.groups)}"
        share = self.share(now)
        if place < share:
            return ""
        return f"it is rolled out to {share:.0%} so far, and this container's place is {place:.0%}"


def parse(plan: Mapping[str, Any]) -> Rollout:
    """Return the roll-out that a bundle declares. Raises UsageError."""
    for key in plan:
        if key not in _KEYS:
            raise UsageError(f"unknown key `{key}` of a roll-out", f"it has {', '.join(_KEYS)}")
    percent, groups = plan.get("percent", 100), plan.get("groups", [])
    if isinstance(percent, bool) or not isinstance(percent, int | float) or not 0 <= percent <= 100:
        raise UsageError(f"`percent` of a roll-out is a number from 0 to 100, not {percent!r}")
    if not isinstance(groups, list) or not all(isinstance(group, str) for group in groups):
        raise UsageError("`groups` of a roll-out is a list of names")
    over = _seconds(plan.get("over", "0s"))
    if over and "start" not in plan:
        raise UsageError("a roll-out `over` a time needs a `start`", "such as 2027-01-31T00:00:00Z")
    start = _moment(plan["start"]) if "start" in plan else 0.0
    return Rollout(percent=float(percent), start=start, over=over, groups=tuple(groups))


def place(identity: str, name: str) -> float:
    """Return the place of a container in the roll-outs of bundles of this name: 0 to below 1."""
    digest = hashlib.sha256(f"{name}\0{identity}".encode(errors="surrogateescape")).digest()
    return int.from_bytes(digest[:6], "big") / 2**48


def _seconds(text: Any) -> float:
    found = re.fullmatch(r"([0-9]{1,6})([smhd])", text) if isinstance(text, str) else None
    if not found:
        raise UsageError(f"{text!r} is not a length of time such as 2h (s, m, h, d)")
    return float(int(found[1]) * _UNITS[found[2]])


def _moment(text: Any) -> float:
    try:
        return moments.parse(text)
    except (TypeError, ValueError):
        raise UsageError(f"{text!r} is not a time such as 2027-01-31T00:00:00Z") from None
