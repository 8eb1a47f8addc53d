"""The kind `json` against a fake root, and how it edits texts."""

from __future__ import annotations

import json
import random

import pytest

from converge import kinds
from converge.language.models import validate
from converge.provider import Spec
from converge.testing import ProviderContract, converge, make_spec, plan
from converge_resources.json_key import JsonSpec
from converge_resources.parts import json_text
from providers.fake_tree import TreeFixtures

DOCKER = """\
{
    "log-driver": "json-file",
    "log-opts": {"max-size":   "10m", "max-file": "3"},
    "registry-mirrors": [
        "https://a.example"
    ],
    "big": 1.10e2,
    "caf\\u00e9": true,
    "none": {}
}
"""


def value(**declared):
    return make_spec("json", **{"name": "a value", "path": "/etc/a", **declared})


def edited(body, **declared):
    """Return what an edit makes of a text; a second edit must find nothing to do."""
    provider, spec = kinds.load("json"), value(**declared)
    after = provider.edit(spec, body).body
    assert provider.edit(spec, after).body == after
    return after


def docker(old, new, **declared):
    """An edit of the sample changes this text and nothing else."""
    assert DOCKER.count(old) == 1
    assert edited(DOCKER, **declared) == DOCKER.replace(old, new)


class TestContract(TreeFixtures, ProviderContract):
    kind = "json"

    @pytest.fixture(autouse=True)
    def file(self, root):
        (root / "etc/a").write_text(DOCKER)

    @pytest.fixture
    def present(self) -> list[Spec]:
        return [
            value(name="1", key="log-opts.max-file", value=5),
            value(name="2", key="/live/restore", value=True),
            value(name="3", key=["none"], allow_null=True),
            value(name="4", key="registry-mirrors", value=["https://b.example"], exclusive=False),
            value(name="5", path="/etc/b", key="", value={"a": {"b": [1]}}, create=True),
        ]

    @pytest.fixture
    def absent(self) -> list[Spec]:
        gone = {"state": "absent"}
        return [
            value(name="1", key="log-opts.max-file", **gone),
            value(name="2", key="/live", **gone),
            value(name="3", key=["none"], **gone),
            value(
                name="4", key="registry-mirrors", value=["https://b.example"], exclusive=False,
                **gone,
            ),
            value(name="5", path="/etc/b", key="a", **gone),
        ]  # fmt: skip


