"""The kind `block` against a fake root, and its rules, which are those of Ansible's blockinfile."""

from __future__ import annotations

import pytest

from converge import kinds
from converge.language.models import validate
from converge.provider import Spec
from converge.testing import ProviderContract, converge, make_spec, plan
from converge_resources.block import BlockSpec
from providers.fake_tree import TreeFixtures

BEGIN, END = "# BEGIN converge: hosts\n", "# END converge: hosts\n"


def block(**declared):
    return make_spec("block", **{"name": "hosts", "path": "/etc/a", **declared})


def edited(body, **declared):
    """Return what an edit makes of a text; a second edit must find nothing to do."""
    provider, spec = kinds.load("block"), block(**declared)
    after = provider.edit(spec, body).body
    assert provider.edit(spec, after).body == after
    return after


class TestContract(TreeFixtures, ProviderContract):
    kind = "block"

    @pytest.fixture(autouse=True)
    def file(self, root):
        (root / "etc/a").write_text(f"127.0.0.1 localhost\n{BEGIN}old\n{END}last")

    @pytest.fixture
    def present(self) -> list[Spec]:
        return [
            block(content="192.0.2.1 a\n192.0.2.2 b\n"),
            block(name="other", content="x", marker="<!-- {mark} -->", insertbefore="BOF"),
            block(name="new", path="/etc/new", content="x", create=True),
        ]

    @pytest.fixture
    def absent(self) -> list[Spec]:
        return [
            block(state="absent"),
            block(name="other", marker="<!-- {mark} -->", state="absent"),
            block(name="new", path="/etc/new", state="absent"),
        ]


class TestPlace:
    @pytest.mark.parametrize(
        ("where", "after"),
        [
            ({}, f"a1\na2\nb\n{BEGIN}x\n{END}"),
            ({"insertafter": "EOF"}, f"a1\na2\nb\n{BEGIN}x\n{END}"),
            ({"insertbefore": "BOF"}, f"{BEGIN}x\n{END}a1\na2\nb\n"),
            ({"insertafter": "^a"}, f"a1\na2\n{BEGIN}x\n{END}b\n"),
            ({"insertbefore": "^a"}, f"a1\n{BEGIN}x\n{END}a2\nb\n"),
            ({"insertafter": "^z"}, f"a1\na2\nb\n{BEGIN}x\n{END}"),
        ],
    )
    def test_of_a_new_block(self, where, after):
        assert edited("a1\na2\nb\n", content="x", **where) == after

    def test_a_missing_break_at_the_end_is_made(self):
        assert edited("a", content="x") == f"a\n{BEGIN}x\n{END}"
        assert edited("", content="x") == f"{BEGIN}x\n{END}"

    def test_a_block_that_is_there_stays_where_it_is(self):
        text = f"a\n{BEGIN}old\nold\n{END}b"
        assert edited(text, content="x", insertbefore="BOF") == f"a\n{BEGIN}x\n{END}b"


class TestContent:
    @pytest.mark.parametrize("content", ["x\ny", "x\ny\n"])
    def test_ends_in_one_break(self, content):
        assert edited("", content=content) == f"{BEGIN}x\ny\n{END}"

    def test_blank_lines_are_kept(self):
        assert edited("", content="\nx\n\n") == f"{BEGIN}\nx\n\n{END}"

    @pytest.mark.parametrize("declared", [{"content": ""}, {"state": "absent"}])
    def test_without_lines_the_block_goes(self, declared):
        assert edited(f"a\n{BEGIN}x\n{END}b\n", **declared) == "a\nb\n"
        assert edited("a\n", **declared) == "a\n"

    def test_of_several_such_blocks_the_first_stays(self):
        text = f"a\n{BEGIN}x\n{END}b\n{BEGIN}y\n{END}c\n"
        assert edited(text, content="x") == f"a\n{BEGIN}x\n{END}b\nc\n"

    def test_a_last_one_without_a_break_leaves_the_break_before_it(self):
        assert edited(f"a\n{BEGIN}x\n{END[:-1]}", state="absent") == "a\n"
        assert edited(f"a\n{BEGIN}x\n{END[:-1]}", content="y") == f"a\n{BEGIN}y\n{END[:-1]}"

    def test_is_known_where_only_some_lines_have_windows_breaks(self):
        mixed = f"{BEGIN}x\n{END}a\n".replace("\n", "\r\n") + "b\n"
        assert edited(mixed, content="x") == mixed
        assert edited(mixed, content="y") == f"{BEGIN}y\n{END}a\r\nb\n"
        assert edited(mixed, state="absent") == "a\r\nb\n"

    def test_markers(self):
        text = edited("", content="x", marker="-- {mark} {mark}", marker_begin="A", marker_end="B")
        assert text == "-- A A\nx\n-- B B\n"


class TestProvider(TreeFixtures):
    kind = "block"

    def test_windows_line_breaks(self, provider, system, root):
        (root / "etc/a").write_bytes(b"a\r\nb\r\n")
        assert converge(provider, [block(content="x\ny", insertafter="^a")], system) == []
        assert (root / "etc/a").read_bytes() == (
            b"a\r\n# BEGIN converge: hosts\r\nx\r\ny\r\n# END converge: hosts\r\nb\r\n"
        )

    def test_what_was_there_is_told(self, provider, system, root):
        (root / "etc/a").write_text(f"{BEGIN}old\n{END}")
        (change,) = plan(provider, [block(content="x")], system)
        assert [(f.field, f.before, f.after) for f in change.fields] == [
            ("content", b"old\n", b"x\n")
        ]

    def test_a_block_that_is_there_twice_is_told(self, provider, system, root):
        (root / "etc/a").write_text(f"{BEGIN}{END}{BEGIN}x\n{END}")
        (change,) = plan(provider, [block(content="x")], system)
        assert [(f.field, f.before, f.after) for f in change.fields] == [
            ("content", b"x\n(twice, or at the wrong place)\n", b"x\n")
        ]

    @pytest.mark.parametrize(
        ("text", "number"),
        [
            (f"a\n{BEGIN}x\n", 2),
            (f"a\n{END}x\n", 2),
            (f"{BEGIN}{BEGIN}x\n{END}", 2),
            (f"{BEGIN}{END}{END}", 3),
        ],
    )
    def test_half_a_block_is_left_alone(self, provider, system, root, text, number):
        (root / "etc/a").write_text(text)
        found = provider.inspect([block(content="x")], system.read_only())["hosts"]
        assert f"line {number}, " in found.reason
        assert "a marker without its other half" in found.reason


@pytest.mark.parametrize(
    ("declared", "problem"),
    [
        ({}, "content: a block needs its `content`"),
        ({"content": "a", "marker": "# x"}, "marker: a marker needs `{mark}`"),
        ({"content": "a", "marker_end": "BEGIN"}, "marker_end: `marker_begin` and"),
        ({"content": f"a\n{END}"}, "content: a line of the content is one of the markers"),
        ({"content": "a", "insertafter": "("}, "insertafter: '(' is not a regular expression"),
        ({"content": "a", "insertafter": "a", "insertbefore": "b"}, "insertbefore: `insertafter`"),
        ({"content": "a", "marker": "a\n{mark}"}, "marker: 'a\\n{mark}' is not one line"),
    ],
)
def test_wrong(declared, problem):
    _, problems = validate(BlockSpec, {"name": "hosts", "path": "/etc/a", **declared})
    told = [f"{'.'.join(map(str, place))}: {text}" for place, text in problems]
    assert any(text.startswith(problem) for text in told), told
