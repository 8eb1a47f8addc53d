"""The JSON schema of the profile language, plug-ins included (draft 2020-12)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from converge import kinds
from converge.common import Common
from converge.models import schema_of

if TYPE_CHECKING:
    from collections.abc import Iterable

_TEMPLATE = {"type": "string", "pattern": r"\{[{%#]", "description": "A Jinja2 template."}


def profile_schema(kind_names: Iterable[str]) -> dict[str, Any]:
    """Return the schema of a profile whose resources are of these kinds."""
    definitions: dict[str, Any] = {}
    resources = [_resource(name, definitions) for name in kind_names]
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "converge profile",
        "type": "object",
        "additionalProperties": False,
        "properties": {
            "profile": {"type": "string", "description": "The profile's name."},
            "description": {"type": "string", "description": "What it is for."},
            "include": {
                "type": "array",
                "items": {"type": "string"},
                "description": "Files whose resources go first, relative to this one.",
            },
            "vars": {
                "type": "object",
                "propertyNames": {"pattern": r"^[^\W\d]\w*$"},
                "description": "Names that templates may use.",
            },
            "resources": {
                "type": "array",
                "items": {"anyOf": resources},
                "description": "What is declared, in order.",
            },
        },
        "$defs": definitions,
    }


def _resource(kind: str, definitions: dict[str, Any]) -> dict[str, Any]:
    """Return the schema of a resource of one kind; its shared parts go to the definitions."""
    own, common = schema_of(kinds.load(kind).spec), schema_of(Common)
    definitions.update({**own.get("$defs", {}), **common.get("$defs", {})})
    properties = {
        name: _or_template(field)
        for name, field in {**own["properties"], **common["properties"]}.items()
        if name != "name"
    }
    names = own["properties"]["name"]
    one = {"type": ["string", "integer"]}
    properties[kind] = {
        "description": f"{own.get('description', '')} {names.get('description', '')}".strip(),
        "anyOf": [one, {"type": "array", "items": one, "minItems": 1}],
    }
    required = [name for name in own.get("required", []) if name != "name"]
    return {
        "type": "object",
        "title": kind,
        "additionalProperties": False,
        "properties": properties,
        "required": [kind, *required],
    }


def _or_template(field: dict[str, Any]) -> dict[str, Any]:
    """Let a template stand for a value of any type."""
    plain = {k: v for k, v in field.items() if k not in ("description", "default", "title")}
    kept = {k: v for k, v in field.items() if k in ("description", "default")}
    return {**kept, "anyOf": [plain, _TEMPLATE]}
