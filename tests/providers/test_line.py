"""The kind `line` against a fake root, and its rules, which are those of Ansible's lineinfile."""

from __future__ import annotations

import pytest

from converge import kinds
from converge.language.models import validate
from converge.provider import Spec
from converge.testing import ProviderContract, converge, make_spec, plan
from converge_resources.line import LineSpec
from converge_resources.parts import patterns
from providers.fake_tree import TreeFixtures

SSHD = "#Port 22\nPermitRootLogin yes\n\n# end\nPermitRootLogin maybe\n"


def line(**declared):
    return make_spec("line", **{"name": "a line", "path": "/etc/a", **declared})


def edited(body, **declared):
    """Return what an edit makes of a text; a second edit must find nothing to do."""
    provider, spec = kinds.load("line"), line(**declared)
    after = provider.edit(spec, body).body
    assert provider.edit(spec, after).body == after
    return after


class TestContract(TreeFixtures, ProviderContract):
    kind = "line"

    @pytest.fixture(autouse=True)
    def file(self, root):
        (root / "etc/sshd_config").write_text(SSHD)

    @pytest.fixture
    def present(self) -> list[Spec]:
        sshd = {"path": "/etc/sshd_config"}
        return [
            line(name="root", **sshd, regexp="^PermitRootLogin", content="PermitRootLogin no"),
            line(name="port", **sshd, regexp="^#?Port", content="Port 2222"),
            line(name="new", path="/etc/new", content="x", create=True, mode="0600"),
        ]

    @pytest.fixture
    def absent(self) -> list[Spec]:
        sshd = {"path": "/etc/sshd_config", "state": "absent"}
        return [
            line(name="root", **sshd, regexp="^PermitRootLogin"),
            line(name="port", **sshd, content="Port 2222"),
            line(name="new", path="/etc/new", content="x", state="absent"),
        ]


class TestFound:
    def test_the_last_match_is_replaced(self):
        assert edited("a1\nb\na2\n", regexp="^a", content="ac") == "a1\nb\nac\n"

    def test_the_first_match(self):
        assert edited("a1\na2\n", regexp="^a", content="ac", firstmatch=True) == "ac\na2\n"

    def test_every_match(self):
        assert edited("a1\nb\na2\n", regexp="^a", content="ac", multiple=True) == "ac\nb\nac\n"

    def test_a_match_outdoes_insertafter(self):
        assert edited("a\nb\n", regexp="^a", content="ac", insertafter="^b") == "ac\nb\n"

    def test_no_match_but_the_line_itself(self):
        assert edited("b\nc\n", regexp="^a", content="b") == "b\nc\n"

    def test_the_line_itself_anywhere_is_enough(self):
        assert edited("b\nx\n", content="b", insertafter="^x") == "b\nx\n"

    def test_search_string_is_no_pattern(self):
        assert edited("axc\na.c\naxc\n", search_string="a.c", content="a.c!") == "axc\na.c!\naxc\n"

    def test_windows_breaks_of_some_lines_are_breaks(self):
        """As where `echo >>` has added to a file from Windows."""
        assert edited("a\r\nb\n", content="a") == "a\r\nb\n"
        assert edited("a\r\nb\n", regexp="^a$", content="c") == "c\r\nb\n"
        assert edited("a\r\nb\n", regexp="a$", state="absent") == "b\n"
        assert edited("a\r\nb\n", content="c", insertafter="a$") == "a\r\nc\nb\n"

    def test_replaces_a_last_line_without_a_break(self):
        assert edited("a\nb", regexp="^b", content="c") == "a\nc"
        assert edited("a\nb", content="b") == "a\nb"

    def test_a_last_line_that_becomes_empty_is_there(self):
        assert edited("a\nb", regexp="^b", content="") == "a\n\n"


