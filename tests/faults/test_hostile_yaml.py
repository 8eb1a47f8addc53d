"""Hostile YAML: whatever the bytes, there is a document within the limits or a ProfileError."""

from __future__ import annotations

import random
import subprocess
import sys

import pytest
import yaml
from hypothesis import example, given
from hypothesis import strategies as st

from converge.errors import ProfileError
from converge.language import yamlfile
from converge.language.yamlbuild import MAX_DEPTH, MAX_NODES, MAX_PROBLEMS, MAX_TEXT
from converge.language.yamltext import MAX_BYTES

GOOD = """\
profile: web
description: "é 😀 \\u00e9 \\x41"
include: [base.yaml, 'dns.yaml']
vars: &vars
  servers: &servers [10.0.0.2, 10.0.0.3]
  other: {again: *servers, n: 1.5, none: ~}
resources:
  - file: /etc/motd
    content: |
      hello {{ name }}
       indented

    mode: "0644"
  - package: [ca-certificates, chrony]
    when: "'web' in roles"
  - ? sysctl
    : net.core.somaxconn
    value: >-
      4096
...
""".encode()

TYPES = {str, int, float, bool, type(None)}


@pytest.fixture(params=["libyaml", "python"])
def parser(request, monkeypatch):
    """Each of PyYAML's two parsers: the one in C, and the one that is there without it."""
    if request.param == "python":
        monkeypatch.delattr(yaml, "CSafeLoader", raising=False)
    return request.param


def measure(value, depth=0):
    """Return (values, characters, depth) of plain data; fail on anything else."""
    if type(value) in TYPES:
        return 1, len(value) if isinstance(value, str) else 0, depth
    assert type(value) in (dict, list)
    if isinstance(value, dict):
        assert all(type(key) is str for key in value)
    parts = [
        measure(part, depth + 1) for part in (value.values() if isinstance(value, dict) else value)
    ]
    values, characters, depths = zip((0, 0, depth + 1), *parts, strict=True)
    return 1 + sum(values), sum(characters), max(depths)


def check(data):
    """Load bytes; return the problems, [] if there are none. Anything else that happens is a bug."""
    try:
        document = yamlfile.load(data, "hostile.yaml")
    except ProfileError as error:
        return checked(error.problems, data)
    values, characters, depth = measure(document.data)
    assert values <= MAX_NODES
    assert characters <= MAX_TEXT
    assert depth <= MAX_DEPTH
    assert document.place(("x", 0)) >= (1, 1)
    return []


def checked(problems, data):
    """Return the problems of some bytes as a list, if each can be shown."""
    assert 0 < len(problems) <= MAX_PROBLEMS
    lines = data.count(b"\n") + data.count(b"\r") + 2
    for problem in problems:
        assert problem.message
        assert problem.file == "hostile.yaml"
        assert 0 <= problem.line <= lines
        assert len(str(problem).encode()) < 1000
    return list(problems)


def refused(text):
    (problem,) = check(text.encode() if isinstance(text, str) else text)
    return problem.message


def nest(count, opening="[", closing="]"):
    return opening * count + closing * count


@pytest.mark.parametrize("count", [MAX_DEPTH + 1, 500, 30_000, 200_000])
@pytest.mark.parametrize(
    ("opening", "closing"),
    [("[", "]"), ("{a: ", "}"), ("- ", "x"), ("? ", ""), ("[[{a: [", "]}]]"), ("[? ", "]")],
)
def test_nesting(parser, opening, closing, count):
    text = nest(count, opening, closing)[:MAX_BYTES]
    assert refused(text) == "nested more than 64 deep"


def test_the_deepest_that_is_taken(parser):
    assert check(nest(MAX_DEPTH).encode()) == []
    assert refused(nest(MAX_DEPTH + 1)) == "nested more than 64 deep"
    blocks = "".join("  " * i + "a:\n" for i in range(70))
    assert refused(blocks) == "nested more than 64 deep"


class Counter:
    """Counts the events that are taken from the parser: where a bomb was cut."""

    def __init__(self, monkeypatch):
        self.events = 0
        original = yaml.parse

        def parse(*arguments, **options):
            for event in original(*arguments, **options):
                self.events += 1
                yield event

        monkeypatch.setattr(yaml, "parse", parse)


