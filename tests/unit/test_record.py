"""Frozen records: fields, defaults, equality."""

from __future__ import annotations

from typing import ClassVar

import pytest

from converge.record import Record


class Point(Record):
    x: int
    y: int = 0
    unit: ClassVar[str] = "m"

    def length(self) -> int:
        return self.x + self.y


class Named(Point):
    name: str
    y: int = 5


class Plain(Record):
    pass


def test_fields_are_the_annotated_names_inherited_first():
    assert Point.field_names == ("x", "y")
    assert Named.field_names == ("x", "y", "name")
    assert Point.required_names == {"x"}
    assert Named.required_names == {"x", "name"}
    assert Plain.field_names == ()


def test_values_and_defaults():
    point = Point(x=1)
    assert (point.x, point.y, point.unit, point.length()) == (1, 0, "m", 1)
    assert Named(x=1, name="a").y == 5
    assert Point(x=1, y=2).as_dict() == {"x": 1, "y": 2}
    assert list(Named(name="a", y=1, x=2).as_dict()) == ["x", "y", "name"]


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({}, r"unknown \[\], missing \['x'\]"),
        ({"x": 1, "z": 2}, r"unknown \['z'\], missing \[\]"),
        ({"unit": "km", "x": 1}, r"unknown \['unit'\]"),
    ],
)
def test_wrong_names(values, message):
    with pytest.raises(TypeError, match=f"^Point: .*{message}"):
        Point(**values)


def test_takes_keywords_only():
    with pytest.raises(TypeError):
        Point(1, 2)  # type: ignore[call-arg]


def test_is_frozen():
    point = Point(x=1)
    with pytest.raises(AttributeError, match="Point is frozen"):
        point.x = 2  # type: ignore[misc]
    with pytest.raises(AttributeError, match="Point is frozen"):
        point.new = 2
    with pytest.raises(AttributeError, match="Point is frozen"):
        del point.x
    assert point == Point(x=1)


def test_equality_and_hash():
    assert Point(x=1) == Point(x=1, y=0)
    assert Point(x=1) != Point(x=2)
    assert Point(x=1) != {"x": 1, "y": 0}
    assert Point(x=1, y=5) != Named(x=1, name="a")
    assert len({Point(x=1), Point(x=1, y=0), Point(x=2)}) == 2
    assert Plain() == Plain()


def test_a_record_with_a_list_cannot_be_hashed():
    with pytest.raises(TypeError):
        hash(Point(x=[1]))  # type: ignore[arg-type]


def test_replace_makes_another():
    point = Point(x=1)
    other = point.replace(y=3)
    assert (point.y, other) == (0, Point(x=1, y=3))
    assert type(Named(x=1, name="a").replace(x=2)) is Named
    with pytest.raises(TypeError):
        point.replace(z=1)


def test_repr_names_the_fields():
    assert repr(Named(x=1, name="a")) == "Named(x=1, y=5, name='a')"
    assert repr(Plain()) == "Plain()"


def test_two_classes_share_no_defaults():
    class Left(Record):
        a: int = 1

    class Right(Left):
        a: int = 2

    assert (Left().a, Right().a) == (1, 2)
