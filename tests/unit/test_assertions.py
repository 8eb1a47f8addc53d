"""Assertions: all that fail are told at once, before anything else."""

from __future__ import annotations

import json

import pytest

from converge import commands, runner
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
        ("- that: a\n    phase: boot", 3, "`phase` is one of bake, start, run, or a list of them"),
        ("- that: a\n    phase: []", 3, "`phase` is one of bake, start, run, or a list of them"),
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


PHASED = """\
assert:
  - that: false
    message: a container
    phase: [start, run]
  - that: facts.environment.BUILD | default('x') == 'x'
resources:
  - file: /a
    content: a
"""


def test_a_build_does_not_ask_what_is_for_a_container(tmp_path):
    for name in ("root", "state", "run"):
        (tmp_path / name).mkdir(mode=0o700)
    path = tmp_path / "p.yaml"
    path.write_text(PHASED)
    settings = Settings(
        profile=str(path), root=str(tmp_path / "root"), state_dir=str(tmp_path / "state"),
        runtime_dir=str(tmp_path / "run"),
    )  # fmt: skip
    assert runner.once(settings.replace(phase="bake"))["exit_code"] == 0
    for phase in (None, "start", "run"):  # and what the build kept does not count for these
        with pytest.raises(ProfileError, match="a container"):
            runner.once(settings.replace(phase=phase))
        with pytest.raises(ProfileError, match="a container"):
            runner.dry_run(settings.replace(phase=phase))
    path.write_text(PHASED.replace("that: false", "that: true"))
    assert runner.once(settings)["exit_code"] == 0
    assert runner.once(settings, runner.Asked(phase="run"))["exit_code"] == 0
