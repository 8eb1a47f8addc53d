"""Specs as models: what is accepted, and every problem with its place."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Annotated, Any, Literal

import pytest

from converge.models import model_of, schema_of, validate
from converge.provider import Spec

if TYPE_CHECKING:
    from converge.fields import AbsolutePath, Doc, Matching, Mode


class ThingSpec(Spec):
    """A thing."""

    name: Annotated[AbsolutePath, Doc("Where it is.")]
    state: Literal["present", "absent"] = "present"
    size: int = 1
    mode: Mode | None = None
    tags: list[str] = []  # noqa: RUF012  pydantic copies it
    options: dict[str, int] | None = None
    ratio: float | None = None
    both: str | int | None = None
    code: Annotated[str, Matching("[a-z]+", "a code")] | None = None

    def problems(self) -> Iterable[tuple[str, str]]:
        if self.state == "absent" and self.size > 1:
            yield "size", "what is absent has no size"
        if self.size > 100:
            yield "size", "too large"


class ChildSpec(ThingSpec):
    colour: Literal["red", "blue"] = "red"


class OldNameSpec(Spec):
    """An attribute that is named as an old method of pydantic's."""

    copy: str | None = None
    json: bool = False


def wrong(declared: dict[str, Any]) -> dict[tuple[str | int, ...], str]:
    spec, problems = validate(ThingSpec, {"name": "/a", **declared})
    assert spec is None
    return dict(problems)


def right(declared: dict[str, Any]) -> ThingSpec:
    spec, problems = validate(ThingSpec, {"name": "/a", **declared})
    assert problems == []
    assert isinstance(spec, ThingSpec)
    return spec


def test_defaults():
    spec = right({})
    assert spec.as_dict() == {
        "name": "/a",
        "state": "present",
        "size": 1,
        "mode": None,
        "tags": [],
        "options": None,
        "ratio": None,
        "both": None,
        "code": None,
    }


def test_values_are_plain_and_canonical():
    spec = right(
        {"name": "//a/./b/", "mode": "644", "tags": ["x"], "options": {"a": 1}, "ratio": 2}
    )
    assert (spec.name, spec.mode, spec.tags, spec.options) == ("/a/b", "0644", ["x"], {"a": 1})
    assert type(spec.tags) is list


def test_what_was_declared_is_not_shared():
    tags = ["x"]
    spec = right({"tags": tags})
    tags.append("y")
    assert spec.tags == ["x"]
    right({}).tags.append("z")
    assert right({}).tags == []


@pytest.mark.parametrize(
    ("declared", "place", "message"),
    [
        ({"colour": 1}, ("colour",), "unknown attribute `colour`"),
        ({"name": "a"}, ("name",), "'a' is not an absolute path"),
        ({"state": "gone"}, ("state",), "'gone' is not one of 'present' or 'absent'"),
        ({"size": "2"}, ("size",), "input should be a valid integer, not '2'"),
        ({"size": True}, ("size",), "input should be a valid integer, not True"),
        ({"size": 1.0}, ("size",), "input should be a valid integer, not 1.0"),
        ({"tags": "x"}, ("tags",), "input should be a valid list, not 'x'"),
        ({"tags": ["x", 5]}, ("tags", 1), "input should be a valid string, not 5"),
        ({"options": {"a": "b"}}, ("options", "a"), "input should be a valid integer, not 'b'"),
        ({"code": "A"}, ("code",), "'A' is not a code"),
    ],
)
def test_problems(declared, place, message):
    assert wrong(declared) == {place: message}


def test_a_mode_that_is_a_number():
    assert 'quote it: "0644"' in wrong({"mode": 0o644})[("mode",)]


def test_a_missing_attribute():
    assert validate(ThingSpec, {}) == (None, [(("name",), "the attribute `name` is missing")])


def test_all_problems_at_once():
    found = wrong({"name": "a", "state": "x", "size": None, "tags": [1, 2], "new": 1})
    assert set(found) == {("name",), ("state",), ("size",), ("tags", 0), ("tags", 1), ("new",)}


def test_a_long_value_is_cut():
    assert len(wrong({"size": "x" * 5000})[("size",)]) < 150


def test_rules_across_attributes():
    assert wrong({"state": "absent", "size": 2}) == {("size",): "what is absent has no size"}
    _, problems = validate(ThingSpec, {"name": "/a", "state": "absent", "size": 200})
    assert [message for _, message in problems] == ["what is absent has no size", "too large"]


def test_a_child_has_the_attributes_of_both():
    spec, _ = validate(ChildSpec, {"name": "/a", "colour": "blue", "size": 2})
    assert spec == ChildSpec(name="/a", colour="blue", size=2)
    assert spec.field_names[-1] == "colour"


def test_an_attribute_named_as_a_method_of_pydantic():
    spec, problems = validate(OldNameSpec, {"name": "a", "copy": "x", "json": True})
    assert problems == []
    assert spec == OldNameSpec(name="a", copy="x", json=True)


def test_a_model_is_made_once():
    assert model_of(ThingSpec) is model_of(ThingSpec)
    assert model_of(ThingSpec) is not model_of(ChildSpec)


def test_schema():
    schema = schema_of(ThingSpec)
    assert schema["title"] == "ThingSpec"
    assert schema["description"] == "A thing."
    assert schema["additionalProperties"] is False
    assert schema["required"] == ["name"]
    properties = schema["properties"]
    assert list(properties) == list(ThingSpec.field_names)
    assert properties["name"]["description"] == "Where it is."
    assert properties["state"]["enum"] == ["present", "absent"]
    assert properties["size"]["default"] == 1
