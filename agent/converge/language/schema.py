"""The JSON schema of the profile language (draft 2020-12), by which editors complete and explain."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterable

_TEMPLATE = {"$ref": "#/$defs/template"}
_VAR = {"pattern": r"^[^\W\d]\w*$", "not": {"const": "facts"}}
_KEYS: dict[str, Any] = {
    "profile": {"type": "string", "description": "The name of the profile."},
    "description": {"type": "string", "description": "What the profile is for."},
    "include": {
        "type": "array",
        "items": {"type": "string"},
        "description": "Profiles to read first: paths relative to this file.",
    },
    "vars": {
        "type": "object",
        "propertyNames": _VAR,
        "description": "Values that templates use, by name.",
    },
    "layers": {
        "type": "array",
        "items": {"type": "string", "minLength": 1},
        "description": "Files of vars, the strongest first: paths relative to the profile's folder, "
        "which may be templates. What is not there is left out.",
    },
    "merge": {
        "type": "object",
        "propertyNames": _VAR,
        "additionalProperties": {"enum": ["first", "unique", "deep"]},
        "description": "How the values of a var from several files become one: the strongest counts "
        "(first), all items of lists (unique), mappings key by key (deep).",
    },
    "assert": {
        "type": "array",
        "items": {
            "type": "object",
            "properties": {
                "that": {
                    "anyOf": [{"type": "string"}, {"type": "boolean"}],
                    "description": "A Jinja2 expression without braces, which has to hold.",
                },
                "message": {
                    "type": "string",
                    "description": "What to say where it does not; it may be a template.",
                },
                "phase": {
                    "anyOf": [
                        {"enum": ["bake", "start", "run"]},
                        {
                            "type": "array",
                            "items": {"enum": ["bake", "start", "run"]},
                            "minItems": 1,
                        },
                    ],
                    "description": "The phases in which it is asked; default: all.",
                },
            },
            "required": ["that"],
            "additionalProperties": False,
        },
        "description": "What the profile needs: where one does not hold, nothing is touched.",
    },
}


def profile_schema(kind_names: Iterable[str]) -> dict[str, Any]:
    """Return the schema of a profile file whose resources are of these kinds."""
    names = sorted(kind_names)
    definitions: dict[str, Any] = {
        "template": {
            "type": "string",
            "pattern": r"\{[{%#]",
            "description": "A template, rendered when the catalog is compiled.",
        }
    }
    for name in names:
        definitions.update(_definitions(name))
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "converge profile",
        "type": "object",
        "properties": {
            **_KEYS,
            "resources": {
                "type": "array",
                "items": {"anyOf": [{"$ref": f"#/$defs/{name}"} for name in names]},
                "description": "The resources; the first key of each is its kind.",
            },
        },
        "additionalProperties": False,
        "$defs": definitions,
    }


def _definitions(kind: str) -> dict[str, Any]:
    """Return the schema of a resource of one kind, and those that it refers to, by name."""
    from converge import kinds
    from converge.language.common import Common
    from converge.language.models import schema_of

    own = schema_of(kinds.load(kind).spec, ref_template=f"#/$defs/{kind}.{{model}}")
    attributes = {**own["properties"], **schema_of(Common)["properties"]}
    name = attributes.pop("name")
    written = {key: templated(schema) for key, schema in attributes.items()}
    resource = {
        "title": kind,
        "description": own["description"],
        "type": "object",
        "properties": {kind: _names(name), **written},
        "required": [kind, *(key for key in own.get("required", ()) if key != "name")],
        "additionalProperties": False,
    }
    inner = {f"{kind}.{key}": _inside(schema) for key, schema in own.get("$defs", {}).items()}
    return {kind: resource, **inner}


def _names(schema: dict[str, Any]) -> dict[str, Any]:
    """Return the schema of a kind's own key: a name, or several names."""
    one = {key: value for key, value in templated(schema).items() if key != "description"}
    several = {"type": "array", "items": one, "minItems": 1}
    return {"anyOf": [one, several], "description": schema.get("description", "")}


def templated(schema: dict[str, Any]) -> dict[str, Any]:
    """Return a schema that takes a template wherever it takes a value that is no free string."""
    inner = _inside(schema)
    inner.pop("title", None)  # pydantic's, which says no more than the key does
    if _takes_any_string(inner):
        return inner
    outer: dict[str, Any] = {
        key: inner.pop(key) for key in ("description", "default") if key in inner
    }
    branches = inner["anyOf"] if inner.keys() == {"anyOf"} else [inner]
    return {**outer, "anyOf": [*branches, _TEMPLATE]}


def _inside(schema: dict[str, Any]) -> dict[str, Any]:
    """Return a schema with templates allowed in what it holds, but not in its place."""
    made = dict(schema)
    if "properties" in made:
        made["properties"] = {key: templated(one) for key, one in made["properties"].items()}
    for key in ("items", "additionalProperties"):
        if isinstance(made.get(key), dict):
            made[key] = templated(made[key])
    for key in ("anyOf", "oneOf"):
        if key in made:
            made[key] = [_inside(one) for one in made[key]]
    return made


def _takes_any_string(schema: dict[str, Any]) -> bool:
    if not schema.keys() - {"title", "description", "default"}:
        return True
    narrowing = {"enum", "const", "pattern", "maxLength", "minLength", "format"}
    if schema.get("type") == "string" and not schema.keys() & narrowing:
        return True
    return any(_takes_any_string(one) for one in schema.get("anyOf", ()))
