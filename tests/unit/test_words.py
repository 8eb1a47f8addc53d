"""Plain words are read as argparse reads them; the rest is left to it."""

from __future__ import annotations

import subprocess
import sys

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from converge import cli, words
from converge.errors import UsageError

TABLE: dict[str, dict] = {}
cli.options(lambda name, **about: TABLE.update({name: about}))
VALUES = [
    "",
    "1",
    "2.5",
    "x",
    "a=b",
    "auto",
    "on",
    "json",
    "-1",
    "file:/etc/motd",
    "plan",
    "web.yaml",
]
WORDS = st.one_of(
    st.sampled_from([*TABLE, "--once", "--start-only", "--reason", "--help", "--js", "--", "-x"]),
    st.sampled_from([*cli._COMMANDS]),
    st.sampled_from(VALUES),
    st.builds("{}={}".format, st.sampled_from([*TABLE, "--reason"]), st.sampled_from(VALUES)),
)


def plain(given):
    return words.read(given, cli.options, cli._COMMANDS)


@settings(max_examples=600, deadline=None)
@given(st.lists(WORDS, max_size=5))
def test_what_is_plain_is_read_as_argparse_reads_it(line):
    found = plain(line)
    if found is not None:
        assert found == vars(cli.parser().parse_args(line))


@pytest.mark.parametrize(
    "line",
    [
        "",
        "--once",
        "health",
        "health --start-only --json",
        "status --json",
        "--json status --state-dir /x",
        "trigger --wait",
        "--once --noop --profile=web.yaml --var a=1 --var b=2 --tags x,y --wait 5",
        "pause --reason why",
        "kinds",
        "kinds file",
        "validate a b",
        "explain file:/etc/motd",
    ],
)
def test_what_is_typed_every_day_is_plain(line):
    assert plain(line.split()) == vars(cli.parser().parse_args(line.split()))


@pytest.mark.parametrize(
    "line",
    [
        "--help",
        "health --help",
        "nonsense",
        "--prof x",
        "pause",
        "explain",
        "kinds a b",
        "--color pink",
        "--interval soon",
        "--profile",
        "--json=1",
        "health --once",
        "--var a=1 plan",
        "-- health",
    ],
)
def test_what_is_not_plain_is_left(line):
    assert plain(line.split()) is None


def test_a_wrong_word_is_told_as_argparse_tells_it():
    with pytest.raises(UsageError, match=r"invalid choice: .pink."):
        cli.parse(["--color", "pink"])


def test_plain_words_need_no_argparse():
    code = (
        "import sys; from converge import cli; cli.parse(['health', '--json']);"
        " sys.exit('argparse' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-I", "-c", code]).returncode == 0
