"""The report of a run: plain data, the schema of docs/report.md, version 1."""

from __future__ import annotations

import os
import time

from converge import outcome
from converge.textdiff import masked, shown, unified

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Collection
    from typing import Any

    from converge.catalog import Catalog
    from converge.engine import Run
    from converge.outcome import Outcome
    from converge.provider import Change

VERSION = 1


class Stopwatch:
    """When a run began, by the wall clock and by the clock that does not jump."""

    def __init__(self) -> None:
        self.started = time.time()
        self._begin = time.monotonic()

    def seconds(self) -> float:
        """Return how long it has taken, in seconds."""
        return time.monotonic() - self._begin


def exit_code(counts: dict[str, int], troubled: bool, *, dry: bool, detailed: bool) -> int:
    """Return the exit code of a run: 0, or the sum of 2 (changes, drift) and 4 (trouble).

    A plain run that is not dry answers 0 or 4 only.
    """
    moved = counts[outcome.WOULD_CHANGE] if dry else counts[outcome.CHANGED]
    return (2 if moved and (dry or detailed) else 0) + (4 if troubled else 0)


def make(
    catalog: Catalog,
    run: Run,
    watch: Stopwatch,
    *,
    dry: bool,
    detailed: bool,
    reason: str = "once",
    partial: Collection[str] = (),
) -> dict[str, Any]:
    """Return the report of a run that has ended: of all resources, or of the `partial` ones."""
    by_kind, told = _outcomes(catalog, run)
    counts = {name: sum(kind[name] for kind in by_kind.values()) for name in outcome.ALL}
    troubled = any(found.counts for found in run.outcomes.values())
    return {
        "version": VERSION,
        "id": f"{time.strftime('%Y%m%dT%H%M%SZ', time.gmtime(watch.started))}-{os.urandom(3).hex()}",
        "profile": catalog.profile,
        "source": catalog.source,
        "dry_run": dry,
        "reason": reason,
        "phase": run.inspection.phase,
        "left": run.inspection.left,
        "partial": sorted(partial),
        "full": run.inspection.full,
        "started": watch.started,
        "seconds": round(watch.seconds(), 4),
        "exit_code": exit_code(counts, troubled, dry=dry, detailed=detailed),
        "counts": counts,
        "kinds": by_kind,
        "resources": told,
        "refreshed": _foreseen(run) if dry else run.refreshed,
        "pending": run.notifications.pending,
        "messages": [],
        "contended": [],
        "error": "",
        "bundle": None,
    }


def failed(error: str, reason: str) -> dict[str, Any]:
    """Return what is told of a run that could not be made."""
    told = {"error": masked(error), "exit_code": 1, "reason": reason}
    return {**told, "started": time.time(), "seconds": 0.0}


def _foreseen(run: Run) -> list[str]:
    """Return what a run that is not dry would refresh, if all changes that it makes succeed."""
    told: list[str] = []
    due: set[str] = set()
    for name, resource in run.inspection.resources.items():
        found = run.outcomes[name]
        changes = found.result == outcome.WOULD_CHANGE and not resource.noop
        made = changes and found.change is not None and found.change.before is None
        refreshed = name in due and not (made or found.blocks or resource.noop)
        told += [name] if refreshed else []
        due |= set(resource.notify) if changes or refreshed else set()
    return told


def _outcomes(catalog: Catalog, run: Run) -> tuple[dict[str, dict[str, int]], list[dict[str, Any]]]:
    """Return how many of each kind came to what, and what is told of those not in sync."""
    by_kind: dict[str, dict[str, int]] = {}
    told = []
    for resource in catalog.resources:
        found = run.outcomes.get(resource.id)
        if found is None:
            continue  # not selected
        if resource.kind not in by_kind:
            by_kind[resource.kind] = dict.fromkeys(outcome.ALL, 0)
        by_kind[resource.kind][found.result] += 1
        if found.result != outcome.IN_SYNC:
            told.append(
                {"id": resource.id, "kind": resource.kind, "file": resource.file,
                 "line": resource.line, **describe(found, run)}
            )  # fmt: skip
    return by_kind, told


def describe(found: Outcome, run: Run) -> dict[str, Any]:
    """Return what the report tells of one resource that is not in sync."""
    plain: dict[str, Any] = {
        "outcome": found.result,
        "reason": masked(found.reason),
        "remedy": masked(found.remedy),
        "fatal": found.counts,
        "action": "",
        "verb": "",
        "fields": [],
        "diff": "",
        "in_place": False,
    }
    if found.change is not None:
        item = run.inspection.item(found.change.id)
        hidden = item.provider.hidden(found.change)
        in_place = (
            found.result == outcome.CHANGED and item.spec.subject() in run.system.written_in_place
        )
        plain |= {"in_place": in_place, **describe_change(found.change, hidden)}
        made, removed = item.provider.verbs
        plain["verb"] = {"create": made, "remove": removed}.get(plain["action"], "")
    return plain


def describe_change(change: Change[Any, Any], hidden: frozenset[str]) -> dict[str, Any]:
    """Return a change as plain data: `action`, `fields` and, for texts, a unified `diff`."""
    if change.after is None:
        return {"action": "remove", "fields": [], "diff": ""}
    fields: list[dict[str, Any]] = []
    diffs = []
    for field in change.fields:
        if field.field in hidden:
            fields.append({"field": field.field, "before": "[hidden]", "after": "[hidden]"})
        elif field.field in change.after.text:
            diffs.append(unified(change.spec.subject(), field.before, field.after))
            fields.append({"field": field.field, "before": None, "after": None})
        else:
            before, after = shown(field.before), shown(field.after)
            fields.append({"field": field.field, "before": before, "after": after})
    action = "create" if change.before is None else "change"
    return {"action": action, "fields": fields, "diff": "".join(diffs)}
