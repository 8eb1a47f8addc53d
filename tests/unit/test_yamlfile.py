"""Reading YAML: values by YAML 1.2, places, and problems with a place and a remedy."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from converge.errors import ProfileError
from converge.language import yamlfile

PROFILE = b"""\
profile: web
include: [base.yaml]
vars:
  ports: &ports [80, 443]
  more: *ports
resources:
  - file: /etc/motd
    content: |
      hello
    mode: "0644"
  - {symlink: /a, target: /b}
"""


def load(text):
    return yamlfile.load(text.encode() if isinstance(text, str) else text, "p.yaml")


def data(text):
    return load(text).data


def problems(text):
    with pytest.raises(ProfileError) as caught:
        load(text)
    assert all(problem.file == "p.yaml" for problem in caught.value.problems)
    return caught.value.problems


def problem(text):
    found = problems(text)
    assert len(found) == 1, found
    return found[0]


def test_a_profile():
    assert data(PROFILE) == {
        "profile": "web",
        "include": ["base.yaml"],
        "vars": {"ports": [80, 443], "more": [80, 443]},
        "resources": [
            {"file": "/etc/motd", "content": "hello\n", "mode": "0644"},
            {"symlink": "/a", "target": "/b"},
        ],
    }


@pytest.mark.parametrize("text", ["", "\n", "# nothing\n", "---\n", "---\n...\n", "\ufeff"])
def test_an_empty_file_is_none(text):
    document = load(text)
    assert document.data is None
    assert document.place(("resources", 1)) == (document.place(()))


@pytest.mark.parametrize(
    ("text", "value"),
    [
        *((text, None) for text in ("~", "null", "Null", "NULL")),
        *((text, True) for text in ("true", "True", "TRUE")),
        *((text, False) for text in ("false", "False", "FALSE")),
        *(("0", 0), ("-0", 0), ("+12", 12), ("-3", -3), ("0o17", 15), ("0x1F", 31)),
        *(("9" * 18, 10**18 - 1), ("-" + "9" * 18, 1 - 10**18)),
        *(("1.5", 1.5), (".5", 0.5), ("1.", 1.0), ("1e3", 1000.0), ("-1.5E-3", -0.0015)),
    ],
)
def test_scalars_of_the_core_schema(text, value):
    found = data(f"a: {text}")["a"]
    assert found == value
    assert type(found) is type(value)
    assert data(f"a: '{text}'")["a"] == text


def test_nothing_is_null():
    assert data("a:\nb: [x, ]\nc: ''\n") == {"a": None, "b": ["x"], "c": ""}


@pytest.mark.parametrize(
    "text",
    [
        *("no", "No", "NO", "yes", "on", "off", "y", "n", "nUll", "tRue"),
        *("2024-01-02", "2024-13-45", "2001-12-14t21:59:43.10-05:00", "12:30:45", "1:2"),
        *("1_000", "0b101", "0o8", "0xg", "-0x1f", "1e", "e1", "+", "-.", ".", "..", "1.2.3"),
        *("=", "<", "/etc/passwd", "a#b", "a:b", "u=rw,go=r", "10.0.0.1", "+.", "1e+"),
    ],
)
def test_everything_else_is_a_string(text):
    assert data(f"a: {text}") == {"a": text}
    assert data(f"- {text}") == [text]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        *((text, "begins with a zero") for text in ("0644", "00", "08", "-0644", "+01")),
        *((text, "more than 18 digits") for text in ("1" + "0" * 18, "-" + "9" * 19, "1" * 5000)),
        *((text, "more than 18 digits") for text in ("0x" + "f" * 16, "0o7" + "0" * 25)),
        *((text, "not a number") for text in (".inf", "-.INF", "+.Inf", ".nan", ".NaN")),
        *((text, "too large a number") for text in ("1e999", "-12e4567")),
        ("0." + "1" * 100, "more than 64 characters"),
    ],
)
def test_numbers_that_may_not_stand(text, message):
    found = problem(f"a: {text}")
    assert message in found.message
    assert found.remedy.startswith('quote it: "')
    assert (found.line, found.column) == (1, 4)
    assert len(found.message) < 200
    assert data(f"a: '{text}'") == {"a": text}


def test_a_mode_without_quotes_says_what_to_write():
    assert problem("mode: 0644").remedy == 'quote it: "0644"'


@pytest.mark.parametrize("key", ["no", "1", "null", "~", "true", "1.50", "0644", "2024-01-02"])
def test_keys_are_strings_as_written(key):
    assert data(f"{key}: 1") == {key: 1}
    assert data(f"{{'{key}': 1}}") == {key: 1}


@pytest.mark.parametrize(
    ("path", "place", "value_place"),
    [
        ((), (1, 1), (1, 1)),
        (("profile",), (1, 1), (1, 10)),
        (("include", 0), (2, 11), (2, 11)),
        (("vars", "ports", 1), (4, 22), (4, 22)),
        (("vars", "more"), (5, 3), (5, 9)),
        (("vars", "more", 1), (4, 22), (4, 22)),
        (("resources", 0), (7, 5), (7, 5)),
        (("resources", 0, "content"), (8, 5), (8, 14)),
        (("resources", 0, "mode"), (10, 5), (10, 11)),
        (("resources", 1, "target"), (11, 19), (11, 27)),
    ],
)
def test_places(path, place, value_place):
    document = load(PROFILE)
    assert document.place(path) == place
    assert document.value_place(path) == value_place


@pytest.mark.parametrize(
    ("path", "nearest"),
    [
        (("resources", 0, "owner"), ("resources", 0)),
        (("resources", 0, "mode", "deeper", 1), ("resources", 0, "mode")),
        (("resources", 9), ("resources",)),
        (("resources", -1), ("resources",)),
        (("resources", "0"), ("resources",)),
        (("profile", 0), ("profile",)),
        (("nothing", 0), ()),
        ((3,), ()),
    ],
)
def test_the_place_of_what_is_not_there_is_that_of_its_ancestor(path, nearest):
    document = load(PROFILE)
    assert document.place(path) == document.place(nearest)


def test_places_count_characters_and_carriage_returns():
    document = load("é: [ñ, b]\r\n😀: x\r\n")
    assert document.place(("é", 1)) == (1, 8)
    assert document.value_place(("😀",)) == (2, 4)


def test_an_item_that_is_an_alias_stands_where_it_is_written():
    document = load("- &a {x: 1}\n- *a\n")
    assert document.place((1,)) == (2, 3)
    assert document.place((1, "x")) == (1, 7)


def test_aliases_are_copies():
    found = data("a: &a {x: [1]}\nb: *a\nc: [*a, *a]\n")
    found["a"]["x"].append(2)
    assert found["b"] == {"x": [1]}
    assert found["c"][0] is not found["c"][1]


def test_an_alias_of_a_scalar():
    assert data("a: &n 5\nb: *n\n&k key: *n\n") == {"a": 5, "b": 5, "key": 5}


def test_a_key_that_is_there_twice_names_both_places():
    found = problem("a: 1\nb: 2\n  \na: 3\n")
    assert found.message == "the key `a` is there twice: first at 1:1"
    assert (found.line, found.column) == (4, 1)


def test_all_duplicates_are_told_and_each_names_its_own_first():
    found = problems("{a: 1, a: 2, b: 3, b: 4, c: {d: 1, d: 2}}")
    assert [one.message.split("`")[1] for one in found] == ["a", "b", "d"]
    assert [one.message.rsplit(" ", 1)[1] for one in found] == ["1:2", "1:14", "1:30"]


def test_the_same_key_by_other_spellings():
    assert "there twice" in problem("a: 1\n'a': 2").message
    assert "there twice" in problem('a: 1\n"\\x61": 2').message


@pytest.mark.parametrize(
    ("text", "tag"),
    [
        *(("!!str 1", "!!str"), ("!!python/object:os.system x", "!!python/object:os.system")),
        *(("!!int ''", "!!int"), ("!!bool x", "!!bool"), ("!!timestamp x", "!!timestamp")),
        *(("!own x", "!own"), ("! x", "!"), ("!!map {}", "!!map"), ("!!seq []", "!!seq")),
        *(("!<tag:x,2000:y> z", "tag:x,2000:y"), ("!!binary aGk=", "!!binary")),
    ],
)
def test_tags_are_refused(text, tag):
    found = problem(f"a: {text}")
    assert found.message == f"the tag {tag!r} is not allowed"
    assert (found.line, found.column) == (1, 4)


@pytest.mark.parametrize("text", ["<<: {a: 1}", "<<: [{a: 1}]", "x: &x {}\n<<: *x"])
def test_merge_keys_are_refused(text):
    assert "merge keys" in problem(text).message


def test_a_quoted_merge_key_is_a_key():
    assert data("'<<': 1") == {"<<": 1}
    assert data("- <<") == ["<<"]


@pytest.mark.parametrize("text", ["a: &a [*a]", "&a {b: *a}", "&a {b: [c, {d: *a}]}"])
def test_an_alias_within_its_own_anchor_is_refused(text):
    assert problem(text).message == "the alias `*a` holds itself"


def test_anchors():
    assert problem("a: *b").message == "the alias `*b` is not defined above"
    assert problem("a: &b 1\nc: &b 2").message == "the anchor `&b` is there twice"


@pytest.mark.parametrize(
    ("text", "column"), [("? [a]\n: 1", 3), ("{{a: 1}: 2}", 2), ("[a]: 1", 1), ("? {}\n: 1", 3)]
)
def test_a_key_must_be_a_string(text, column):
    found = problem(text)
    assert found.message == "a key must be a string"
    assert found.column == column


def test_a_missing_key():
    for text in ("{? : 1}", "?\n: 1"):
        assert problem(text).message == "a key is missing"
    assert data("'': 1") == {"": 1}


def test_a_template_without_quotes():
    for text in ("a: {{ x }}", "- {{ x }}"):
        assert problem(text).remedy == 'a template must be quoted: "{{ … }}"'
    for text in ("a: {% if x %}", "a: {{ x }}/b"):
        assert "{{ … }}" in problems(text)[-1].remedy


def test_one_document():
    assert data("---\na: 1\n") == {"a": 1}
    found = problem("a: 1\n---\nb: 1\n")
    assert found.message == "a second document begins"
    assert found.line == 2


@pytest.mark.parametrize("text", ["%YAML 1.1\n---\na: no\n", "%TAG ! x\n---\n", "a: 1\r%TAG ! x"])
def test_directives_are_refused(text):
    found = problem(text)
    assert "directive" in found.message
    assert found.column == 1
    assert found.line == (2 if text.startswith("a") else 1)


def test_everything_that_is_wrong_is_told_at_once():
    found = problems("a: 0644\na: !!str x\n<<: {}\nb: *c\nd: 1e999\ne: [\n")
    assert [one.line for one in found] == [1, 2, 2, 3, 4, 5, 7]
    assert [one.message.split(",")[0] for one in found][-1].startswith("not YAML: ")


def test_no_more_than_fifty_problems():
    assert len(problems("a: 1\n" * 1000)) == 50


@pytest.mark.parametrize(
    ("text", "remedy"),
    [
        ("a:\n\t- b", "tabs"),
        ("a: *.example.com", "`*`"),
        ("a: &", "`&`"),
        ("a: @x", "quote the value"),
        ("a: `x`", "quote the value"),
        ("a: b: c", "indentation"),
    ],
)
def test_remedies_for_syntax(text, remedy):
    found = problem(text)
    assert found.message.startswith("not YAML: ")
    assert remedy in found.remedy
    assert found.line


@pytest.mark.parametrize(
    "character", [*"\u202a\u202e\u2066\u2069\u2028\u2029\x85\x07\x1b\x7f\ufeff"]
)
def test_characters_that_are_not_what_they_seem(character):
    found = problem(f"a: 1\nbc: x{character}y")
    assert found.message == f"the character U+{ord(character):04X} is not allowed"
    assert (found.line, found.column) == (2, 6)
    assert "double quotes" in found.remedy
    assert character not in str(found)


@pytest.mark.parametrize(
    ("text", "value"), [(r"\u202e", "\u202e"), (r"\e[0m", "\x1b[0m"), (r"\U0001f600", "😀")]
)
def test_escapes_say_what_they_are(text, value):
    assert data(f'a: "{text}"') == {"a": value}


def test_nul():
    assert "U+0000" in problem("a: b\0c").message
    assert problem('a: "b\\0c"').message == "a NUL character"
    assert problem('"b\\0c": 1').message == "a NUL character"


def test_a_byte_order_mark_is_taken():
    document = load(b"\xef\xbb\xbfa: 1")
    assert document.data == {"a": 1}
    assert document.place(("a",)) == (1, 1)


@pytest.mark.parametrize("coding", ["utf-16", "utf-16-le", "utf-16-be", "utf-32", "utf-32-be"])
def test_other_unicode_is_refused_with_a_remedy(coding):
    found = problem("a: 1".encode(coding))
    assert "UTF-16" in found.message
    assert "iconv" in found.remedy


def test_not_unicode():
    found = problem("a: x\nå: café".encode() + b"\xe9")
    assert found.message == "not UTF-8: byte 0xe9"
    assert (found.line, found.column) == (2, 8)


def test_the_size_is_capped():
    assert len(data(b"a: " + b"x" * ((1 << 20) - 3))["a"]) == (1 << 20) - 3
    assert "larger than 1024 KiB" in problem(b"a: " + b"x" * ((1 << 20) - 2)).message


PLAIN = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(1 - 10**18, 10**18 - 1)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(st.characters(exclude_categories=["Cs", "Cc", "Cf", "Zl", "Zp"])),
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(st.text("abc<~01 {#é", max_size=4), inner, max_size=4)
    ),
    max_leaves=12,
)


@given(PLAIN)
def test_json_is_read_as_json_reads_it(value):
    import json

    text = json.dumps(value, indent=1, ensure_ascii=False)
    assert json.dumps(data(text)) == json.dumps(value)


@given(PLAIN)
def test_every_value_has_a_place_on_which_it_stands(value):
    import json

    text = json.dumps(value, indent=1, ensure_ascii=False)
    lines = text.split("\n")
    document = load(text)

    def check(part, path):
        line, column = document.value_place(path)
        rest = lines[line - 1][column - 1 :]
        if isinstance(part, dict | list):
            assert rest[0] == ("{" if isinstance(part, dict) else "[")
            for step in part if isinstance(part, dict) else range(len(part)):
                check(part[step], (*path, step))
        else:
            assert rest.rstrip(",") == json.dumps(part, ensure_ascii=False)

    check(value, ())


def test_floats_are_finite():
    assert math.isfinite(data("a: 1.7976931348623157e308")["a"])
