"""Assertions: all that fail are told at once, before anything else."""

from __future__ import annotations

import json

import pytest

from converge import commands
from converge.config import Settings
from converge.errors import ProfileError

FALSE = """\
vars: {port: 80, role: web}
assert:
  - that: port > 1024
    message: "port {{ port }} needs root"
  - that: role in ('web', 'db')
  - that: role == 'db' or facts.memory.limit < 0
  - that: false
    message: never
resources:
  - thing: a
    valeu: 1
"""


def wrong(make, text, **files):
    with pytest.raises(ProfileError) as caught:
        make(text, None, **files)
    return [(one.line, one.message, one.remedy) for one in caught.value.problems]


def test_all_that_fail_are_told_and_nothing_else(make):
    assert wrong(make, FALSE) == [
        (3, "port 80 needs root", "`port > 1024` is false here"),
        (6, "the profile asserts `role == 'db' or facts.memory.limit < 0`, which is false here", ""),
        (7, "never", "`False` is false here"),
    ]  # fmt: skip


def test_what_holds_is_not_told(make):
    text = "vars: {a: 1}\nassert:\n  - that: a == 1\n  - that: true\nresources:\n  - thing: x\n"
    assert [one.id for one in make(text).resources] == ["thing:x"]


def test_included_files_have_their_own(make):
    found = wrong(
        make,
        "include: [low.yaml]\nvars: {a: 2}\nassert:\n  - that: a == 3\n",
        low_yaml="vars: {a: 1}\nassert:\n  - that: a == 1\n",
    )
    assert [(line, message[:31]) for line, message, _ in found] == [
        (3, "the profile asserts `a == 1`, w"),
        (4, "the profile asserts `a == 3`, w"),
    ]


@pytest.mark.parametrize(
    ("written", "line", "message"),
    [
        ("- that: nothing > 1", 2, "the assertion cannot be decided: `nothing` is not defined"),
        ("- that: a >", 2, "the assertion cannot be decided: "),
        ("- that: \"a > '1'\"", 2, "the assertion cannot be decided: '>' not supported"),
        (
            "- that: \"'text'\"",
            2,
            "the assertion cannot be decided: the condition gives the string",
        ),
        ("- that: '{{ a }}'", 2, "the assertion cannot be decided: a condition is written without"),
        ("- a > 1", 2, "an assertion is a mapping"),
        ("- message: x", 2, "an assertion needs `that`"),
        ("- that: [a]", 2, "`that` is an expression, a string"),
        ("- that: a\n    message: [x]", 3, "`message` is a text"),
        ("- that: a\n    msg: x", 3, "unknown key `msg`"),
        (
            "- that: a > 1\n    message: '{{ b }}'",
            2,
            "{{ b }} [the message cannot be rendered: `b`",
        ),
    ],
)
def test_wrong_assertions(make, written, line, message):
    ((found, words, _),) = wrong(make, f"assert:\n  {written}\nvars: {{a: 1}}\n")
    assert found == line
    assert words.startswith(message)


def test_a_list_is_needed(make):
    assert wrong(make, "assert: {that: a}\n") == [
        (1, "`assert` must be a list", "begin each item with `- `")
    ]


def test_validate_warns_of_what_does_not_hold_here(tmp_path, capsys):
    path = tmp_path / "p.yaml"
    path.write_text("assert:\n  - that: false\n    message: never\n")
    assert commands.validate(Settings(), [str(path)]) == 0
    out, err = capsys.readouterr()
    assert out == f"{path}: 0 resources, no problems\n"
    assert err == f"warning: {path}:2:5: never (`False` is false here)\n"
    assert commands.validate(Settings(json=True), [str(path)]) == 0
    out, err = capsys.readouterr()
    assert [one["message"] for one in json.loads(out)["unmet"]] == ["never"]
    assert err == ""
    path.write_text("assert:\n  - that: nothing\n")
    with pytest.raises(ProfileError, match="cannot be decided"):
        commands.validate(Settings(), [str(path)])
