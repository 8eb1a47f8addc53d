"""Hostile profiles give profile errors and nothing else: no crash, no other exception."""

from __future__ import annotations

import contextlib
import random
import resource
import subprocess
import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st

from converge.errors import ProfileError
from converge.yamlfile import load

GOOD = b"""profile: web
vars: {a: 1, b: [x, "y"], c: &anchor {d: 0o17}}
resources:
  - file: /etc/motd
    content: |
      hello
    mode: "0644"
    extra: *anchor
"""


def merges(depth: int) -> bytes:
    lines = ["a0: &a0 {x: 1}"]
    lines += [f"a{i}: &a{i} {{<<: [{', '.join([f'*a{i - 1}'] * 8)}]}}" for i in range(1, depth)]
    return "\n".join(lines).encode()


def laughs(depth: int) -> bytes:
    lines = ["a0: &a0 [x]"]
    lines += [f"a{i}: &a{i} [{', '.join([f'*a{i - 1}'] * 9)}]" for i in range(1, depth)]
    return "\n".join(lines).encode()


HOSTILE = {
    "nested lists": b"[" * 200_000,
    "closed lists": b"[" * 30_000 + b"]" * 30_000,
    "nested maps": b"{a: " * 100_000,
    "nested dashes": b"- " * 100_000,
    "merge bomb": merges(7),
    "alias bomb": laughs(12),
    "endless alias": b"a: &a [*a]",
    "unknown alias": b"a: *b",
    "duplicate": b"a: 1\na: 2",
    "python tag": b"a: !!python/object/apply:os.system [id]",
    "string tag": b"a: !!str 3",
    "int tag": b'a: !!int ""',
    "bool tag": b"a: !!bool x",
    "timestamp tag": b"a: !!timestamp foo",
    "huge int": b"a: " + b"9" * 5000,
    "leading zero": b"mode: 0644",
    "two documents": b"a: 1\n---\nb: 2",
    "nul": b"a: \0",
    "latin-1": "a: ü".encode("latin-1"),
    "utf-16": "a: 1".encode("utf-16"),
    "surrogate": b'a: "\\ud800"',
    "bidi": "a: \u202e".encode(),
    "large": b"a: " + b"x" * (2 << 20),
    "complex key": b"? [a]\n: b",
    "tab": b"\ta: 1",
    "unclosed": b'a: "',
}


@pytest.mark.parametrize("text", HOSTILE.values(), ids=HOSTILE.keys())
def test_hostile(text):
    with pytest.raises(ProfileError) as caught:
        load(text, "p.yaml")
    assert caught.value.problems
    assert all(problem.file == "p.yaml" for problem in caught.value.problems)


@pytest.mark.parametrize("text", [b"no: yes", b"a: 12:30:45", b"a: 2024-13-45", b"a: on", b"a: ~"])
def test_what_yaml_1_1_made_of_it_is_no_surprise(text):
    data = load(text, "p.yaml").data
    key, value = next(iter(data.items()))
    assert isinstance(key, str)
    assert value is None or isinstance(value, str)


def tolerated(text: bytes) -> None:
    with contextlib.suppress(ProfileError):
        load(text, "p.yaml")


def test_cut_at_every_byte():
    assert load(GOOD, "p.yaml").data["profile"] == "web"
    for end in range(len(GOOD)):
        tolerated(GOOD[:end])


def test_flipped_bytes():
    chance = random.Random(7)  # noqa: S311
    for _ in range(2000):
        text = bytearray(GOOD)
        text[chance.randrange(len(text))] = chance.randrange(256)
        tolerated(bytes(text))


@given(st.binary(max_size=300))
def test_any_bytes(data):
    tolerated(data)


@given(st.text(alphabet="[]{}-:,&*!<>|?#'\"%@` \n\tab1~", max_size=200))
def test_any_punctuation(text):
    tolerated(text.encode())


def test_a_small_stack_is_enough():
    code = (
        "from converge.yamlfile import load\nfrom converge.errors import ProfileError\n"
        "for text in (b'[' * 200_000, b'- ' * 100_000, b'{a: ' * 50_000):\n"
        "    try: load(text, 'p')\n    except ProfileError: print('refused')\n"
    )
    limit = (1 << 20, 1 << 20)
    done = subprocess.run(
        [sys.executable, "-I", "-c", code], capture_output=True, text=True,
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_STACK, limit),
    )  # fmt: skip
    assert (done.returncode, done.stdout.split()) == (0, ["refused"] * 3), done.stderr