class TestText:
    def test_only_the_value_changes(self):
        docker('"3"', '"5"', key="log-opts.max-file", value="5")
        docker('"3"', "5", key="/log-opts/max-file", value=5)
        docker("true", "null", key=["café"], allow_null=True)
        docker('"https://a.example"', '"b"', key="registry-mirrors.0", value="b")

    def test_what_holds_is_left(self):
        assert edited(DOCKER, key="big", value=110.0) == DOCKER
        assert edited(DOCKER, key="log-opts", value={"max-file": "3", "max-size": "10m"}) == DOCKER

    def test_true_is_not_one_and_one_is_no_fraction(self):
        assert edited('{"a": true}', key="a", value=1) == '{"a": 1}'
        assert edited('{"a": 1}', key="a", value=1.0) == '{"a": 1.0}'
        assert edited('{"a": [0, {"b": 1}]}', key="a", value=[0, {"b": True}]) == (
            '{"a": [0, {"b": true}]}'
        )

    def test_a_new_member_is_last_and_placed_as_its_neighbours(self):
        docker(
            '"none": {}', '"none": {},\n    "x": [\n        1,\n        2\n    ]',
            key="x", value=[1, 2],
        )  # fmt: skip
        docker('"3"}', '"3", "é": {"b": 1}}', key="log-opts.é.b", value=1)
        docker('"none": {}', '"none": {\n        "a": "b"\n    }', key="none.a", value="b")

    def test_what_is_gone_takes_one_comma_along(self):
        docker('    "log-driver": "json-file",\n', "", key="log-driver", state="absent")
        docker(',\n    "none": {}', "", key="none", state="absent")
        docker('"max-size":   "10m", ', "", key="log-opts.max-size", state="absent")
        docker('\n        "https://a.example"\n    ', "", key="registry-mirrors.0", state="absent")

    @pytest.mark.parametrize(
        ("old", "new"),
        [
            ('{"a":1}', '{"a":1,"k":{"x":[1,2]}}'),
            ('{"a": 1}', '{"a": 1, "k": {"x": [1, 2]}}'),
            (
                '{\n\t"a": 1\n}',
                '{\n\t"a": 1,\n\t"k": {\n\t\t"x": [\n\t\t\t1,\n\t\t\t2\n\t\t]\n\t}\n}',
            ),
            ("", '{\n  "k": {\n    "x": [\n      1,\n      2\n    ]\n  }\n}\n'),
            ("{}", '{\n  "k": {\n    "x": [\n      1,\n      2\n    ]\n  }\n}'),
            (' {"k":null} \n', ' {"k":{"x":[1,2]}} \n'),
        ],
    )
    def test_looks_as_the_file_does(self, old, new):
        assert edited(old, key="k.x", value=[1, 2]) == new

    def test_the_top(self):
        assert edited("[1]", key="", value=[2]) == "[2]"
        assert edited('{"a": 1, "b": 2}', key="", value={"b": 3, "c": 4}) == '{"b": 3, "c": 4}'

    @pytest.mark.parametrize(
        ("old", "new"), [('{"a":1}', '{"b":{"c":2}}'), ('{"a": 1}', '{"b": {"c": 2}}')]
    )
    def test_the_top_looks_as_it_did_if_nothing_stays(self, old, new):
        assert edited(old, key="", value={"b": {"c": 2}}) == new


class TestLists:
    def test_by_index(self):
        assert edited('{"a": [1, 2]}', key="a.1", value=3) == '{"a": [1, 3]}'
        assert edited('{"a": [1, 2]}', key=["a", 2], value=3) == '{"a": [1, 2, 3]}'
        assert edited('{"a": [1, 2]}', key="a.1", state="absent") == '{"a": [1]}'
        assert edited('{"a": [1, 2]}', key="a.7", state="absent") == '{"a": [1, 2]}'

    def test_items_beside_others(self):
        text = '{"a": [1, 2]}'
        assert edited(text, key="a", value=[2, 3], exclusive=False) == '{"a": [1, 2, 3]}'
        gone = {"exclusive": False, "state": "absent"}
        assert edited(text, key="a", value=[1, 3], **gone) == '{"a": [2]}'
        assert edited(text, key="b", value=[1], **gone) == text

    def test_members_beside_others(self):
        text = '{"a": {"b": 1, "c": {"d": 2}}}'
        assert edited(text, key="a", value={"c": {"e": 3}, "f": 4}, exclusive=False) == (
            '{"a": {"b": 1, "c": {"d": 2, "e": 3}, "f": 4}}'
        )

    def test_shorter_longer_and_other_ones(self):
        assert edited('{"a": [1,  2, 3]}', key="a", value=[3]) == '{"a": [3]}'
        assert edited('{"a": [1,  2, 3]}', key="a", value=[1, 4, 3, 5]) == '{"a": [1,  4, 3, 5]}'
        assert edited('{"a": [1,  2, 3]}', key="a", value=[3, 2]) == '{"a": [3, 2]}'
        assert edited('{"a": [1]}', key="a", value=[]) == '{"a": []}'


def some(chance: random.Random, depth: int = 0):
    """Return random plain data."""
    kind = chance.randrange(8 if depth < 4 else 5)
    if kind > 5:
        return {
            chance.choice('ab"é/~\\ 0'): some(chance, depth + 1) for _ in range(chance.randrange(4))
        }
    if kind == 5:
        return [some(chance, depth + 1) for _ in range(chance.randrange(4))]
    return chance.choice([None, True, False, 0, 1, 1.5, -3, "", "x", 'q"\n\té', "{}[],:"])


