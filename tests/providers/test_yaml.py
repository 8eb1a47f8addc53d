"""The kind `yaml` against a fake root, and how it edits texts."""

from __future__ import annotations

import random

import pytest
import yaml

from converge import kinds
from converge.provider import Spec
from converge.testing import ProviderContract, converge, make_spec, plan
from converge_resources.parts import yaml_text
from converge_resources.parts.plain_data import same
from converge_resources.parts.yaml_style import flow
from providers.fake_tree import TreeFixtures

COMPOSE = """\
# The services
version:   "3"     # aligned
services:
    web:            # four spaces
        image:  nginx:1.25
        ports:
        - "80:80"   # not indented
        - 443:443
        command: >-
            run
            it

    db: {image: postgres, ports: [5432,   5433]}   # one line

# the rest
mode: 0644
empty:
list:
  - a
  - {b: 1}
  - c: 1
    d: 2
"""


def value(**declared):
    return make_spec("yaml", **{"name": "a value", "path": "/etc/a", **declared})


def edited(body, **declared):
    """Return what an edit makes of a text; a second edit must find nothing to do."""
    provider, spec = kinds.load("yaml"), value(**declared)
    after = provider.edit(spec, body).body
    assert provider.edit(spec, after).body == after
    return after


def compose(old, new, **declared):
    """An edit of the sample changes this text and nothing else."""
    assert COMPOSE.count(old) == 1
    assert edited(COMPOSE, **declared) == COMPOSE.replace(old, new)


class TestContract(TreeFixtures, ProviderContract):
    kind = "yaml"

    @pytest.fixture(autouse=True)
    def file(self, root):
        (root / "etc/a").write_text(COMPOSE)

    @pytest.fixture
    def present(self) -> list[Spec]:
        return [
            value(name="1", key="services.web.image", value="nginx:1.27"),
            value(name="2", key="/services/cache", value={"image": "redis", "ports": [6379]}),
            value(name="3", key="services.db.ports", value=[5434], exclusive=False),
            value(name="4", key="empty", value="no"),
            value(name="5", path="/etc/b", key="a.b", value=[1, {"c": "d\ne\n"}], create=True),
        ]

    @pytest.fixture
    def absent(self) -> list[Spec]:
        gone = {"state": "absent"}
        return [
            value(name="1", key="services.web.image", **gone),
            value(name="2", key="/services/cache", **gone),
            value(name="3", key="services.db.ports", value=[5434], exclusive=False, **gone),
            value(name="4", key="empty", **gone),
            value(name="5", path="/etc/b", key="a", **gone),
        ]


class TestScalars:
    @pytest.mark.parametrize(
        ("old", "new", "key", "wanted"),
        [
            ("nginx:1.25", '"nginx:1.27"', "services.web.image", "nginx:1.27"),
            ("nginx:1.25", "nginx", "services.web.image", "nginx"),
            ('"3"     #', '"4"     #', "version", "4"),
            ('"80:80"', '"81:80"', "services.web.ports.0", "81:80"),
            ("443:443", "null", "services.web.ports.1", None),
            (">-\n            run\n            it", "run", "services.web.command", "run"),
            ("0644", "420", "mode", 420),
            ("empty:", "empty: true", "empty", True),
            ("empty:", 'empty: "true"', "empty", "true"),
            ("postgres", "maria", "services.db.image", "maria"),
            ("  - a\n", "  - 1.5\n", "list.0", 1.5),
        ],
    )
    def test_only_the_value_changes(self, old, new, key, wanted):
        compose(old, new, key=key, value=wanted, allow_null=wanted is None)

    def test_what_holds_is_left(self):
        assert edited(COMPOSE, key="mode", value="0644") == COMPOSE
        assert edited(COMPOSE, key="services.web.command", value="run it") == COMPOSE
        assert edited(COMPOSE, key="list.2", value={"d": 2, "c": 1}) == COMPOSE

    def test_a_text_of_several_lines_is_a_block(self):
        compose(
            ">-\n            run\n            it", "|\n            a\n\n              b",
            key="services.web.command", value="a\n\n  b\n",
        )  # fmt: skip
        compose("empty:", "empty: |-\n    a\n    b", key="empty", value="a\nb")
        compose("  - a\n", "  - |-\n      x\n      y\n", key="list.0", value="x\ny")

    def test_a_block_at_the_end_of_a_file_without_a_break(self):
        assert edited("a: 1", key="a", value="x\ny\n") == "a: |\n  x\n  y\n"
        assert edited("a: 1", key="a", value="x\ny") == "a: |-\n  x\n  y"

    @pytest.mark.parametrize(
        "text",
        [
            *("yes", "No", "on", "off", "null", "~", "", " ", "1", "1.5", "0x1", "1e3", ".inf"),
            *("2001-01-01", "12:30", "- a", "a: b", "a #b", "#a", "&a", "*a", "!a", "%a", "@a"),
            *("{a", "[a", "'", '"', "a'b\"c", "\t", "a\tb", "é", "\u2028", "\x1b", "😀", "|", ">"),
            *("a\n", "\na", "a\n\n", " a\nb", "a \nb", "a\r\nb", "---", "...", "<<", "=", "a,b"),
            *("true ", "a:", ":a", "-", "?", "? a", "0644", "1_000", "0o7", "+1", "NULL", "y"),
        ],
    )
    def test_any_text_reads_as_itself_in_both_versions(self, text):
        for old in ("k: x\nj: 1\n", "k: {a: 1}\n", "k: 'x'\n", "k:\n  - x\n", "{k: 1}\n"):
            after = edited(old, key="k", value=text)
            assert yaml.safe_load(after)["k"] == text
            assert yaml_text.load(after)["k"] == text
        after = edited("a: 1\n", key=[text], value=1)
        assert yaml.safe_load(after) == {"a": 1, text: 1}


