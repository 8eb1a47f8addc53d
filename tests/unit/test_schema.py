"""The JSON schema of the language: valid itself, and it takes and refuses what the agent does."""

from __future__ import annotations

import json

import jsonschema
import pytest

from converge import kinds
from converge.language.common import Common
from converge.language.models import validate
from converge.language.schema import profile_schema, templated


@pytest.fixture(scope="module")
def schema():
    return profile_schema(kinds.names())


@pytest.fixture(scope="module")
def validator(schema):
    return jsonschema.Draft202012Validator(schema)


def resource(validator, **attributes):
    """Tell whether the schema takes a profile with one resource."""
    return validator.is_valid({"resources": [attributes]})


def test_the_schema_is_valid_and_plain_json(schema):
    jsonschema.Draft202012Validator.check_schema(schema)
    assert json.loads(json.dumps(schema)) == schema


def references(part):
    if isinstance(part, dict):
        yield from [part["$ref"]] if "$ref" in part else []
        part = list(part.values())
    if isinstance(part, list):
        for item in part:
            yield from references(item)


def test_every_reference_leads_somewhere(schema):
    found = set(references(schema))
    assert {f"#/$defs/{name}" for name in kinds.names()} <= found
    for reference in found:
        assert reference.removeprefix("#/$defs/") in schema["$defs"]


@pytest.mark.parametrize("kind", kinds.names())
def test_every_attribute_of_every_kind_is_there_and_explained(schema, kind):
    described = schema["$defs"][kind]
    names = {*kinds.load(kind).spec.field_names, *Common.field_names, kind} - {"name"}
    assert described["properties"].keys() == names
    assert described["description"]
    assert described["additionalProperties"] is False
    for name, attribute in described["properties"].items():
        assert attribute.get("description"), name


@pytest.mark.parametrize("kind", kinds.names())
def test_no_attribute_of_a_kind_is_a_common_one(kind):
    assert not set(kinds.load(kind).spec.field_names) & set(Common.field_names)


@pytest.mark.parametrize(
    "profile",
    [
        {},
        {"profile": "web", "description": "x", "include": ["a.yaml"], "resources": []},
        {"assert": [{"that": "a > 1", "message": "x {{ a }}"}, {"that": True, "phase": "run"}]},
        {"layers": ["hosts/{{ facts.hostname }}.yaml"], "merge": {"a": "deep", "b": "unique"}},
        {"vars": {"a": [1, {"b": None}], "_b2": "{{ a }}", "größe": 1}},
        {"resources": [{"symlink": "/a", "target": "/b"}, {"symlink": ["/c"], "state": "absent"}]},
    ],
)
def test_profiles_that_are_right(validator, profile):
    assert list(validator.iter_errors(profile)) == []


@pytest.mark.parametrize(
    "profile",
    [
        *([], None, {"nothing": 1}, {"profile": 1}, {"include": "a.yaml"}, {"include": [1]}),
        *({"vars": []}, {"vars": {"a-b": 1}}, {"vars": {"facts": 1}}, {"vars": {"1a": 1}}),
        *(
            {"assert": ["a"]},
            {"assert": [{}]},
            {"assert": [{"that": 1}]},
            {"assert": {"that": "a"}},
        ),
        *({"layers": "a.yaml"}, {"layers": [1]}, {"merge": {"a": "all"}}, {"merge": ["a"]}),
        *({"resources": {}}, {"resources": ["file:/a"]}, {"resources": [{}]}),
        *({"resources": [{"nothing": "/a"}]}, {"resources": [{"symlink": []}]}),
    ],
)
def test_profiles_that_are_wrong(validator, profile):
    assert not validator.is_valid(profile)


COMMON = [
    *({"require": "file:/a"}, {"require": ["file:/a", "package:b"]}, {"require": []}),
    *({"before": "user:x"}, {"notify": "file:/a:b"}, {"subscribe": ["file:/a b"]}),
    *({"when": "'web' in roles"}, {"when": True}, {"tags": "web"}, {"tags": ["a", "b"]}),
    *({"noop": True}, *({"on_unmanageable": word} for word in ("fail", "warn", "skip"))),
]
NOT_COMMON = [
    *({"require": "a"}, {"require": [1]}, {"before": [":a"]}, {"notify": {}}, {"notify": "file:"}),
    *({"when": 1}, {"tags": 1}, {"tags": [None]}, {"noop": "yes"}, {"noop": 1}, {"require": None}),
    *({"on_unmanageable": "ignore"}, {"nothing": 1}, {"requires": "file:/a"}),
]


