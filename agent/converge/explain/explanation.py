"""`converge explain`: one resource, from its declaration to its live state, or one var."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from converge import loading
from converge.errors import ProfileError, UsageError, close_match
from converge.explain.provenance import Provenance
from converge.inspection import Inspection
from converge.language.secret_references import blank
from converge.language.secret_references import written as as_written
from converge.provider import Change
from converge.reports.report import describe_change
from converge.state import directory as state
from converge.system import System
from converge.textdiff import shown

if TYPE_CHECKING:
    from converge.catalog import Catalog, Resource
    from converge.config import Settings
    from converge.inspection import Item

_HIDDEN = "[hidden]"


def explain_var(settings: Settings, name: str) -> dict[str, Any]:
    """Return what is known of a var, as plain data. Raises UsageError if there is none."""
    system = System(settings.root)
    kept = state.find(settings.state_dir, settings.root, create=False)
    source = Provenance(settings, system, kept)
    if name not in source.vars:
        raise UsageError(f"nothing sets a var {name!r}", close_match(name, source.vars))
    try:
        catalog = loading.load(settings, system, kept, ask=False).catalog
    except ProfileError:  # of a wrong profile the var alone is told
        return {"version": 1, "id": f"var:{name}", **source.var(name), "used_by": []}
    used_by, hidden = _users(catalog, source, name)
    return {"version": 1, "id": f"var:{name}", **_var(source, name, hidden), "used_by": used_by}


def _users(catalog: Catalog, source: Provenance, name: str) -> tuple[list[dict[str, Any]], bool]:
    """Return the resources that a var goes into, and whether it is hidden in one of them."""
    users, secret = [], False
    items = Inspection(catalog).items
    for resource in catalog.resources:
        written = source.attributes(resource.kind, resource.file, resource.line)
        attributes = [k for k, about in written.items() if name in source.closure(about["uses"])]
        if attributes:
            users.append({"id": resource.id, "attributes": attributes})
            secret |= not _hidden(items.get(resource.id)).isdisjoint(attributes)
    return users, secret


def _hidden(item: Item | None) -> frozenset[str]:
    """Return the attributes of a resource that are never shown."""
    if item is None:
        return frozenset()
    spec = blank(item.spec)
    wanted = item.provider.desired(spec)
    if wanted is None:
        return frozenset()
    change = Change(id=item.resource.id, spec=spec, before=None, after=wanted)
    hidden: frozenset[str] = item.provider.hidden(change)
    return hidden.union(wanted.secret)


def _var(source: Provenance, name: str, hidden: bool) -> dict[str, Any]:
    found = source.var(name)
    if hidden:
        found["value"] = _HIDDEN
        found["origins"] = [{**one, "value": _HIDDEN} for one in found["origins"]]
    return found


def explain(settings: Settings, name: str, attribute: str | None = None) -> dict[str, Any]:
    """Return what is known of a resource, as plain data; of one attribute, only its vars.

    Raises UsageError if there is no such resource or attribute.
    """
    kept = state.find(settings.state_dir, settings.root, create=False)
    system = System(settings.root, notes=state.notes_of(kept, settings.root))
    catalog = loading.load(settings, system, kept, ask=False).catalog
    found = next((one for one in catalog.resources if one.id == name), None)
    if found is None:
        ids = [one.id for one in catalog.resources]
        alike = [f"`{one}`" for one in ids if one.partition(":")[2] == name]
        remedy = f"did you mean {' or '.join(alike)}?" if alike else close_match(name, ids)
        raise UsageError(f"the profile declares no {name}", remedy)
    inspection, spec = Inspection(catalog), found.whole_spec()
    item = inspection.items.get(name)
    differing = inspection.inspect([name], system.read_only()) if item else {}
    outcome = inspection.outcomes[name]
    hidden = _hidden(item)
    if item and outcome.change:
        hidden |= item.provider.hidden(outcome.change)
    last = (kept.last_report() if kept else None) or {"resources": []}
    told = [one for one in last["resources"] if one["id"] == name]
    return {
        "version": 1,
        "id": name,
        "file": found.file,
        "line": found.line,
        "declared": {k: shown(as_written(v)) for k, v in spec.items() if k not in hidden},
        **_origins(Provenance(settings, system, kept), found, hidden, attribute),
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


def _origins(
    source: Provenance, resource: Resource, hidden: frozenset[str], attribute: str | None
) -> dict[str, Any]:
    """Return where the attributes come from, and the vars that they are made of."""
    written = source.attributes(resource.kind, resource.file, resource.line)
    known = {*written, *resource.whole_spec()}
    if attribute and attribute not in known:
        message = f"{resource.id} has no attribute `{attribute}`"
        raise UsageError(message, close_match(attribute, known))
    asked = [attribute] if attribute else list(written)
    secret = set(source.closure(use for k in hidden for use in written.get(k, {}).get("uses", ())))
    uses = [use for key in asked for use in written.get(key, {}).get("uses", ())]
    if "for_each" in written:  # where `item` and the like come from
        uses += written["for_each"]["uses"]
    return {
        "attributes": {
            key: {**about, "written": _HIDDEN} if key in hidden else about
            for key, about in written.items()
        },
        "vars": {name: _var(source, name, name in secret) for name in source.closure(uses)},
    }
