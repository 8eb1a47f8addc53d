"""The difference between what is and what is declared."""

from __future__ import annotations

from converge.diff import difference
from converge.provider import FieldChange, Spec, State


class ThingSpec(Spec):
    pass


class ThingState(State):
    size: int | None = None
    colour: str | None = None
    tags: list[str] | None = None


SPEC = ThingSpec(name="a")


def diff(before: ThingState | None, after: ThingState | None):
    return difference("thing:a", SPEC, before, after)


def test_agreement_is_no_change():
    assert diff(None, None) is None
    assert diff(ThingState(size=1), ThingState(size=1)) is None


def test_a_field_that_is_not_declared_does_not_count():
    assert diff(ThingState(size=1, colour="red"), ThingState(size=1)) is None
    assert diff(ThingState(size=1), ThingState()) is None


def test_empty_and_false_values_are_declared():
    found = diff(ThingState(size=1, colour="x", tags=["t"]), ThingState(size=0, colour="", tags=[]))
    assert found is not None
    assert [(f.field, f.before, f.after) for f in found.fields] == [
        ("size", 1, 0),
        ("colour", "x", ""),
        ("tags", ["t"], []),
    ]


def test_creation_names_every_declared_field():
    found = diff(None, ThingState(size=1, tags=[]))
    assert found is not None
    assert (found.id, found.spec, found.before) == ("thing:a", SPEC, None)
    assert found.fields == (
        FieldChange(field="size", before=None, after=1),
        FieldChange(field="tags", before=None, after=[]),
    )
    assert found.wants("size")
    assert not found.wants("colour")


def test_creation_of_something_without_fields():
    found = diff(None, ThingState())
    assert found is not None
    assert found.fields == ()


def test_removal():
    found = diff(ThingState(size=1), None)
    assert found is not None
    assert (found.before, found.after, found.fields) == (ThingState(size=1), None, ())
    assert not found.wants("size")


def test_only_what_differs():
    found = diff(ThingState(size=1, colour="red"), ThingState(size=2, colour="red"))
    assert found is not None
    assert [f.field for f in found.fields] == ["size"]
    assert found.wants("size")
    assert not found.wants("colour")


def test_a_value_that_is_unknown_differs():
    found = diff(ThingState(size=None), ThingState(size=2))
    assert found is not None
    assert found.fields == (FieldChange(field="size", before=None, after=2),)


def test_order_is_that_of_the_class():
    found = diff(ThingState(), ThingState(tags=["a"], size=1))
    assert found is not None
    assert [f.field for f in found.fields] == ["size", "tags"]


def test_nothing_is_changed_by_comparing():
    before, after = ThingState(tags=["a"]), ThingState(tags=["b"])
    diff(before, after)
    assert (before.tags, after.tags) == (["a"], ["b"])
