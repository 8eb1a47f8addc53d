"""How several values of one var become one."""

from __future__ import annotations

import pytest

from converge.errors import ConvergeError
from converge.language.merging import Merged, deep, unique
from converge.language.origins import Origin


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ([["a", "b"], ["b", "c"]], ["a", "b", "c"]),
        (["a", ["b", "a"], "c"], ["a", "b", "c"]),
        ([["a", "a"]], ["a"]),
        ([[1, True, 1.0, "1", None], [1, None]], [1, True, 1.0, "1", None]),
        ([[{"x": 1, "y": 2}], [{"y": 2, "x": 1}, [1]], [[1]]], [{"x": 1, "y": 2}, [1]]),
        ([[]], []),
    ],
)
def test_unique(values, expected):
    found = unique(values)
    assert found == expected
    assert [type(item) for item in found] == [type(item) for item in expected]


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ([{"a": 1}, {"a": 2, "b": 3}], {"a": 1, "b": 3}),
        ([{"a": {"x": 1}}, {"a": {"y": 2}}, {"a": {"x": 3, "z": 4}}], {"a": {"x": 1, "y": 2, "z": 4}}),
        ([{"a": [1, 2]}, {"a": [2, 3]}], {"a": [1, 2, 3]}),
        ([{"a": [1]}, {"a": {"x": 1}}], {"a": [1]}),
        ([{"a": {"x": 1}}, {"a": "text"}, {"a": {"y": 2}}], {"a": {"x": 1, "y": 2}}),
        ([{"a": None}, {"a": {"x": 1}}], {"a": None}),
        ([{}, {"a": 1}], {"a": 1}),
    ],
)  # fmt: skip
def test_deep(values, expected):
    assert deep(values) == expected


def test_keys_keep_the_order_of_the_strongest():
    assert list(deep([{"b": 1}, {"a": 1, "b": 2, "c": 3}])) == ["b", "a", "c"]


@pytest.mark.parametrize(
    ("strategy", "value", "message"),
    [
        ("unique", {"a": 1}, "there is a mapping (use `deep`)"),
        ("deep", [1], "there is a list (use `unique` for lists, `first` for anything)"),
        ("deep", None, "there is null"),
        ("deep", "text", "there is 'text'"),
    ],
)
def test_values_that_cannot_be_merged(strategy, value, message):
    merged = Merged(strategy=strategy, origins=(Origin(value=value, source="profile"),))
    with pytest.raises(ConvergeError) as caught:
        merged.value(lambda one: one)
    assert message in str(caught.value)