class TestMembers:
    def test_a_new_one_is_last_and_placed_as_its_neighbours(self):
        compose(
            "            it\n",
            "            it\n        deploy:\n            replicas: 2\n",
            key="services.web.deploy.replicas", value=2,
        )  # fmt: skip
        compose("5433]}", "5433], x: {a: 1}}", key="services.db.x.a", value=1)
        compose(
            "one line\n", "one line\n    x:\n        v:\n        - 1\n        - z: 2\n          w: []\n",
            key="services.x", value={"v": [1, {"z": 2, "w": []}]},
        )  # fmt: skip

    def test_an_empty_one_becomes_a_mapping_or_a_list(self):
        compose("empty:", "empty:\n    a: 1", key="empty.a", value=1)
        compose("empty:", "empty:\n- a", key="empty", value=["a"])
        compose("mode: 0644", "mode:\n    a: 1", key="mode", value={"a": 1})

    def test_what_is_gone_takes_its_lines_along(self):
        compose("        image:  nginx:1.25\n", "", key="services.web.image", state="absent")
        compose("mode: 0644\n", "", key="mode", state="absent")
        compose("image: postgres, ", "", key="services.db.image", state="absent")
        compose(", ports: [5432,   5433]", "", key="services.db.ports", state="absent")
        compose("c: 1\n    ", "", key="list.2.c", state="absent")
        compose("\n    d: 2", "", key="list.2.d", state="absent")
        compose(
            "        command: >-\n            run\n            it\n", "",
            key="services.web.command", state="absent",
        )  # fmt: skip

    def test_the_last_one_leaves_an_empty_mapping(self):
        assert edited("a:\n  b: 1 # c\nd: 2\n", key="a.b", state="absent") == "a: {} # c\nd: 2\n"
        assert edited("a: 1\n", key="a", state="absent") == "{}\n"

    def test_beside_others(self):
        compose(
            "5432,   5433]}", "5432,   5433, 1], x: v}",
            key="services.db", value={"x": "v", "ports": [5433, 1]}, exclusive=False,
        )  # fmt: skip
        compose(
            '        - "80:80"   # not indented\n', "",
            key="services.web.ports", value=["80:80"], exclusive=False, state="absent",
        )  # fmt: skip


class TestLists:
    def test_a_new_item_is_last(self):
        compose("443:443\n", '443:443\n        - "x:y"\n', key="services.web.ports.2", value="x:y")
        compose(
            "    d: 2\n", "    d: 2\n  - e: 1\n    f:\n    - 2\n",
            key=["list", 3], value={"e": 1, "f": [2]},
        )  # fmt: skip

    def test_inside_an_item(self):
        compose("{b: 1}", "{b: 2}", key="list.1.b", value=2)
        compose("    d: 2\n", "    d: 2\n    e: 3\n", key="list.2.e", value=3)

    def test_nested(self):
        text = "- - a\n  - b # - c\n-  # - x\n  - d\n"
        assert edited(text, key="/0/0", value="x") == text.replace("- a", "- x")
        assert edited(text, key="/1/0", value="v") == text.replace("- d", "- v")
        assert edited(text, key="/0/2", value="z") == text.replace("# - c\n", "# - c\n  - z\n")
        assert edited(text, key="/1", value=1) == "- - a\n  - b # - c\n- 1\n"


class TestDocuments:
    @pytest.mark.parametrize(
        ("old", "new"),
        [
            ("", "a:\n  b: 1\n"),
            ("# c", "# c\na:\n  b: 1\n"),
            ("---\n", "---\na:\n  b: 1\n"),
            ("{}\n", "a:\n  b: 1\n"),
            ("{}", "a:\n  b: 1"),
            ("x: 1", "x: 1\na:\n  b: 1"),
            ("---\nx: 1 # c\n...\n", "---\nx: 1 # c\na:\n  b: 1\n...\n"),
            ("{x: 1}\n", "{x: 1, a: {b: 1}}\n"),
            ('{"x":1}\n', '{"x":1, a: {b: 1}}\n'),
            ("a:\n  # c\n", "a:\n  b: 1\n  # c\n"),
            ('"a": ~\n', '"a":\n  b: 1\n'),
        ],
    )
    def test_of_any_sort(self, old, new):
        assert edited(old, key="a.b", value=1) == new

    def test_what_others_mean_by_tags_merges_and_aliases_is_left(self):
        text = "a: &x {b: 1}\nc:\n  <<: *x\n  d: !secret e\nf: *x\n? g\n: 1\n"
        assert edited(text, key="c.d", value=2) == text.replace("!secret e", "2")
        assert edited(text, key="c.h", value=3) == text.replace("e\nf", "e\n  h: 3\nf")
        assert edited(text, key="g", value=4) == text.replace(": 1\n", ": 4\n")
        assert edited(text, key="f", value=5) == text.replace("f: *x", "f: 5")


