"""What `converge explain` found, for people to read."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from converge.textdiff import escaped, in_words

if TYPE_CHECKING:
    from converge.reports.output import Painter

_MOST = 200  # characters of a value
_SOURCES = {
    "include": "included file", "profile": "profile", "layer": "layer", "option": "flag",
    "settings": "settings", "environment": "environment",
}  # fmt: skip


def print_resource(found: dict[str, Any], painter: Painter, attribute: str | None) -> None:
    """Print what is known of a resource, or of one of its attributes."""
    painter.line(painter.paint("bold", escaped(found["id"])))
    painter.line(f"  declared at {found['file']}:{found['line']}")
    for name, value in found["declared"].items():
        if name == attribute or (attribute is None and value not in (None, [], "")):
            painter.line(f"    {name}: {_text(value)}")
            about = found["attributes"].get(name, {})
            _print_written(about, painter, whole=attribute is not None)
    for name in ("when", "for_each"):
        if name in found["attributes"] and attribute in (None, name):
            painter.line(f"    {name}: {_text(found['attributes'][name]['written'])}")
    for name, var in found["vars"].items():
        _print_var(name, var, painter, "  ")
    if attribute is None:
        _print_state(found, painter)


def _print_written(about: dict[str, Any], painter: Painter, *, whole: bool) -> None:
    """Print where an attribute is written, if that says more than its value does."""
    if about.get("uses"):
        line = f"from {about['place']}: {_text(about['written'])}"
    elif whole:
        line = f"from {about['place']}" if about else "the default, or made of other attributes"
    else:
        return
    painter.line(painter.paint("dim", f"      {line}"))


def _print_state(found: dict[str, Any], painter: Painter) -> None:
    for key, title in (
        ("after", "goes after"), ("before", "goes before"), ("notifies", "notifies"),
    ):  # fmt: skip
        if found[key]:
            painter.line(f"  {title}: {escaped(', '.join(found[key]))}")
    why = " ".join(filter(None, (found["reason"], found["remedy"] and f"({found['remedy']})")))
    painter.line(f"  now: {found['now'].replace('_', ' ')}{': ' + escaped(why) if why else ''}")
    change = found["change"] or {}
    for field in change.get("fields", []):
        if field["before"] is not None or field["after"] is not None:
            before, after = in_words(field["before"]), in_words(field["after"])
            painter.line(f"    {field['field']}: {before} → {after}")
    for line in (change.get("diff") or "").splitlines():
        painter.line(f"    {line}")
    painter.line(f"  in the last run: {(found['last_run'] or 'no run yet').replace('_', ' ')}")


def print_var(found: dict[str, Any], painter: Painter) -> None:
    """Print what is known of a var."""
    _print_var(found["id"].removeprefix("var:"), found, painter, "")
    for used in found["used_by"]:
        painter.line(f"  used by {escaped(used['id'])}: {', '.join(used['attributes'])}")


def _print_var(name: str, var: dict[str, Any], painter: Painter, indent: str) -> None:
    shown = painter.paint("red", escaped(var["error"])) if var["error"] else _text(var["value"])
    painter.line(f"{indent}{painter.paint('bold', f'var {escaped(name)}')} = {shown}")
    merged = var["merge"] != "first" and sum(one["counts"] for one in var["origins"]) > 1
    for one in var["origins"]:
        place = f"{_SOURCES[one['source']]} {escaped(one['place'])}"
        verb = "from" if one["counts"] else "overrides"
        note = f", merged ({var['merge']})" if merged and one["counts"] else ""
        painter.line(f"{indent}  {verb} {place}{note}: {_text(one['value'])}")
    if var["uses"]:
        painter.line(f"{indent}  reads {escaped(', '.join(var['uses']))}")


def _text(value: Any) -> str:
    import json

    text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
    text = escaped(text)
    return text if len(text) <= _MOST else f"{text[:_MOST]}… ({len(text)} characters)"