class TestBackrefs:
    def test_are_filled(self):
        text = edited(
            "JAVA_OPTS=-Xms1g -Xmx512m -server\n",
            regexp=r"^(.*)Xmx(\d+)m(.*)$", content=r"\1Xmx2048m\3", backrefs=True,
        )  # fmt: skip
        assert text == "JAVA_OPTS=-Xms1g -Xmx2048m -server\n"

    def test_named(self):
        text = edited("a = 1\n", regexp=r"^(?P<key>a)\s*=.*", content=r"\g<key>=2", backrefs=True)
        assert text == "a=2\n"

    def test_without_a_match_nothing_is_done(self):
        assert edited("b\n", regexp="^(a)", content=r"\1", backrefs=True) == "b\n"

    def test_are_plain_text_unless_asked_for(self):
        assert edited("a\n", regexp="^(a)", content=r"a\1") == "a\\1\n"


class TestPlace:
    @pytest.mark.parametrize(
        ("where", "after"),
        [
            ({}, "a1\na2\nx\n"),
            ({"insertafter": "EOF"}, "a1\na2\nx\n"),
            ({"insertafter": "BOF"}, "x\na1\na2\n"),
            ({"insertbefore": "BOF"}, "x\na1\na2\n"),
            ({"insertafter": "^a"}, "a1\na2\nx\n"),
            ({"insertbefore": "^a"}, "a1\nx\na2\n"),
            ({"insertafter": "^a", "firstmatch": True}, "a1\nx\na2\n"),
            ({"insertbefore": "^a", "firstmatch": True}, "x\na1\na2\n"),
            ({"insertafter": "^z"}, "a1\na2\nx\n"),
            ({"insertbefore": "^z"}, "a1\na2\nx\n"),
        ],
    )
    def test_of_a_new_line(self, where, after):
        assert edited("a1\na2\n", content="x", **where) == after

    def test_a_missing_break_at_the_end_is_made(self):
        assert edited("a", content="x") == "a\nx\n"
        assert edited("a", content="x", insertbefore="BOF") == "x\na"
        assert edited("", content="x") == "x\n"


class TestAbsent:
    def test_every_match_goes(self):
        assert edited("a1\nb\na2\n", regexp="^a", state="absent") == "b\n"
        assert edited("a1\nb\na2\n", search_string="a", state="absent") == "b\n"

    def test_without_a_pattern_the_lines_that_are_equal(self):
        assert edited("a\nab\na\n", content="a", state="absent") == "ab\n"

    def test_the_pattern_counts_not_the_content(self):
        assert edited("a\nb\n", regexp="^b", content="a", state="absent") == "a\n"

    def test_the_last_line(self):
        assert edited("b", content="b", state="absent") == ""

    def test_a_last_line_without_a_break_leaves_the_break_before_it(self):
        assert edited("a\nb", content="b", state="absent") == "a\n"
        assert edited("\nb", content="b", state="absent") == "\n"


class TestBytes(TreeFixtures):
    kind = "line"

    @pytest.mark.parametrize(
        ("old", "new"),
        [
            (b"a\r\nb\r\n", b"c\r\nb\r\n"),
            (b"a\xff\n\xe9\n", b"c\n\xe9\n"),
            (b"x\n\xe9a\n", b"x\nc\n"),
        ],
    )
    def test_are_kept(self, provider, system, root, old, new):
        (root / "etc/a").write_bytes(old)
        assert converge(provider, [line(regexp="a", content="c")], system) == []
        assert (root / "etc/a").read_bytes() == new

    def test_what_was_there_is_told(self, provider, system, root):
        (root / "etc/a").write_text("a1\n")
        (change,) = plan(provider, [line(regexp="^a", content="c")], system)
        assert [(f.before, f.after) for f in change.fields] == [(b"a1\n", b"c\n")]
        (change,) = plan(provider, [line(regexp="^a", state="absent")], system)
        assert change.before.content == b"a1\n"


