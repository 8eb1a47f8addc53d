"""Package lists, interruptions and locks: what apt needs before it can do anything."""

from __future__ import annotations

import os
import time

import pytest

from converge import kinds
from converge.errors import ApplyError, BatchError
from converge.testing import converge, make_spec, plan
from converge_resources.packages import Order, apt_tool, patience
from converge_resources.packages.selection import grouped, largest
from providers.fake_apt import FakeApt, done, recorded

ARCHIVE = {"hello": ("2.0", "1.1", "1.0"), "extra": ("1.0",)}
PACKAGE = kinds.load("package")


@pytest.fixture
def apt(tmp_path):
    return FakeApt(tmp_path, ARCHIVE)


def specs(*declared):
    return [make_spec("package", **one) for one in declared]


def failures(apt, *declared):
    """Apply and return the messages of what failed, by name."""
    with pytest.raises(BatchError) as caught:
        PACKAGE.apply(plan(PACKAGE, specs(*declared), apt.system), apt.system)
    return {name: str(error) for name, error in caught.value.errors.items()}


class TestLists:
    def refreshes(self, apt):
        return [argv for argv in apt.ran("apt-get") if "update" in argv]

    def test_fetched_where_there_are_none(self, tmp_path):
        apt = FakeApt(tmp_path, ARCHIVE, fresh=False)
        assert converge(PACKAGE, specs({"name": "hello"}), apt.system) == []
        (argv,) = self.refreshes(apt)
        assert "APT::Update::Error-Mode=any" in argv

    def test_left_alone_while_fresh(self, apt):
        converge(PACKAGE, specs({"name": "hello"}), apt.system)
        assert self.refreshes(apt) == []

    def test_not_needed_to_remove(self, tmp_path):
        apt = FakeApt(tmp_path, ARCHIVE, fresh=False)
        apt.put("hello", "1.0")
        assert converge(PACKAGE, specs({"name": "hello", "state": "absent"}), apt.system) == []
        assert self.refreshes(apt) == []

    def test_old_ones_are_fetched_once_a_day(self, apt):
        apt.put("hello", "2.0")
        old = time.time() - apt_tool.LIST_AGE - 60
        os.utime(apt.lists, (old, old))
        wanted = specs({"name": "hello", "state": "latest"})
        for _ in range(2):  # apt leaves the folder's time alone where nothing is new
            assert converge(PACKAGE, wanted, apt.system) == []
            os.utime(apt.lists, (old, old))
        assert len(self.refreshes(apt)) == 1

    def test_an_unknown_name_is_looked_for_once(self, apt):
        failures(apt, {"name": "nope"}, {"name": "nope2"})
        assert len(self.refreshes(apt)) == 1

    def test_a_failure_is_a_failure(self, tmp_path):
        apt = FakeApt(tmp_path, ARCHIVE, fresh=False)
        apt.answers = [done((), 100, err="E: Temporary failure resolving 'deb.example.org'\n")]
        said = failures(apt, {"name": "hello"})["hello"]
        assert said.startswith("Unable to locate package hello; the package lists could not be")
        assert "Temporary failure resolving" in said

    def test_the_newest_is_not_known_by_old_lists(self, apt):
        apt.put("hello", "2.0")
        os.utime(apt.lists, (1, 1))
        apt.answers = [done((), 100, err="E: Temporary failure resolving 'deb.example.org'\n")]
        found = failures(apt, {"name": "hello", "state": "latest"})
        assert "newest cannot be told" in found["hello"]

    def test_fetched_anew_when_an_archive_is_gone(self, apt):
        gone = "E: Failed to fetch x  404\nE: Unable to fetch some archives, maybe run apt-get update\n"
        apt.answers = [done((), 100, err=gone)]
        assert converge(PACKAGE, specs({"name": "hello"}), apt.system) == []
        assert len(self.refreshes(apt)) == 1


