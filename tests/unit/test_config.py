"""Settings: a flag beats the environment, which beats the file; what is wrong says where."""

from __future__ import annotations

import os

import pytest

from converge import setting_checks
from converge.config import Settings, load, parse_var
from converge.errors import ProfileError, UsageError
from converge.files.trust import UntrustedError


@pytest.fixture
def write(tmp_path):
    def write(text):
        path = tmp_path / "agent.yaml"
        path.write_text(text)
        path.chmod(0o644)
        return str(path)

    return write


def test_defaults():
    assert load({}, {}, None) == Settings()
    assert Settings().allow_deletions == 50
    assert Settings().backup_bytes == 64 * 1024 * 1024


def test_every_setting_is_checked():
    assert set(setting_checks.CHECKS) == set(Settings.field_names)


def test_a_missing_file_is_no_error(tmp_path):
    assert load({}, {}, f"{tmp_path}/agent.yaml") == Settings()


def test_flag_beats_environment_beats_file(write):
    file = write("wait: 1\nallow_deletions: 1\nbackup_days: 1\n")
    environment = {"CONVERGE_WAIT": "2.5", "CONVERGE_ALLOW_DELETIONS": "2"}
    found = load({"wait": 3.0, "allow_deletions": None}, environment, file)
    assert (found.wait, found.allow_deletions, found.backup_days) == (3.0, 2, 1)


def test_vars_are_merged_in_the_same_order(write):
    file = write("vars: {a: 1, b: [1], c: 1}\n")
    environment = {"CONVERGE_VAR_b": "2", "CONVERGE_VAR_c": "2", "CONVERGE_VAR_UP": ""}
    found = load({"vars": {"c": 3}}, environment, file)
    assert found.vars == {"a": 1, "b": "2", "c": 3, "UP": ""}


def test_everything_from_the_file(write):
    found = load(
        {},
        {},
        write("""
profile: https://example.com/web.yaml
root: /usr/lib/
state_dir: /srv/state
runtime_dir: /srv/run
noop: true
phase: bake
tags: [a, b]
json: true
detailed_exitcodes: true
color: never
quiet: true
verbose: false
wait: 10
"""),
    )
    assert found.replace(vars={}) == Settings(
        profile="https://example.com/web.yaml", root="/usr/lib", state_dir="/srv/state",
        runtime_dir="/srv/run", noop=True, phase="bake", tags=("a", "b"), json=True,
        detailed_exitcodes=True, color="never", quiet=True, wait=10,
    )  # fmt: skip


def test_everything_from_the_environment():
    found = load(
        {},
        {
            "CONVERGE_PROFILE": "/srv/profile.yaml",
            "CONVERGE_STATE_DIR": "/srv//state",
            "CONVERGE_NOOP": "yes",
            "CONVERGE_JSON": "0",
            "CONVERGE_TAGS": "a, b,",
            "CONVERGE_BACKUP_BYTES": "1048576",
            "CONVERGE_PHASE": "start",
        },
        None,
    )
    assert found == Settings(
        profile="/srv/profile.yaml", state_dir="/srv/state", noop=True, tags=("a", "b"),
        backup_bytes=1048576, phase="start",
    )  # fmt: skip


@pytest.mark.parametrize(
    ("word", "value"), [("1", True), ("TRUE", True), ("on", True), ("0", False), ("No", False)]
)
def test_words_for_true_and_false(word, value):
    assert load({}, {"CONVERGE_QUIET": word}, None).quiet is value


def test_variables_of_others_are_left_alone():
    environment = {
        "CONVERGE_PORT": "tcp://10.0.0.1:80",
        "CONVERGE_SERVICE_HOST": "10.0.0.1",
        "CONVERGE_wait": "x",
        "CONVERGE_WAIT": "",
        "CONVERGE_VARS": "x",
        "CONVERGE_": "x",
        "WAIT": "x",
    }
    assert load({}, environment, None) == Settings()


