"""Who takes a new bundle, and when."""

from __future__ import annotations

import pytest

from converge.bundle.rollout import Rollout, parse, place
from converge.errors import UsageError

START = 1_801_411_200.0  # 2027-01-31T16:00:00Z


def took(rollout, now, count=2000, groups=()):
    return sum(not rollout.waits(place(f"web-{i}", "web"), groups, now) for i in range(count))


@pytest.mark.parametrize("percent", [0, 10, 50, 100])
def test_a_share_of_the_containers(percent):
    count = took(parse({"percent": percent}), START)
    assert abs(count - 20 * percent) <= 80
    assert count in (0, 2000) or 0 < percent < 100


def test_growing_over_a_time():
    plan = parse({"start": "2027-01-31T16:00:00Z", "over": "2h"})
    counts = [took(plan, START + hours * 3600) for hours in (-1, 0, 0.5, 1, 2, 99)]
    assert counts == sorted(counts)
    assert counts[:2] == [0, 0]
    assert abs(counts[3] - 1000) <= 80
    assert counts[4:] == [2000, 2000]


def test_who_has_taken_it_keeps_it_as_it_grows():
    small, large = parse({"percent": 10}), parse({"percent": 30})
    for i in range(500):
        where = place(f"web-{i}", "web")
        assert small.waits(where, (), 0) or not large.waits(where, (), 0)


def test_places_differ_by_the_bundle_s_name():
    assert place("web-1", "web") == place("web-1", "web") != place("web-1", "dns")


def test_groups():
    plan = parse({"groups": ["canary"]})
    assert plan.waits(0.0, (), 0) == "it is for the groups canary"
    assert not plan.waits(0.99, ("canary", "eu"), 0)


def test_nothing_declared_is_for_all():
    assert parse({}) == Rollout()
    assert took(Rollout(), 0) == 2000


@pytest.mark.parametrize(
    "plan",
    [
        {"percent": 101}, {"percent": -1}, {"percent": True}, {"percent": "10"}, {"percentage": 1},
        {"over": "2h"}, {"start": "now"}, {"start": 1}, {"start": "2027-01-31T16:00:00Z", "over": 2},
        {"groups": "canary"}, {"groups": [1]},
    ],
)  # fmt: skip
def test_plans_that_are_wrong(plan):
    with pytest.raises(UsageError):
        parse(plan)