def some(chance: random.Random, depth: int = 0):
    """Return random plain data."""
    kind = chance.randrange(8 if depth < 4 else 5)
    if kind > 5:
        names = ("a", "b b", "é", "yes", "1", "- x", "")
        return {chance.choice(names): some(chance, depth + 1) for _ in range(chance.randrange(4))}
    if kind == 5:
        return [some(chance, depth + 1) for _ in range(chance.randrange(4))]
    return chance.choice([None, True, 0, 1, 1.5, -3, "", "x", "q\n\té", "a\n b\n", "no", "x: y"])


@pytest.mark.parametrize("seed", range(150))
def test_any_data_becomes_any_other(seed):
    chance = random.Random(seed)  # noqa: S311
    old, new = some(chance), some(chance)
    if isinstance(old, dict) and isinstance(new, dict):
        new = {**old, **new}
    options = {"default_flow_style": chance.choice([None, True, False, False])}
    options |= {"indent": chance.choice([2, 4]), "explicit_start": chance.random() < 0.3}
    text = yaml.safe_dump(old, allow_unicode=True, **options)
    after = yaml_text.rewrite(text, new)
    assert same(yaml_text.load(after), new), f"{text}\n{after}"
    assert yaml.safe_load(after) == new


class TestProvider(TreeFixtures):
    kind = "yaml"

    def test_what_was_there_is_told(self, provider, system, root):
        (root / "etc/a").write_text("a: {b: [yes, *x]}\n".replace("*x", "2"))
        (change,) = plan(provider, [value(key="a", value=[1])], system)
        assert [(f.before, f.after) for f in change.fields] == [('{"b": ["yes", 2]}', "[1]")]

    @pytest.mark.parametrize(
        ("text", "declared", "reason"),
        [
            ("a: b: c\n", {}, "not YAML that can be edited: mapping values are not allowed"),
            ("a: 1\na: 2\n", {}, "not YAML that can be edited: the key 'a' is there twice, line 2"),
            ("a: 1\n---\nb: 2\n", {}, "not YAML that can be edited: a second document begins"),
            ("[" * 60_000, {}, "not YAML that can be edited: nested more than 64 deep"),
            ("a: *b\n", {}, "not YAML that can be edited: the alias *b is not defined above"),
            ("a: *a\n", {}, "not YAML that can be edited: the alias *a is not defined above"),
            ("{1: 2, [a]: 3}\n", {}, "not YAML that can be edited: a key that is not a text"),
            ("\xff\n", {}, "not YAML that can be edited: not UTF-8"),
            ("a: 'x\n", {}, "not YAML that can be edited: found unexpected end of stream"),
            (
                "a: &x 1\nb: *x\n",
                {"key": "a", "value": 2},
                "/a cannot be edited without harm to the rest",
            ),
            ("k: *x\n", {"key": "k.a"}, "not YAML"),
            ("x: &x {}\nk: *x\n", {"key": "k.a"}, "/k is an alias or has a tag, so nothing"),
            ("k: x\n", {"key": "k.a"}, "/k is a text, so nothing can be below it"),
            ("x" * (2 << 20), {}, "not YAML that can be edited: the file is larger than 1024 KiB"),
            ("%YAML 1.1\n---\na: 1\n", {}, "not YAML that can be edited: the directive"),
        ],
    )
    def test_what_cannot_be_edited(self, provider, system, root, text, declared, reason):
        (root / "etc/a").write_text(text, encoding="latin-1")
        spec = value(**{"key": "k", "value": 1, **declared})
        found = provider.inspect([spec], system.read_only())["a value"]
        assert found.reason.startswith(reason), found

    def test_windows_line_breaks_and_mark(self, provider, system, root):
        (root / "etc/a").write_bytes(b"\xef\xbb\xbfa: 1\r\nb:\r\n  c: 2\r\n")
        assert converge(provider, [value(key="b.d", value="x\ny\n")], system) == []
        assert (root / "etc/a").read_bytes() == (
            b"\xef\xbb\xbfa: 1\r\nb:\r\n  c: 2\r\n  d: |\r\n    x\r\n    y\r\n"
        )

    def test_a_large_file(self, provider, system, root):
        (root / "etc/a").write_text("".join(f"key{i}: value {i}  # c\n" for i in range(20_000)))
        assert converge(provider, [value(key="key19999", value="x")], system) == []


def test_numbers_are_read_as_such_by_both_versions():
    for number in (1e-7, 1e16, 1.0, -2.5, 123456789012345678, 0):
        assert yaml.safe_load(flow(number)) == number
        assert same(yaml_text.load(f"a: {flow(number)}\n"), {"a": number})
