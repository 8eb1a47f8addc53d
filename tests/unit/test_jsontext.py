"""The same as json, without what json imports."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st

from converge import jsontext

PLAIN = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
)


@given(PLAIN, st.booleans())
def test_what_is_written_is_what_json_writes(data, sort):
    text = jsontext.dumps(data, sort_keys=sort)
    assert text == json.dumps(data, separators=(",", ":"), sort_keys=sort)
    assert jsontext.loads(text) == jsontext.loads(text.encode()) == data


@given(st.text() | PLAIN.map(lambda data: json.dumps(data, indent=1)[:-1]))
def test_what_is_read_is_what_json_reads(text):
    try:
        wanted = json.loads(text)
    except ValueError:
        with pytest.raises(ValueError, match=r"."):
            jsontext.loads(text)
    else:
        assert repr(jsontext.loads(text)) == repr(wanted)


@pytest.mark.parametrize(
    "text", ["", "{", "[1,", "nul", "1 2", '{"a":1}x', '"\n"', "\ufeff1", b"\xff"]
)
def test_what_is_no_json(text):
    with pytest.raises(ValueError, match=r"."):
        jsontext.loads(text)


@pytest.mark.parametrize("data", [{1, 2}, b"x", {b"x": 1}, object()])
def test_what_is_no_plain_data(data):
    with pytest.raises(TypeError):
        jsontext.dumps(data)


def test_what_is_too_deep():
    with pytest.raises(RecursionError):
        jsontext.loads("[" * 200_000)
    circle: list = []
    circle.append(circle)
    with pytest.raises(ValueError, match=r"[Cc]ircular"):
        jsontext.dumps(circle)


def test_a_python_without_the_c_functions(monkeypatch):
    monkeypatch.setattr(jsontext, "make_scanner", None)
    monkeypatch.setattr(jsontext, "make_encoder", None)
    data = {"b": [1, 2.5, None, "ä"], "a": True}
    assert jsontext.loads(jsontext.dumps(data, sort_keys=True)) == data
    with pytest.raises(ValueError, match=r"."):
        jsontext.loads("{")


def test_it_imports_no_more():
    code = (
        "import sys; from converge import jsontext; jsontext.loads(jsontext.dumps({'a': [1.5]}));"
        " sys.exit(bool({'json', 're', 'typing'} & {*sys.modules}))"
    )
    assert subprocess.run([sys.executable, "-I", "-c", code]).returncode == 0
