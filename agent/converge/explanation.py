"""`converge explain`: one resource, from its declaration to its live state."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from converge import loading, state
from converge.errors import UsageError, close_match
from converge.inspection import Inspection
from converge.report import describe_change
from converge.system import System
from converge.textdiff import escaped, shown

if TYPE_CHECKING:
    from converge.config import Settings
    from converge.output import Painter


def explain(settings: Settings, name: str) -> dict[str, Any]:
    """Return what is known of a resource, as plain data. Raises UsageError if there is none."""
    system = System(settings.root)
    kept = state.find(settings.state_dir, settings.root, create=False)
    catalog = loading.load(settings, system, kept, ask=False).catalog
    found = next((one for one in catalog.resources if one.id == name), None)
    if found is None:
        ids = [one.id for one in catalog.resources]
        raise UsageError(f"the profile declares no {name}", close_match(name, ids))
    inspection = Inspection(catalog)
    item = inspection.items.get(name)
    differing = inspection.inspect([item], system.read_only()) if item else {}
    outcome = inspection.outcomes[name]
    hidden = item.provider.hidden(outcome.change) if item and outcome.change else frozenset()
    wanted = item.provider.desired(item.spec) if item else None
    hidden |= wanted.secret if wanted else frozenset()
    last = (kept.last_report() if kept else None) or {"resources": []}
    told = [one for one in last["resources"] if one["id"] == name]
    return {
        "version": 1,
        "id": name,
        "file": found.file,
        "line": found.line,
        "declared": {k: shown(v) for k, v in found.spec.items() if k not in hidden},
        "wave": found.wave,
        "after": list(found.after),
        "before": [one.id for one in catalog.resources if name in one.after],
        "notifies": list(found.notify),
        "now": "would_change" if name in differing else outcome.result,
        "reason": outcome.reason,
        "remedy": outcome.remedy,
        "change": describe_change(outcome.change, hidden) if outcome.change else None,
        "last_run": told[0]["outcome"] if told else ("in_sync" if last.get("id") else None),
    }


def print_explanation(found: dict[str, Any], painter: Painter) -> None:
    """Print an explanation for people."""
    painter.line(f"{painter.paint('bold', escaped(found['id']))}")
    painter.line(f"  declared at {found['file']}:{found['line']}")
    for name, value in found["declared"].items():
        if value not in (None, [], ""):
            painter.line(f"    {name}: {escaped(str(value))}")
    for key, title in (
        ("after", "goes after"),
        ("before", "goes before"),
        ("notifies", "notifies"),
    ):
        if found[key]:
            painter.line(f"  {title}: {escaped(', '.join(found[key]))}")
    why = " ".join(filter(None, (found["reason"], found["remedy"] and f"({found['remedy']})")))
    painter.line(f"  now: {found['now'].replace('_', ' ')}{': ' + escaped(why) if why else ''}")
    for field in (found["change"] or {}).get("fields", []):
        if field["before"] is not None or field["after"] is not None:
            painter.line(f"    {field['field']}: {field['before']} → {field['after']}")
    for line in ((found["change"] or {}).get("diff") or "").splitlines():
        painter.line(f"    {line}")
    painter.line(f"  in the last run: {(found['last_run'] or 'no run yet').replace('_', ' ')}")