@pytest.mark.parametrize(
    ("text", "most"),
    [
        (nest(200_000), 70),
        ("- " * 200_000, 70),
        ("a: [" + "{}," * 300_000, 2 * MAX_NODES + 10),
        ("a: &a x\nb: [" + "*a," * 100_000, 1010),
        ("[" + "".join(f"&a{i} x," for i in range(60_000)), 110),
        ("a: 1\n" * 100_000, 2 * MAX_PROBLEMS + 10),
        ("- !!str x\n" * 50_000, MAX_PROBLEMS + 10),
        ("[" + "*x, " * 100_000, MAX_PROBLEMS + 10),
        ("%TAG !a! b\n" * 90_000, 0),
        ("x\r" + "%TAG !a! b\r" * 90_000, 0),
        ("a: 1\0" * 100_000, 0),
    ],
)
def test_a_bomb_is_cut_where_the_limit_is(monkeypatch, text, most):
    counter = Counter(monkeypatch)
    assert check(text.encode())
    assert counter.events <= most


CHILD = """
import resource, sys, threading
from converge.language import yamlfile
from converge.errors import ProfileError
import yaml
if sys.argv[1] == "python":
    vars(yaml).pop("CSafeLoader", None)
def attack():
    for opening in ("[", "{a: ", "- ", "? ", "[{a: ", "&a [", "!!x ["):
        for count in (70, 5_000, 30_000, 200_000):
            try:
                yamlfile.load((opening * count)[:1 << 20].encode(), "p")
            except ProfileError as error:
                told.append(error.problems[-1].message)
told = []
attack()
threading.stack_size(256 * 1024)  # musl gives a thread 128 KiB
thread = threading.Thread(target=attack)
thread.start()
thread.join()
assert len(told) == 2 * 7 * 4, told
print("alive")
"""


@pytest.mark.parametrize("which", ["libyaml", "python"])
def test_nesting_with_a_small_stack(which):
    command = f'ulimit -s 1024; exec "{sys.executable}" -I - {which}'
    done = subprocess.run(
        ["sh", "-c", command], input=CHILD, capture_output=True, text=True, timeout=300
    )
    assert (done.returncode, done.stdout) == (0, "alive\n"), done.stderr


def test_loading_does_not_depend_on_the_stack_that_is_left(parser):
    def deeper(count):
        if count:
            return deeper(count - 1)
        return check(nest(200_000).encode())

    assert deeper(700)[0].message == "nested more than 64 deep"


@pytest.mark.parametrize("wide", [2, 9, 100])
def test_alias_bombs(parser, wide):
    levels = ["a0: &a0 [" + "x," * wide + "]"]
    levels += [f"a{i}: &a{i} [" + f"*a{i - 1}," * wide + "]" for i in range(1, 30)]
    message = refused("\n".join(levels)[:MAX_BYTES])
    assert "aliases" in message or "values" in message


def test_an_alias_bomb_of_text():
    assert "MiB of text" in refused("a: &a " + "x" * 500_000 + "\nb: [" + "*a," * 20 + "]")
    keys = "k: &k {" + ", ".join(f"{'x' * 900}{i}: 1" for i in range(100)) + "}"
    assert "MiB of text" in refused(keys + "\nb: [" + "*k," * 100 + "]")


def test_an_alias_bomb_of_depth(parser):
    levels = ["a0: &a0 [x]"]
    levels += [f"a{i}: &a{i} [[[[[[*a{i - 1}]]]]]]" for i in range(1, 90)]
    assert refused("\n".join(levels)) == "nested more than 64 deep"


def test_limits_of_anchors_and_aliases(parser):
    anchors = [f"a{i}: &a{i} x" for i in range(100)]
    assert check("\n".join(anchors).encode()) == []
    assert refused("\n".join([*anchors, "b: &b x"])) == "more than 100 anchors"
    assert check(("a: &a x\nb: [" + "*a," * 1000 + "]").encode()) == []
    assert refused("a: &a x\nb: [" + "*a," * 1001 + "]") == "more than 1000 aliases"