@pytest.mark.parametrize("seed", range(100))
def test_any_data_becomes_any_other(seed):
    chance = random.Random(seed)  # noqa: S311
    old, new = some(chance), some(chance)
    if isinstance(old, dict) and isinstance(new, dict):
        new = {**old, **new}
    indent = chance.choice([None, 1, 4, "\t"])
    text = json.dumps(old, indent=indent, ensure_ascii=chance.random() < 0.5)
    assert json.loads(json_text.rewrite(text, new)) == new


class TestProvider(TreeFixtures):
    kind = "json"

    def test_what_was_there_is_told(self, provider, system, root):
        (root / "etc/a").write_text('{"a": {"b": true}}')
        (change,) = plan(provider, [value(key="a", value=[1])], system)
        assert [(f.before, f.after) for f in change.fields] == [('{"b": true}', "[1]")]

    @pytest.mark.parametrize(
        ("text", "declared", "reason"),
        [
            ("{", {}, "not JSON: Expecting property name"),
            ('{"a": 1,}', {}, "not JSON: Expecting property name enclosed in double quotes"),
            ('// x\n{"a": 1}', {}, "not JSON: Expecting value at line 1, column 1"),
            ('{"a": 1, "a": 2}', {}, "not JSON: the key 'a' is there twice"),
            ("[" * 100_000, {}, "it is nested too deep"),
            ('{"k": "x"}', {"key": "k.a"}, "/k is a text, so nothing can be below it"),
            ("[]", {"key": "k.a"}, "the top is a list, and 'k' is no index of one"),
            ('{"k": [1, 2]}', {"key": "k.0", "value": None, "state": "absent"}, "it is not done"),
            ("[]", {"key": "/4"}, " has 0 items, and none is number 4"),
            ('{"k": 9' + "9" * 5000 + "}", {}, "not JSON: Exceeds the limit"),
            ('{"k": "' + "x" * (5 << 20) + '"}', {}, "the file is larger than 4 MiB"),
        ],
    )
    def test_what_cannot_be_edited(self, provider, system, root, text, declared, reason):
        (root / "etc/a").write_text(text)
        spec = value(**{"key": "k", "value": 1, **declared})
        assert provider.inspect([spec], system.read_only())["a value"].reason.startswith(reason)

    def test_windows_line_breaks_and_mark(self, provider, system, root):
        (root / "etc/a").write_bytes(b'\xef\xbb\xbf{\r\n  "a": 1\r\n}')
        assert converge(provider, [value(key="b", value=2)], system) == []
        assert (root / "etc/a").read_bytes() == b'\xef\xbb\xbf{\r\n  "a": 1,\r\n  "b": 2\r\n}'

    def test_a_large_file(self, provider, system, root):
        (root / "etc/a").write_text(json.dumps({f"k{i}": [i] for i in range(50_000)}, indent=1))
        assert converge(provider, [value(key="k49999.0", value=1)], system) == []

    def test_values_have_one_owner(self, provider):
        (one,), (other,) = (provider.claims(value(key=k, value=1)) for k in ("a.b", "/a/b"))
        assert one == other
        several = [value(key="a", value=[v], exclusive=False) for v in (1, 2)]
        assert provider.claims(several[0]) != provider.claims(several[1])


@pytest.mark.parametrize(
    ("declared", "problem"),
    [
        ({}, "key: the attribute `key` is missing"),
        ({"key": "a"}, "value: a `value` is needed, or `allow_null: true` for null"),
        ({"key": "a", "value": 1, "exclusive": False}, "exclusive: only a mapping or a list"),
        ({"key": "", "state": "absent"}, "key: the top cannot be absent"),
        ({"key": "a", "state": "absent", "value": 1}, "value: what is to be absent has no value"),
        ({"key": "a", "state": "absent", "exclusive": False}, "value: `exclusive: false` takes a"),
    ],
)
def test_wrong(declared, problem):
    _, problems = validate(JsonSpec, {"name": "a", "path": "/etc/a", **declared})
    told = [f"{'.'.join(map(str, place))}: {text}" for place, text in problems]
    assert any(text.startswith(problem) for text in told), told
