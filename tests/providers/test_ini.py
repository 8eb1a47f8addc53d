"""The kind `ini` against a fake root, and its rules."""

from __future__ import annotations

import configparser

import pytest

from converge import kinds
from converge.language.models import validate
from converge.provider import Spec
from converge.testing import ProviderContract, converge, make_spec, plan
from converge_resources.ini import IniSpec
from providers.fake_tree import TreeFixtures

MYSQL = """\
# The server
[client]
port = 3306

[mysqld]
; where it listens
bind-address=127.0.0.1
skip-name-resolve
#max_connections = 100

# slow queries
slow_query_log  =  0

[mysqldump]
quick
"""


def ini(**declared):
    return make_spec("ini", **{"name": "a key", "path": "/etc/a", **declared})


def edited(body, **declared):
    """Return what an edit makes of a text; a second edit must find nothing to do."""
    provider, spec = kinds.load("ini"), ini(**declared)
    after = provider.edit(spec, body).body
    assert provider.edit(spec, after).body == after
    return after


def server(**declared):
    return edited(MYSQL, section="mysqld", **declared)


class TestContract(TreeFixtures, ProviderContract):
    kind = "ini"

    @pytest.fixture(autouse=True)
    def file(self, root):
        (root / "etc/a").write_text(MYSQL)
        (root / "etc/sysctl.conf").write_text("# comment\nkernel.x=1\n")

    @pytest.fixture
    def present(self) -> list[Spec]:
        return [
            ini(name="max", section="mysqld", key="max_connections", value=500),
            ini(name="slow", section="mysqld", key="slow_query_log", value=True),
            ini(name="skip", section="mysqld", key="skip-bdb", allow_no_value=True),
            ini(name="new", section="mariadb", key="a", value=["1", "2"]),
            ini(name="alone", section="empty"),
            ini(name="sysctl", path="/etc/sysctl.conf", key="kernel.y", value=2, separator="="),
            ini(name="made", path="/etc/b", section="s", key="k", value="v", create=True),
        ]

    @pytest.fixture
    def absent(self) -> list[Spec]:
        gone = {"state": "absent"}
        return [
            ini(name="max", section="mysqld", key="max_connections", **gone),
            ini(name="slow", section="mysqld", key="slow_query_log", **gone),
            ini(name="skip", section="mysqld", key="skip-bdb", **gone),
            ini(name="new", section="mariadb", key="a", **gone),
            ini(name="alone", section="empty", **gone),
            ini(name="sysctl", path="/etc/sysctl.conf", key="kernel.y", separator="=", **gone),
            ini(name="made", path="/etc/b", section="s", key="k", **gone),
        ]


class TestValue:
    @pytest.mark.parametrize(
        ("key", "value", "old", "new"),
        [
            ("bind-address", "::", "bind-address=127.0.0.1", "bind-address=::"),
            ("slow_query_log", 1, "slow_query_log  =  0", "slow_query_log  =  1"),
            ("slow_query_log", False, "slow_query_log  =  0", "slow_query_log  =  false"),
            ("slow_query_log", 0.5, "slow_query_log  =  0", "slow_query_log  =  0.5"),
            ("slow_query_log", "", "slow_query_log  =  0", "slow_query_log  ="),
            ("skip-name-resolve", 1, "skip-name-resolve", "skip-name-resolve = 1"),
            ("bind-address", "a = b", "bind-address=127.0.0.1", "bind-address=a = b"),
        ],
    )
    def test_is_replaced_and_the_rest_of_its_line_kept(self, key, value, old, new):
        assert server(key=key, value=value) == MYSQL.replace(f"\n{old}\n", f"\n{new}\n")

    def test_that_holds_in_another_spelling_is_left(self):
        assert server(key="bind-address", value="127.0.0.1") == MYSQL
        assert server(key="slow_query_log", value=0) == MYSQL

    def test_is_taken_away_from_a_key_alone(self):
        text = server(key="bind-address", allow_no_value=True)
        assert text == MYSQL.replace("bind-address=127.0.0.1", "bind-address")

    def test_of_a_key_in_another_section_is_left(self):
        assert server(key="port", value=3306) == MYSQL.replace(
            "slow_query_log  =  0\n", "slow_query_log  =  0\nport = 3306\n"
        )

    def test_empty_one_becomes_one(self):
        assert edited("a =\n", key="a", value="1") == "a = 1\n"
        assert edited("a=\n", key="a", value="1") == "a = 1\n"
        assert edited("a=\n", key="a", value="1", separator="=") == "a=1\n"

    def test_goes_on_over_several_lines(self):
        text = "[s]\na = 1\n    2\n\n    3\n# c\nb = x \\\ny = z\nc = 3\n"
        assert edited(text, section="s", key="a", value="9") == text.replace("1\n    2\n", "9\n")
        assert edited(text, section="s", key="b", value="9") == text.replace("x \\\ny = z", "9")
        assert "y = 1\n" in edited(text, section="s", key="y", value="1")

    def test_deeper_lines_with_a_separator_are_keys(self):
        text = "[s]\na = 1\n   b = 2\n"
        assert edited(text, section="s", key="a", value="9") == "[s]\na = 9\n   b = 2\n"
        assert edited(text, section="s", key="b", value="9") == "[s]\na = 1\n   b = 9\n"