class TestInterruption:
    def test_what_was_being_configured(self, apt):
        apt.put("extra", "1.0", "install ok half-configured")
        (apt.updates / "0000").write_text("")
        assert converge(PACKAGE, specs({"name": "hello"}), apt.system) == []
        assert apt.ran("dpkg") == [["--force-confdef", "--force-confold", "--configure", "-a"]]
        assert set(apt.installed()) == {"extra", "hello"}

    def test_what_was_being_unpacked(self, apt):
        apt.put("extra", "1.0", "install reinstreq half-installed")
        assert converge(PACKAGE, specs({"name": "hello"}), apt.system) == []
        first = apt.ran("apt-get")[0]
        assert first[-5:] == ["--no-remove", "--reinstall", "install", "--", "extra=1.0"]
        assert set(apt.installed()) == {"extra", "hello"}

    def test_nothing_is_healed_where_nothing_differs(self, apt):
        apt.put("hello", "1.0")
        apt.put("extra", "1.0", "install reinstreq half-installed")
        assert plan(PACKAGE, specs({"name": "hello"}), apt.system) == []
        PACKAGE.apply([], apt.system)
        assert apt.system.ran == []


class TestLocks:
    @pytest.fixture(autouse=True)
    def no_waiting(self, monkeypatch):
        self.slept = []
        monkeypatch.setattr(patience.time, "sleep", self.slept.append)

    def test_waits(self, apt):
        apt.answers = [done((), 100, err=recorded("locked-archives.err")) for _ in range(3)]
        assert converge(PACKAGE, specs({"name": "hello"}), apt.system) == []
        assert self.slept == [0.25, 0.5, 1.0]

    def test_gives_up_and_names_the_holder(self, apt, monkeypatch):
        monkeypatch.setattr(patience, "LOCK_DEADLINE", 0)
        apt.answers = [done((), 100, err=recorded("locked-archives.err"))]
        changes = plan(PACKAGE, specs({"name": "hello"}), apt.system)
        with pytest.raises(ApplyError, match=r"held by process 104 \(python\)"):
            PACKAGE.apply(changes, apt.system)
        assert self.slept == []

    def test_other_errors_are_not_waited_for(self, apt):
        apt.answers = [done((), 100, err="E: Sub-process /usr/bin/dpkg returned an error code (1)")]
        failures(apt, {"name": "hello"})
        assert self.slept == []


class TestSelection:
    """`largest` keeps what works together, whatever is wrong with the rest."""

    def orders(self, names):
        return [Order(name=name, action="install") for name in names]

    def chosen(self, names, objection):
        asked = []

        def judge(orders):
            asked.append("".join(order.name for order in orders))
            return objection({order.name for order in orders})

        kept, refused = largest(self.orders(names), judge)
        return "".join(order.name for order in kept), refused, asked

    def test_asks_once_if_all_is_well(self):
        assert self.chosen("abc", lambda names: None) == ("abc", {}, ["abc"])

    def test_nothing_asks_nothing(self):
        assert self.chosen("", lambda names: "never") == ("", {}, [])

    def test_leaves_out_the_bad(self):
        kept, refused, _ = self.chosen("abc", lambda names: "bad" if "b" in names else None)
        assert (kept, refused) == ("ac", {"b": "bad"})

    def test_the_first_of_two_rivals_stays(self):
        kept, refused, _ = self.chosen(
            "abc", lambda names: "rivals" if {"a", "c"} <= names else None
        )
        assert (kept, refused) == ("ab", {"c": "rivals"})

    def test_what_needs_a_later_one_gets_a_second_chance(self):
        def objection(names):
            return (
                "bad" if "c" in names else "needs b" if "a" in names and "b" not in names else None
            )

        kept, refused, _ = self.chosen("abc", objection)
        assert (sorted(kept), refused) == (["a", "b"], {"c": "bad"})

    def test_orders_with_the_same_flags_go_together(self):
        first, second, third = self.orders("abc")
        other = second.replace(options=("-m",))
        assert grouped([first, other, third]) == [[first, third], [other]]
