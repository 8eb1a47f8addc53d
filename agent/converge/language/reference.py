"""`converge kinds`: the reference of kinds, made from their specs."""

from __future__ import annotations

import json
from typing import Any

from converge import kinds
from converge.errors import UsageError, close_match
from converge.language.models import schema_of


def plain(kind: str | None) -> dict[str, Any]:
    """Return every kind with its description, or one kind with its attributes."""
    if kind is None:
        return {name: schema_of(kinds.load(name).spec)["description"] for name in kinds.names()}
    if kind not in kinds.names():
        raise UsageError(f"there is no kind {kind!r}", close_match(kind, kinds.names()))
    described = schema_of(kinds.load(kind).spec)
    required = described.get("required", [])
    attributes = {
        name: {
            "type": _type(field),
            "required": name in required,
            "default": field.get("default"),
            "description": field.get("description", ""),
        }
        for name, field in described["properties"].items()
        if name != "managed"  # filled in by the compiler (Provider.adopt); to write it is an error
    }
    return {"kind": kind, "description": described["description"], "attributes": attributes}


def text(kind: str | None) -> str:
    """Return the same for people."""
    found = plain(kind)
    if kind is None:
        width = max(map(len, found))
        return "\n".join(f"{name:{width}}  {words}" for name, words in found.items())
    from converge.language.common import Common

    lines = [f"{kind}: {found['description']}", ""]
    for name, field in found["attributes"].items():
        about = field["type"]
        if field["required"]:
            about += ", required"
        elif field["default"] is not None:
            about += f", default {json.dumps(field['default'])}"
        label = f"{kind} (the name)" if name == "name" else name
        lines.append(f"  {label}: {about}")
        lines.append(f"      {field['description']}")
    lines += ["", f"Every resource has besides: {', '.join(sorted(Common.field_names))}."]
    return "\n".join(lines)


def _type(field: dict[str, Any]) -> str:
    if field.get("properties", {}).keys() == {"env", "file", "command"}:
        return "secret"
    if "enum" in field:
        return " | ".join(map(str, field["enum"]))
    if "const" in field:
        return str(field["const"])
    if "anyOf" in field:
        return " | ".join(_type(one) for one in field["anyOf"] if one.get("type") != "null")
    if field.get("type") == "array":
        return f"list of {_type(field.get('items', {}))}"
    return str(field.get("type", "any"))