@pytest.mark.parametrize("depth", [4, 6, 20])
def test_merge_bombs(parser, depth):
    lines = ["a0: &a0 {x: 1}"]
    lines += [f"a{i}: &a{i} {{<<: [*a{i - 1}, *a{i - 1}, *a{i - 1}]}}" for i in range(1, depth)]
    problems = check("\n".join(lines).encode())
    assert problems
    assert "merge keys" in problems[0].message


@pytest.mark.parametrize(
    ("text", "value"),
    [
        *(("no: no", {"no": "no"}), ("on: off", {"on": "off"}), ("y: n", {"y": "n"})),
        *(("a: 2024-13-45", {"a": "2024-13-45"}), ("a: 12:30:45", {"a": "12:30:45"})),
        *(("a: 0o644", {"a": 420}), ("a: 644", {"a": 644}), ("a: 1_000", {"a": "1_000"})),
        *(
            ("a: =", {"a": "="}),
            ("a: 0b11", {"a": "0b11"}),
            ("a: 190:20:30.15", {"a": "190:20:30.15"}),
        ),
        *(("NULL: 1", {"NULL": 1}), ("1.0: a\n1: b", {"1.0": "a", "1": "b"})),
        ("a: 2001-12-14 21:59:43.10 -5", {"a": "2001-12-14 21:59:43.10 -5"}),
    ],
)
def test_the_surprises_of_yaml_1_1_are_strings(parser, text, value):
    assert yamlfile.load(text.encode(), "p").data == value


@pytest.mark.parametrize(
    "text",
    [
        *("\ta: 1", 'a: "', "a: '", "? [a]\n: b", "a: 1\n---\nb: 2"),
        *("a: 0644", "a: " + "9" * 5000, "a: !!int ''", "a: !!bool x", "a: !!timestamp foo"),
        *("a: !!float ''", "a: !!null x", "a: !!set {a, b}", "a: !!omap [a: 1]", "a: !!pairs x"),
        *("a: !!python/object/apply:os.system [id]", "a: !!python/name:os.system", "a: !!binary ?"),
        *("&a [*a]", "&a {*a : *a}", "a: &a\n  b: *a", "a: 1\na: 2", "<<: 1", "%YAML 1.999\n--- a"),
        *('a: "\\UFFFFFFFF"', 'a: "\\U00110000"', 'a: "\\ud800"', 'a: "\\ud83d\\ude00"', "a: \0"),
        *('a: "\\x0', "%YAML " + "9" * 5000 + ".1\n---\n", "%FOO\n---\na: 1", "!<%> a", "!%41 a"),
        *(
            "a: !" + "x" * 9000,
            "a: *" + "x" * 9000,
            "a: &" + "x" * 9000 + " *b",
            "? " + "x" * 9000 + "\n? b\n?",
        ),
        *(
            "[" + "a: b, " * 9 + "}",
            "a\nb: c",
            "\t",
            "- -\t-\n\t- ",
            "a: |9\n b",
            "a: >+-\n b",
            "...",
        ),
    ],
)
def test_what_makes_other_loaders_stumble(parser, text):
    assert check(text.encode())


def test_other_encodings(parser):
    assert check("a: é".encode()) == []
    assert check(b"\xef\xbb\xbfa: 1") == []
    for coding in ("utf-16", "utf-16-le", "utf-16-be", "utf-32", "utf-32-le", "utf-32-be"):
        assert "UTF-16" in refused("a: é".encode(coding))
    for coding in ("latin-1", "cp1252", "shift-jis"):
        assert "not UTF-8" in refused("a: é日".encode(coding, errors="ignore") + b"\xe9")
    for data in (b"a: \xed\xa0\x80", b"a: \xf4\x90\x80\x80", b"a: \xc0\x80", b"\xff", b"a: \x80"):
        assert "not UTF-8" in refused(data)


def test_a_good_profile_cut_at_each_byte(parser):
    assert check(GOOD) == []
    outcomes = {not check(GOOD[:length]) for length in range(len(GOOD))}
    assert outcomes == {True, False}


def test_a_good_profile_with_a_byte_changed(parser):
    chance = random.Random(20240613)  # noqa: S311  not for secrets
    for _ in range(2000):
        data = bytearray(GOOD)
        for _ in range(chance.choice((1, 1, 1, 4))):
            place = chance.randrange(len(data))
            data[place] = chance.choice(
                (data[place] ^ 1 << chance.randrange(8), chance.randrange(256))
            )
        check(bytes(data))


