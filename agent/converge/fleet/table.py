"""A fleet as a table in the terminal."""

from __future__ import annotations

from typing import TYPE_CHECKING

from converge.fleet import members
from converge.textdiff import escaped

if TYPE_CHECKING:
    from collections.abc import Sequence

    from converge.fleet.members import Member

_STYLES = {"failed": "bold red", "stale": "red", "contended": "yellow", "drifting": "yellow",
           "waiting": "cyan", "converged": "green"}  # fmt: skip


def show(found: Sequence[Member], now: float, most: int, *, color: str = "auto") -> None:
    """Print the counts and the first `most` members, the worst first."""
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    console = Console(
        force_terminal={"always": True, "never": False}.get(color), no_color=color == "never",
        highlight=False,
    )  # fmt: skip
    counts = members.count(found, now)
    summary = Text(f"{len(found)} container{'s' * (len(found) != 1)}: ")
    told = [(name, number) for name, number in counts.items() if number]
    for i, (name, number) in enumerate(told):
        summary.append(("" if i == 0 else ", ") + f"{number} {name}", _STYLES[name])
    console.print(summary)
    table = Table(box=None, pad_edge=False)
    for title in ("container", "standing", "heard", "converged", "bundle", "what"):
        table.add_column(title, overflow="fold" if title == "what" else "ellipsis")
    for member in members.ordered(found, now)[:most]:
        standing = member.standing(now)
        bundle = f"{member.bundle} {member.sequence}".strip() if member.sequence else ""
        table.add_row(
            Text(escaped(member.name)), Text(standing, _STYLES[standing]),
            ago(member.heard, now), ago(member.success, now), Text(escaped(bundle)),
            Text(escaped(what(member))),
        )  # fmt: skip
    console.print(table)
    if len(found) > most:
        console.print(f"… and {len(found) - most} more (--all)")


def what(member: Member) -> str:
    """Return the one thing that is most worth knowing of a member."""
    if member.detail:
        return member.detail
    if member.unresolved:
        return f"unresolved: {', '.join(member.unresolved[:3])}"
    if member.contended:
        return f"contended: {', '.join(member.contended[:3])}"
    return member.waiting or (f"{member.drift} repaired" if member.drift else "")


def ago(when: float, now: float) -> str:
    """Return how long ago a time is, in one unit."""
    if not when:
        return "never"
    seconds = max(0.0, now - when)
    for size, unit in ((86400, "d"), (3600, "h"), (60, "min")):
        if seconds >= size:
            return f"{seconds / size:.0f} {unit}"
    return f"{seconds:.0f} s"
