"""`for_each`: one declaration for several resources."""

from __future__ import annotations

import pytest

from converge.errors import ProfileError
from converge.language import instances

USERS = """
vars:
  users:
    alice: {value: 1}
    bob: {value: 2, tags: [x]}
resources:
"""


def declared(catalog):
    return {one.id: one.spec.get("value") for one in catalog.resources}


def wrong(make, text):
    with pytest.raises(ProfileError) as caught:
        make(text)
    return [(one.line, one.resource, one.message, one.remedy) for one in caught.value.problems]


@pytest.mark.parametrize("written", ["users", "'{{ users }}'", "users.items() | list"])
def test_an_expression_with_or_without_braces(make, written):
    found = make(f"{USERS}  - thing: 'n{{{{ index }}}}'\n    for_each: {written}\n")
    assert list(declared(found)) == ["thing:n0", "thing:n1"]


def test_a_mapping_gives_key_item_and_index(make):
    found = make(
        USERS + "  - thing: 'user-{{ key }}'\n    for_each: users\n"
        "    value: '{{ item.value + index * 10 }}'\n    tags: '{{ item.tags | default([]) }}'\n"
    )
    assert declared(found) == {"thing:user-alice": 1, "thing:user-bob": 12}
    assert [one.tags for one in found.resources] == [(), ("x",)]
    assert {one.line for one in found.resources} == {7}


def test_a_list_that_is_written_there_may_hold_templates(make):
    found = make(
        "vars: {last: 9}\nresources:\n  - thing: 't{{ item }}'\n    for_each: [7, '{{ last }}']\n"
        "    value: '{{ item }}'\n"
    )
    assert declared(found) == {"thing:t7": 7, "thing:t9": 9}


def test_when_is_asked_of_each_item(make):
    found = make(
        "resources:\n  - thing: 't{{ item }}'\n    for_each: [1, 2, 3]\n    when: item > 1\n"
    )
    assert [(one.id, one.selected) for one in found.resources] == [
        ("thing:t1", False), ("thing:t2", True), ("thing:t3", True),
    ]  # fmt: skip


def test_references_see_the_item(make):
    found = make(
        "resources:\n  - thing: ['a', 'b']\n"
        "  - thing: 'after-{{ item }}'\n    for_each: [a, b]\n    require: 'thing:{{ item }}'\n"
    )
    assert {one.id: one.after for one in found.resources if one.after} == {
        "thing:after-a": ("thing:a",),
        "thing:after-b": ("thing:b",),
    }


@pytest.mark.parametrize("nothing", ["[]", "{}", "'{{ [] }}'", "(1, 2) | select('gt', 5) | list"])
def test_nothing_to_go_over_is_no_resource(make, nothing):
    assert make(f"resources:\n  - thing: a\n    for_each: {nothing}\n").resources == ()


def test_several_names_for_each_item(make):
    found = make("resources:\n  - thing: ['a{{ item }}', 'b{{ item }}']\n    for_each: [1, 2]\n")
    assert list(declared(found)) == ["thing:a1", "thing:b1", "thing:a2", "thing:b2"]


def test_a_name_that_is_an_expression_may_give_several(make):
    found = make("vars: {names: [a, b], empty: []}\nresources:\n  - thing: '{{ names }}'\n"
                 "  - thing: '{{ empty }}'\n")  # fmt: skip
    assert list(declared(found)) == ["thing:a", "thing:b"]


def test_an_item_hides_a_var_within_its_resource_alone(make):
    found = make(
        "vars: {item: 5, key: 6}\nresources:\n"
        "  - thing: 'a{{ key }}'\n    for_each: [1]\n    value: '{{ item }}'\n"
        "  - thing: b\n    value: '{{ item }}'\n"
    )
    assert declared(found) == {"thing:a6": 1, "thing:b": 5}


def test_two_items_of_one_name_are_an_error_with_the_place(make):
    assert wrong(make, "resources:\n  - thing: a\n    for_each: [1, 2]\n") == [
        (2, "thing:a", "`for_each` gives this name twice, at index 0 and at index 1",
         "each item needs a name of its own, such as one with {{ item }}"),
    ]  # fmt: skip
    found = wrong(
        make,
        "resources:\n  - thing: b\n  - thing: '{{ item.n }}'\n    for_each: {x: {n: a}, y: {n: b}}\n",
    )
    assert [one[:3] for one in found] == [(3, "thing:b", found[0][2])]
    assert "already declared at" in found[0][2]


@pytest.mark.parametrize(
    ("written", "message"),
    [
        ("3", "`for_each` takes a list or a mapping, not 3"),
        ("null", "`for_each` takes a list or a mapping, not null"),
        ("\"'text'\"", "`for_each` takes a list or a mapping, not 'text'"),
        ("'{{ 1 + 1 }}'", "`for_each` takes a list or a mapping, not 2"),
        ("usres", "`usres` is not defined (did you mean `users`?)"),
        ("['{{ nothing }}']", "`nothing` is not defined"),
        ("users +", "the expression cannot be read: unexpected 'end of template'"),
        ("item", "`item` is not defined"),
    ],
)
def test_what_cannot_be_gone_over(make, written, message):
    ((line, resource, found, _),) = wrong(
        make, f"{USERS}  - thing: '{{{{ item }}}}'\n    for_each: {written}\n"
    )
    assert (line, resource) == (8, "thing:{{ item }}")
    assert found.startswith(message)


def test_an_error_of_one_item_says_which(make):
    ((line, _, message, _),) = wrong(
        make, USERS + "  - thing: '{{ item.tags[0] }}'\n    for_each: users\n"
    )
    assert line == 7
    assert message.endswith("at key `alice` of `for_each`")


def test_the_same_error_of_many_items_is_told_once(make):
    found = wrong(
        make, "resources:\n  - thing: 't{{ item }}'\n    for_each: [1, 2]\n    valeu: 1\n"
    )
    assert [one[:3] for one in found] == [(4, "thing:t1", "unknown attribute `valeu`")]


def test_how_many_is_bounded(make, monkeypatch):
    monkeypatch.setattr(instances, "MOST", 3)
    text = "resources:\n  - thing: ['a{{ item }}', 'b{{ item }}']\n    for_each: "
    assert wrong(make, text + "[1, 2]\n") == [
        (2, "thing", "the declaration stands for more than 3 resources", "split it")
    ]
    monkeypatch.setattr("converge.language.compiler._MOST_RESOURCES", 3)
    found = wrong(make, "resources:\n  - thing: [a, b]\n  - thing: [c, d]\n")
    assert [one[2] for one in found] == ["the profile has more than 3 resources"]


def test_nothing_else_has_one(make):
    found = wrong(make, "for_each: [1]\nvars: {a: 1}\nresources: []\n")
    assert [one[:3] for one in found] == [(1, "", "unknown key `for_each`")]
