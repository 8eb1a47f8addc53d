"""Specs as models: what is accepted, and every problem with its place."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Annotated, Any, Literal

import pytest

from converge.language.common import Common
from converge.language.models import model_of, schema_of, validate
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
        ({"state": "gone"}, ("state",), "`state` must be 'present' or 'absent', not 'gone'"),
        (
            {"size": "2"},
            ("size",),
            "`size` must be a whole number, not '2'; write 2 without quotes",
        ),
        ({"size": True}, ("size",), "`size` must be a whole number, not true"),
        ({"size": 1.0}, ("size",), "`size` must be a whole number, not 1.0"),
        ({"tags": "x"}, ("tags",), "`tags` must be a list, not 'x'; write [x]"),
        ({"tags": ["x", 5]}, ("tags", 1), 'an item of `tags` must be a text, not 5; quote it: "5"'),
        ({"options": {"a": "b"}}, ("options", "a"), "`a` must be a whole number, not 'b'"),
        ({"code": "A"}, ("code",), "'A' is not a code"),
    ],
)
def test_problems(declared, place, message):
    assert wrong(declared) == {place: message}


@pytest.mark.parametrize(
    ("declared", "place", "message"),
    [
        ({"when": 3}, ("when",), "`when` must be a text or true or false, not 3"),
        ({"for_each": 3}, ("for_each",), "`for_each` must be a list, a mapping or a text, not 3"),
        ({"noop": "no"}, ("noop",), "`noop` must be true or false, not 'no'; write false"),
        ({"tags": {"a": 1}}, ("tags",), '`tags` must be a list, not {"a": 1}'),
        ({"require": [None]}, ("require", 0), "an item of `require` must be a text, not null"),
        (
            {"on_unmanageable": "wran"},
            ("on_unmanageable",),
            "`on_unmanageable` must be 'fail', 'warn' or 'skip', not 'wran'; did you mean `warn`?",
        ),
    ],
)
def test_a_value_of_several_types_is_told_once(declared, place, message):
    assert validate(Common, declared) == (None, [(place, message)])


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
