"""Waves and cycles."""

from __future__ import annotations

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from converge.language.graph import CycleError, waves


def test_ties_keep_the_order_of_the_profile():
    assert waves(["c", "a", "b"], {}) == [["c", "a", "b"]]


def test_each_wave_holds_what_only_waits_for_earlier_ones():
    before = {"b": ["a"], "c": ["a"], "d": ["b", "c", "c"]}
    assert waves(["d", "c", "b", "a"], before) == [["a"], ["c", "b"], ["d"]]


@pytest.mark.parametrize(
    ("before", "cycle"),
    [
        ({"a": ["b"], "b": ["a"]}, {"a", "b"}),
        ({"a": ["b"], "b": ["c"], "c": ["b"]}, {"b", "c"}),
        ({"a": ["c"], "b": ["a"], "c": ["b"]}, {"a", "b", "c"}),
    ],
)
def test_a_cycle_is_named(before, cycle):
    with pytest.raises(CycleError) as caught:
        waves(["a", "b", "c"], before)
    found = caught.value.cycle
    assert found[0] == found[-1]
    assert set(found) == cycle
    assert all(first in before[second] for first, second in itertools.pairwise(found))


def graphs():
    """Return numbers of nodes with random edges between them."""
    return st.integers(1, 12).flatmap(
        lambda n: st.tuples(
            st.just(n),
            st.lists(st.tuples(st.integers(0, n - 1), st.integers(0, n - 1)), max_size=30),
        )
    )


@given(graphs())
def test_any_graph_without_a_cycle_is_ordered(graph):
    count, edges = graph
    nodes = list(map(str, range(count)))
    before: dict[str, list[str]] = {}
    for one, other in edges:
        if one != other:  # from low to high: never a cycle
            before.setdefault(str(max(one, other)), []).append(str(min(one, other)))
    found = waves(nodes, before)
    place = {node: i for i, wave in enumerate(found) for node in wave}
    assert sorted(place) == sorted(nodes)
    for node, earlier in before.items():
        assert all(place[name] < place[node] for name in earlier)
        assert place[node] == 1 + max(place[name] for name in earlier)


def test_ten_thousand_in_a_row():
    nodes = list(map(str, range(10_000)))
    before = {str(i): [str(i - 1)] for i in range(1, 10_000)}
    assert len(waves(nodes, before)) == 10_000
