"""The kind `group` by our own writer, below a fake root."""

from __future__ import annotations

import pytest

from converge import kinds
from converge.errors import BatchError
from converge.testing import ProviderContract, converge, make_spec, plan
from providers.accounts_root import FILES, line, make_root, read

GROUPS = kinds.load("group")


@pytest.fixture
def system(tmp_path):
    return make_root(tmp_path)


def group(**declared):
    return make_spec("group", **{"name": "adm", **declared})


def error(spec, system):
    before = {name: read(system, name) for name in FILES}
    with pytest.raises(BatchError) as caught:
        GROUPS.apply(plan(GROUPS, [spec], system), system)
    assert {name: read(system, name) for name in FILES} == before
    return str(caught.value)


class TestContract(ProviderContract):
    kind = "group"

    @pytest.fixture
    def present(self):
        return [
            group(name="web", gid=3000, members=["zoe", "alice"]),
            group(name="next"),
            group(name="tools", system=True, members=[], membership="inclusive"),
            group(name="twin", gid=4, allow_duplicate_gid=True),
        ]

    @pytest.fixture
    def absent(self):
        return [group(name=name, state="absent") for name in ("web", "next", "tools", "twin")]


def test_the_number_changes_and_its_users_follow(system):
    assert converge(GROUPS, [group(name="old", gid=1600)], system) == []
    assert line(system, "passwd", "old")[3] == "1600"
    assert line(system, "group", "old") == ["old", "x", "1600", ""]
    assert line(system, "passwd", "daemon")[3] == "1"


def test_minimum_keeps_and_inclusive_removes_other_members(system):
    assert plan(GROUPS, [group(members=["daemon"])], system) == []
    assert converge(GROUPS, [group(members=["zoe", "alice", "zoe"])], system) == []
    assert line(system, "group", "adm")[3] == "daemon,alice,zoe"
    assert converge(GROUPS, [group(members=["zoe"], membership="inclusive")], system) == []
    assert line(system, "group", "adm")[3] == line(system, "gshadow", "adm")[3] == "zoe"
    assert converge(GROUPS, [group(members=[], membership="inclusive")], system) == []
    assert line(system, "group", "adm")[3] == ""


def test_what_is_not_declared_is_left_alone(system):
    assert plan(GROUPS, [group(), group(name="sudo", members=[]), group(name="root")], system) == []


def test_several_attributes_at_once(system):
    spec = group(gid=70, members=["alice"])
    (change,) = plan(GROUPS, [spec], system)
    assert [field.field for field in change.fields] == ["gid", "members"]
    assert converge(GROUPS, [spec], system) == []
    assert line(system, "group", "adm") == ["adm", "x", "70", "daemon,alice"]


def test_without_gshadow_none_is_made(tmp_path):
    system = make_root(tmp_path, without=["gshadow"])
    assert converge(GROUPS, [group(name="web", members=["alice"])], system) == []
    assert not (tmp_path / "root/etc/gshadow").exists()
    assert converge(GROUPS, [group(name="web", state="absent")], system) == []


def test_a_group_that_gshadow_does_not_know(system, tmp_path):
    (tmp_path / "root/etc/gshadow").write_text("root:*::\n")
    assert converge(GROUPS, [group(members=["alice"])], system) == []
    assert read(system, "gshadow") == "root:*::\n"


def test_a_foreign_number_is_refused_by_name(system):
    assert "gid 27 belongs to the group sudo" in error(group(gid=27), system)
    assert "gid 4 belongs to the group adm" in error(group(name="web", gid=4), system)


def test_a_primary_group_is_not_removed(system):
    message = error(group(name="old", state="absent"), system)
    assert "it is the primary group of old (remove the users first)" in message


def test_gid_0_is_protected_whatever_its_name(system, tmp_path):
    (tmp_path / "root/etc/group").write_text("root:x:0:\nwheel:x:0:\n")
    assert "protected" in error(group(name="wheel", state="absent"), system)
    assert "protected" in error(group(name="wheel", gid=10), system)


@pytest.mark.parametrize(
    "declared",
    [
        {"name": "root", "state": "absent"}, {"name": "root", "gid": 7}, {"name": "a:b"},
        {"name": "a\n"}, {"name": "-r"}, {"name": ""}, {"gid": -1}, {"gid": 4294967295},
        {"gid": "7"}, {"members": ["a,b"]}, {"members": ["a:b"]}, {"members": ["a\nb"]},
        {"members": [""]}, {"membership": "all"},
    ],
)  # fmt: skip
def test_what_must_not_be_declared(declared):
    with pytest.raises(AssertionError):
        group(**declared)