class TestPatterns(TreeFixtures):
    kind = "line"

    @pytest.mark.parametrize(
        ("pattern", "text"),
        [
            (r"(a+)+$", "a" * 50 + "b"),
            (r"(?:a|b)*c", "ab" * 8000),
            (r"(a|b)*c|(.*)*x", "ab" * 8000),
            (r"^(?=(.*.*)*x)", "ab" * 8000),
        ],
    )
    def test_cannot_hang(self, provider, system, root, pattern, text):
        (root / "etc/a").write_text(f"{text}\n" * 20)
        found = provider.inspect([line(regexp=pattern, content="c")], system.read_only())
        assert "a pattern takes too long" in found["a line"].reason
        assert "`(a+)+`" in found["a line"].remedy

    def test_very_long_line_is_refused(self, provider, system, root):
        (root / "etc/a").write_text("x\n" + "a" * (patterns.MOST_LINE + 1))
        found = provider.inspect([line(regexp="(a+)+$", content="c")], system.read_only())
        assert "line 2 is longer than 16384 characters" in found["a line"].reason

    def test_a_decent_one_gets_through_a_large_file(self, provider, system, root):
        (root / "etc/a").write_text("key = value # comment\n" * 500_000)
        spec = line(regexp=r"^\s*other\s*=\s*(\S+)", content="other = 1")
        assert converge(provider, [spec], system) == []
        assert (root / "etc/a").read_text().endswith("comment\nother = 1\n")

    @pytest.mark.parametrize(
        ("body", "declared"),
        [
            ("a\n", {"regexp": "^(a.*)", "content": r"\1b", "backrefs": True}),
            ("a1\na2\n", {"regexp": "^a", "content": "c"}),
        ],
    )
    def test_an_edit_that_would_never_rest_is_refused(self, provider, system, root, body, declared):
        (root / "etc/a").write_text(body)
        found = provider.inspect([line(**declared)], system.read_only())["a line"]
        assert found.reason == "it is not done with one edit: the next run would edit its result"
        assert found.remedy == "set `multiple: true`, or let `regexp` match the new line too"


@pytest.mark.parametrize(
    ("declared", "problem"),
    [
        ({}, "content: a line needs its `content`"),
        ({"state": "absent"}, "regexp: which line? Give `regexp`, `search_string` or `content`"),
        ({"content": "a\nb"}, "content: 'a\\nb' is not one line of text"),
        ({"content": "a", "regexp": "a", "search_string": "a"}, "search_string: `regexp` and"),
        ({"content": "a", "insertafter": "a", "insertbefore": "b"}, "insertbefore: `insertafter`"),
        ({"content": "a", "insertbefore": "EOF"}, "insertbefore: use `insertafter: EOF`"),
        ({"content": "a", "backrefs": True}, "backrefs: `backrefs` needs a `regexp`"),
        ({"content": "a", "multiple": True, "firstmatch": True}, "firstmatch: `multiple` and"),
        ({"content": "a", "regexp": "("}, "regexp: '(' is not a regular expression: missing )"),
        ({"content": "a", "regexp": ""}, "regexp: an empty pattern"),
        ({"content": "a", "search_string": ""}, "search_string: an empty text"),
        ({"content": "a", "regexp": "(" * 5000}, "regexp: a pattern of more than 1000 characters"),
        ({"content": "a", "regexp": "((" * 300 + "))" * 300}, "regexp: a pattern of more"),
        ({"content": "a", "insertafter": "a{2,1}"}, "insertafter: 'a{2,1}' is not a regular"),
        (
            {"content": r"\2", "regexp": "(a)", "backrefs": True},
            r"content: '\\2' does not go with '(a)': invalid group reference 2",
        ),
        (
            {"content": r"\g<x>", "regexp": "(a)", "backrefs": True},
            r"content: '\\g<x>' does not go with '(a)': unknown group name 'x'",
        ),
    ],
)
def test_wrong(declared, problem):
    _, problems = validate(LineSpec, {"name": "a", "path": "/etc/a", **declared})
    told = [f"{'.'.join(map(str, place))}: {text}" for place, text in problems]
    assert any(text.startswith(problem) for text in told), told