@pytest.mark.parametrize("attributes", COMMON)
def test_common_attributes(validator, attributes):
    assert resource(validator, symlink="/a", target="/b", **attributes)
    common, problems = validate(Common, attributes)
    assert problems == []
    for name, value in attributes.items():
        several = isinstance(value, str) and name not in ("when", "on_unmanageable")
        assert getattr(common, name) == ([value] if several else value)


@pytest.mark.parametrize("attributes", NOT_COMMON)
def test_common_attributes_that_are_wrong(validator, attributes):
    assert not resource(validator, symlink="/a", target="/b", **attributes)
    common, problems = validate(Common, attributes)
    assert common is None
    for (name, *_), message in problems:
        assert name in attributes
        assert message


def test_what_a_wrong_reference_is_told():
    _, problems = validate(Common, {"require": ["file:/a", "b"]})
    assert problems == [
        (
            ("require", 1),
            "'b' is not the id of a resource: write `kind:name`, as in `file:/etc/motd`",
        )
    ]


def test_the_defaults():
    common, _ = validate(Common, {})
    assert list(common.require) == list(common.tags) == []
    assert (common.when, common.noop, common.on_unmanageable) == (True, False, "fail")
    assert list(Common().notify) == []


@pytest.mark.parametrize(
    "attributes",
    [
        *({"force": "{{ force }}"}, {"force": "{% if a %}true{% endif %}"}, {"noop": "{{ x }}"}),
        *({"state": "{{ 'absent' }}"}, {"owner": "{{ uid }}"}, {"require": "{{ others }}"}),
        *({"require": ["file:/{{ a }}", "{{ b }}"]}, {"tags": "{{ tags }}"}),
        {"on_unmanageable": "{{ strict }}"},
    ],
)
def test_a_template_stands_for_a_value_of_any_type(validator, attributes):
    assert resource(validator, symlink="{{ path }}", target="{{ to }}", **attributes)


@pytest.mark.parametrize(
    "attributes",
    [
        *({"force": "true"}, {"force": 1}, {"state": "gone"}, {"owner": 1.5}, {"target": ["/b"]}),
        *({"name": "/a"}, {"mode": "0644"}, {"file": "/a"}),
    ],
)
def test_attributes_that_are_wrong(validator, attributes):
    assert not resource(validator, symlink="/a", **{"target": "/b", **attributes})


@pytest.mark.parametrize(
    ("schema", "takes", "refuses"),
    [
        ({"type": "integer"}, [1, "{{ x }}"], ["x", 1.5]),
        ({"type": "string"}, ["x", "{{ x }}"], [1]),
        ({"enum": ["a", 1]}, ["a", 1, "{% x %}"], ["b"]),
        ({"anyOf": [{"type": "integer"}, {"type": "null"}]}, [1, None, "{{ x }}"], ["x"]),
        ({"anyOf": [{"type": "string"}, {"type": "null"}]}, ["x", None], [1]),
        ({"type": "array", "items": {"type": "integer"}}, [[1, "{{ x }}"], "{{ x }}"], [["x"]]),
        (
            {"type": "object", "additionalProperties": {"type": "boolean"}},
            [{"a": True, "b": "{{ x }}"}, "{{ x }}"],
            [{"a": "x"}, "x"],
        ),
        (
            {"type": "object", "properties": {"a": {"type": "integer"}}, "required": ["a"]},
            [{"a": 1}, {"a": "{{ x }}"}, "{{ x }}"],
            [{}, {"a": "x"}],
        ),
        ({}, [1, "x", {"a": 1}], []),
    ],
)
def test_templates_in_schemas_of_every_shape(schema, takes, refuses):
    before = json.dumps(schema)
    definitions = profile_schema([])["$defs"]
    validator = jsonschema.Draft202012Validator({**templated(schema), "$defs": definitions})
    assert [value for value in takes if not validator.is_valid(value)] == []
    assert [value for value in refuses if validator.is_valid(value)] == []
    assert json.dumps(schema) == before


def test_a_description_stays_where_an_editor_looks():
    made = templated({"type": "integer", "description": "How many.", "default": 1, "title": "N"})
    assert (made["description"], made["default"]) == ("How many.", 1)
    assert "title" not in made