class TestPlace:
    def test_after_the_comment_that_shows_the_key(self):
        assert server(key="max_connections", value=500) == MYSQL.replace(
            "connections = 100\n", "connections = 100\nmax_connections = 500\n"
        )

    def test_after_the_last_key_of_the_section_as_that_is_indented(self):
        text = "[user]\n\tname = x\n\n# next\n[core]\n\teditor = vi\n"
        assert edited(text, section="user", key="email", value="y") == text.replace(
            "= x\n", "= x\n\temail = y\n"
        )

    def test_after_the_header_of_an_empty_section(self):
        assert edited("[a]\n# c\n[b]\n", section="a", key="k", value="v") == (
            "[a]\nk = v\n# c\n[b]\n"
        )

    def test_a_new_section_is_last_after_a_blank_line(self):
        assert edited("[a]\nx = 1", section="b", key="k", value="v") == (
            "[a]\nx = 1\n\n[b]\nk = v\n"
        )
        assert edited("", section="b", key="k", value="v") == "[b]\nk = v\n"
        assert edited("[a]\n\n", section="b") == "[a]\n\n[b]\n"

    def test_before_all_sections(self):
        assert edited("# c\n[a]\n", key="k", value="v") == "k = v\n# c\n[a]\n"
        assert edited("x = 1\n[a]\n", key="k", value="v") == "x = 1\nk = v\n[a]\n"
        assert edited("# c", key="k", value="v") == "# c\nk = v\n"
        assert edited("x = 1", key="k", value="v") == "x = 1\nk = v\n"


class TestSeparator:
    @pytest.mark.parametrize(
        ("separator", "old", "new"),
        [
            ("=", "#k=1\nother=2\n", "#k=1\nk=v\nother=2\n"),
            (" ", "other\t2\n", "other\t2\nk v\n"),
            (" ", "# k is nothing\nk\t\t1\n", "# k is nothing\nk\t\tv\n"),
            (" ", "  k 1 2\n", "  k v\n"),
            (": ", "k:1\n", "k:v\n"),
            (": ", "k = 1\n", "k = 1\nk: v\n"),
            (" => ", "k=1\nk  => 2\n", "k=1\nk  => v\n"),
        ],
    )
    def test_parts_key_and_value(self, separator, old, new):
        assert edited(old, key="k", value="v", separator=separator) == new

    def test_export(self):
        text = "export A=1\nB=2\n"
        assert edited(text, key="export A", value="3", separator="=") == "export A=3\nB=2\n"


class TestSeveral:
    TEXT = "[s]\nk = 1\nx = 0\nk = 2\n[t]\nk = 9\n[s]\nk = 3\n"

    def test_one_value_leaves_one_line(self):
        assert edited(self.TEXT, section="s", key="k", value="7") == (
            "[s]\nk = 7\nx = 0\n[t]\nk = 9\n[s]\n"
        )

    def test_a_list_is_a_line_for_each_in_this_order(self):
        assert edited(self.TEXT, section="s", key="k", value=["2", "1"]) == (
            "[s]\nk = 2\nx = 0\nk = 1\n[t]\nk = 9\n[s]\n"
        )
        assert edited("[s]\nk = 1\nx = 0\n", section="s", key="k", value=["a", "b", "c"]) == (
            "[s]\nk = a\nk = b\nk = c\nx = 0\n"
        )

    def test_not_exclusive_adds_what_is_missing(self):
        assert edited(self.TEXT, section="s", key="k", value=["3", "4"], exclusive=False) == (
            self.TEXT + "k = 4\n"
        )
        assert edited("", key="k", value="1", exclusive=False) == "k = 1\n"

    def test_absent(self):
        gone = {"section": "s", "key": "k", "state": "absent"}
        assert edited(self.TEXT, **gone) == "[s]\nx = 0\n[t]\nk = 9\n[s]\n"
        assert edited(self.TEXT, **gone, value="2") == self.TEXT.replace("k = 2\n", "")

    def test_an_empty_list_is_absent(self):
        assert edited("k = 1\nk = 2\nx = 3\n", key="k", value=[]) == "x = 3\n"
        assert edited("k = 1\n", key="k", value=[], exclusive=False) == "k = 1\n"

    def test_whole_sections_go(self):
        assert edited(self.TEXT, section="s", state="absent") == "[t]\nk = 9\n"