def test_a_good_profile_with_pieces_moved(parser):
    chance = random.Random(20240614)  # noqa: S311  not for secrets
    marks = [
        b"[",
        b"{",
        b"- ",
        b"? ",
        b": ",
        b"&a ",
        b"*a ",
        b"!!x ",
        b"|\n",
        b"'",
        b'"',
        b"\t",
        b"---\n",
    ]
    for _ in range(500):
        start, end = sorted(chance.choices(range(len(GOOD)), k=2))
        piece = chance.choice([GOOD[start:end], *marks])
        place = chance.randrange(len(GOOD))
        check(GOOD[:place] + piece + GOOD[place:])


@given(st.binary(max_size=300))
@example(b"\xef\xbb\xbf")
@example(b"\xef\xbb\xbf\xef\xbb\xbfa")
def test_any_bytes(data):
    check(data)


@given(st.text(max_size=300))
def test_any_text(text):
    check(text.encode(errors="surrogatepass"))


@given(st.text("[]{}:,-?&*!|>'\"%@`#~<= \t\n\ra0.é\\", max_size=120))
def test_any_punctuation(text):
    check(text.encode())


@given(st.text("[]{}:,-?&*!|>'\"%@`#~<= \t\n\ra0.é\\", max_size=60))
def test_both_parsers_agree(text):
    found = []
    for loader in (yaml.CSafeLoader, yaml.SafeLoader):
        original = yaml.CSafeLoader
        yaml.CSafeLoader = loader
        try:
            found.append(yamlfile.load(text.encode(), "p").data)
        except ProfileError:
            found.append(ProfileError)
        finally:
            yaml.CSafeLoader = original
    assert ProfileError in found or repr(found[0]) == repr(found[1])


NAUGHTY = [
    *("undefined", "null", "NaN", "Infinity", "-1/2", "1e1000", "0x0", "0xabad1dea", "1,000.00"),
    *("", " ", "\t", "'", '"', "''", "`", "<", ">", "|", "?", ":", "@", "!", "&", "*", "%", "#"),
    *(
        "- ",
        "--- ",
        "...",
        "{{ x }}",
        "{% x %}",
        "${HOME}",
        "$(touch /tmp/x)",
        "`id`",
        "; rm -rf /",
    ),
    *("../../etc/passwd", "<script>alert(1)</script>", "1; DROP TABLE x", "%s%n%x", "%00", "\\0"),
    *(
        "Ω≈ç√∫~µ≤≥÷",
        "田中さん",
        "الله",
        "👾 🙇 💁",
        "ﾟ･✿ヾ╲(｡◕‿◕｡)/✿･ﾟ",
        "Z̮̞̠͙͔ͅḀ̗̞͈̻̗Ḷ͙͎̯",
        "\u200bzero\u200bwidth",
    ),
    *(
        "-oDPkg::Pre-Invoke=x",
        "--root=/",
        "root::0:0::/:/bin/sh",
        "a\nb",
        "a\r\nb",
        "a: b",
        " a #b",
    ),
]


@pytest.mark.parametrize("text", NAUGHTY)
def test_naughty_strings_come_through_as_they_are(parser, text):
    quoted = text.replace("'", "''").replace("\n", "\n\n")
    if "\r" not in text:
        data = yamlfile.load(f"a: '{quoted}'\n".encode(), "p").data
        assert data == {"a": text}
    if text and text.strip() == text and "\r" not in text:
        block = "".join(f"  {line}\n" for line in text.split("\n"))
        assert yamlfile.load(f"a: |-\n{block}".encode(), "p").data == {"a": text}
    check(f"a: {text}".encode())
    check(text.encode())


def test_a_large_honest_profile_is_read():
    lines = "".join(f"- file: /srv/{i}\n  mode: '0644'\n  owner: web\n" for i in range(20_000))
    document = yamlfile.load(f"resources:\n{lines}".encode(), "p")
    assert len(document.data["resources"]) == 20_000
    assert document.place(("resources", 19_999, "owner")) == (60_001, 3)