@pytest.mark.parametrize(
    ("environment", "message"),
    [
        ({"CONVERGE_WAIT": "soon"}, "CONVERGE_WAIT: must be a number of seconds, not 'soon'"),
        ({"CONVERGE_WAIT": "nan"}, "CONVERGE_WAIT: must be a number of seconds, not nan"),
        ({"CONVERGE_WAIT": "-1"}, "CONVERGE_WAIT: must be a number of seconds, not -1.0"),
        ({"CONVERGE_JSON": "maybe"}, "CONVERGE_JSON: must be true or false, not 'maybe'"),
        ({"CONVERGE_ALLOW_DELETIONS": "1.5"}, "CONVERGE_ALLOW_DELETIONS: must be a whole number"),
        ({"CONVERGE_PHASE": "end"}, "CONVERGE_PHASE: must be one of bake, start, run, not 'end'"),
        ({"CONVERGE_STATE_DIR": "state"}, "CONVERGE_STATE_DIR: must be an absolute path"),
        ({"CONVERGE_VAR_a-b": "x"}, "CONVERGE_VAR_a-b: 'a-b' is no name of a var"),
    ],
)
def test_a_wrong_variable_is_named(environment, message):
    with pytest.raises(UsageError) as raised:
        load({}, environment, None)
    assert str(raised.value).startswith(message)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("wait: 1\nquite: true\n", "2:1: there is no setting `quite`; did you mean `quiet`?"),
        ("state-dir: /x\n", "1:1: there is no setting `state-dir`; did you mean `state_dir`?"),
        ("zzz: 1\n", "1:1: there is no setting `zzz`"),
        ("\n  wait: soon\n", "2:3: wait: must be a number of seconds, not 'soon'"),
        ("wait: true\n", "1:1: wait: must be a number of seconds, not True"),
        ("quiet: 1\n", "1:1: quiet: must be true or false, not 1"),
        ("quiet: no\n", "1:1: quiet: must be true or false, not 'no'"),
        (
            "allow_deletions: true\n",
            "1:1: allow_deletions: must be a whole number, 0 or more, not True",
        ),
        (
            "allow_deletions: -1\n",
            "1:1: allow_deletions: must be a whole number, 0 or more, not -1",
        ),
        ("profile: 3\n", "1:1: profile: must be a text, not 3"),
        ("root: etc\n", "1:1: root: must be an absolute path, not 'etc'"),
        ("tags: [1]\n", "1:1: tags: must be a list of words, not [1]"),
        ("color: red\n", "1:1: color: must be one of auto, always, never, not 'red'"),
        ("phase: [run]\n", "1:1: phase: must be one of bake, start, run, not ['run']"),
        ("vars: [a]\n", "1:1: vars: must be a mapping of names to values, not ['a']"),
        ("vars: {a-b: 1}\n", "1:1: vars: 'a-b' is no name of a var"),
    ],
)
def test_a_wrong_line_of_the_file_is_named(write, text, message):
    file = write(text)
    with pytest.raises(UsageError) as raised:
        load({}, {}, file)
    assert str(raised.value).startswith(f"{os.path.realpath(file)}:{message}")


def test_a_file_that_is_no_mapping(write):
    assert load({}, {}, write("")) == Settings()
    with pytest.raises(UsageError, match="must be a mapping"):
        load({}, {}, write("- a\n"))
    with pytest.raises(ProfileError):
        load({}, {}, write("a: [\n"))


def test_all_problems_at_once(write):
    file = write("wait: soon\nquiet: 3\n")
    with pytest.raises(UsageError) as raised:
        load({"color": "red"}, {"CONVERGE_JSON": "x"}, file)
    lines = str(raised.value).splitlines()
    assert len(lines) == 4
    assert lines[2].startswith("CONVERGE_JSON: ")
    assert lines[3].startswith("--color: ")


def test_a_file_that_others_may_change_is_refused(write):
    file = write("wait: 1\n")
    os.chmod(file, 0o666)  # noqa: S103
    with pytest.raises(UntrustedError, match=r"agent\.yaml can be changed by"):
        load({}, {}, file)


def test_paths_of_flags_may_be_relative(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "image").mkdir()
    found = load({"root": "image", "state_dir": "./state", "profile": "web.yaml"}, {}, None)
    assert (found.root, found.state_dir) == (f"{tmp_path}/image", f"{tmp_path}/state")
    assert found.profile == "web.yaml"


@pytest.mark.parametrize(
    ("flags", "environment", "color"),
    [
        ({}, {}, "auto"),
        ({}, {"NO_COLOR": "1"}, "never"),
        ({}, {"NO_COLOR": ""}, "auto"),
        ({"color": "always"}, {"NO_COLOR": "1"}, "always"),
        ({}, {"NO_COLOR": "1", "CONVERGE_COLOR": "always"}, "always"),
    ],
)
def test_no_color(flags, environment, color):
    assert load(flags, environment, None).color == color


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("a=b", ("a", "b")),
        ("a=", ("a", "")),
        ("a=1", ("a", 1)),
        ("a=1.5", ("a", 1.5)),
        ("a=true", ("a", True)),
        ("a=null", ("a", None)),
        ('a="1"', ("a", "1")),
        ("a=[1, 2]", ("a", [1, 2])),
        ('a={"b": 1}', ("a", {"b": 1})),
        ("a=[1", ("a", "[1")),
        ("a=b=c", ("a", "b=c")),
        ("a=0644", ("a", "0644")),
        ("a=NaN", ("a", "NaN")),
        ("a=" + "[" * 100_000, ("a", "[" * 100_000)),
    ],
)
def test_parse_var(text, expected):
    found = parse_var(text)
    assert found == expected
    assert type(found[1]) is type(expected[1])


@pytest.mark.parametrize("text", ["", "a", "=b", "a-b=c", "1a=b", "a b=c"])
def test_parse_var_refuses(text):
    with pytest.raises(UsageError, match="is not NAME=VALUE"):
        parse_var(text)