class TestProvider(TreeFixtures):
    kind = "ini"

    def test_what_was_there_is_told(self, provider, system, root):
        (root / "etc/a").write_text("k = 1\nk\n")
        (change,) = plan(provider, [ini(key="k", value="1")], system)
        assert [(f.before, f.after) for f in change.fields] == [("1\n(no value)", "1")]

    def test_a_value_becomes_a_key_alone(self, provider, system, root):
        (root / "etc/a").write_text("k = 1\n")
        spec = ini(key="k", allow_no_value=True)
        (change,) = plan(provider, [spec], system)
        assert [(f.before, f.after) for f in change.fields] == [("1", "(no value)")]
        assert converge(provider, [spec], system) == []

    def test_python_reads_what_was_declared(self, provider, system, root):
        specs = [
            ini(name="a", section="DEFAULT", key="a", value="x y", create=True),
            ini(name="b", section="s t", key="b", value="1;2", create=True),
        ]
        assert converge(provider, specs, system) == []
        parser = configparser.ConfigParser()
        parser.read(root / "etc/a")
        assert parser["s t"]["b"] == "1;2"
        assert parser["s t"]["a"] == "x y"

    def test_keys_have_one_owner(self, provider):
        claim = provider.claims
        assert claim(ini(section="s", key="k", value=1)) == claim(
            ini(section="s", key="k", value=2)
        )
        several = [ini(key="k", value=v, exclusive=False) for v in ("1", "2")]
        assert claim(several[0]) != claim(several[1])

    def test_a_large_file(self, provider, system, root):
        (root / "etc/a").write_text("".join(f"key{i} = {i}\n" for i in range(20_000)))
        assert converge(provider, [ini(key="key19999", value="x")], system) == []

    def test_one_that_is_too_large(self, provider, system, root):
        (root / "etc/a").write_text("k = 1\n" * (1 << 20))
        found = provider.inspect([ini(key="k", value="2")], system.read_only())["a key"]
        assert found.reason == "the file is larger than 4 MiB, too large to be read as keys"

    def test_an_unreadable_value_never_rests(self, provider, system, root):
        (root / "etc/a").write_text("a = 1\nb = 2\n")
        spec = ini(key="a", value="x \\")
        found = provider.inspect([spec], system.read_only())["a key"]
        assert "would be read as something else" in found.remedy


@pytest.mark.parametrize(
    ("declared", "problem"),
    [
        ({}, "key: which key?"),
        ({"value": "1", "section": "s"}, "value: a value needs its `key`"),
        ({"key": "k"}, "value: a key needs its `value`, or `allow_no_value: true`"),
        ({"key": "k", "value": " x"}, "value: ' x': white space around a value"),
        ({"key": "k", "value": "a\nb"}, "value"),
        ({"key": "k ", "value": "x"}, "key: a key is not empty and has no white space"),
        ({"key": "", "value": "x"}, "key: a key is not empty"),
        ({"key": "a=b", "value": "x"}, "key: 'a=b' would not be read as a key"),
        ({"key": "a b", "value": "x", "separator": " "}, "key: 'a b' would not be read"),
        ({"key": "#a", "value": "x"}, "key: '#a' would not be read"),
        ({"key": "[a", "value": "x"}, "key: '[a' would not be read"),
        ({"key": "a", "value": "x", "separator": ""}, "separator: something must part"),
        ({"section": " s", "key": "a", "value": "x"}, "section: a section needs a name"),
    ],
)
def test_wrong(declared, problem):
    _, problems = validate(IniSpec, {"name": "a", "path": "/etc/a", **declared})
    told = [f"{'.'.join(map(str, place))}: {text}" for place, text in problems]
    assert any(text.startswith(problem) for text in told), told
