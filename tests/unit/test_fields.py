"""The types of attributes: what they accept, in which canonical form, and what they say."""

from __future__ import annotations

from typing import Annotated, Any

import pytest
from pydantic import BaseModel, ConfigDict, ValidationError, create_model

from converge import fields


def accept(field: Any, value: object) -> Any:
    return model(field)(value=value).model_dump()["value"]


def refuse(field: Any, value: object) -> str:
    with pytest.raises(ValidationError) as caught:
        model(field)(value=value)
    [error] = caught.value.errors()
    return error["msg"]


def model(field: Any) -> type[BaseModel]:
    return create_model("Model", __config__=ConfigDict(strict=True), value=(field, ...))


@pytest.mark.parametrize(
    ("written", "path"),
    [
        ("/", "/"),
        ("//", "/"),
        ("/etc/motd", "/etc/motd"),
        ("//etc///motd/", "/etc/motd"),
        ("/./etc/./motd/.", "/etc/motd"),
        ("/etc/..motd", "/etc/..motd"),
        ("/a b/é/…", "/a b/é/…"),
        ("/" + "x" * 255, "/" + "x" * 255),
        ("/-rf", "/-rf"),
        ("/tab\there", "/tab\there"),
    ],
)
def test_absolute_path(written, path):
    assert accept(fields.AbsolutePath, written) == path
    assert accept(fields.AbsolutePath, path) == path


@pytest.mark.parametrize(
    ("written", "message"),
    [
        ("", "is not an absolute path"),
        ("etc/motd", "is not an absolute path"),
        ("~/x", "is not an absolute path"),
        ("/etc/../shadow", "`..`"),
        ("/..", "`..`"),
        ("/a\0b", "NUL"),
        ("/a\nb", "line breaks"),
        ("/" + "x" * 256, "longer than"),
        ("/" + "é" * 128, "longer than"),
        ("/x" * 2100, "longer than"),
        (5, "valid string"),
    ],
)
def test_no_absolute_path(written, message):
    assert message in refuse(fields.AbsolutePath, written)


def test_mode():
    assert accept(fields.Mode, "644") == "0644"
    assert accept(fields.Mode, "u=rw,go=r") == "u=rw,go=r"
    assert 'quote it: "0644"' in refuse(fields.Mode, 0o644)
    assert 'quote it: "0644"' in refuse(fields.Mode, 644)
    assert "neither an octal mode" in refuse(fields.Mode, "rw-r--r--")
    assert "valid string" in refuse(fields.Mode, True)


@pytest.mark.parametrize(
    ("written", "owner"),
    [
        ("root", "root"),
        ("_apt", "_apt"),
        ("www-data", "www-data"),
        ("machine$", "machine$"),
        ("a", "a"),
        (0, "0"),
        (1000, "1000"),
        ("1000", "1000"),
        (4294967294, "4294967294"),
    ],
)
def test_owner(written, owner):
    assert accept(fields.Owner, written) == owner


@pytest.mark.parametrize(
    "written",
    ["", "Root", "-1", -1, "a b", "a:b", "root\n", "$x", "../x", "1a", "é", "12345678901", "0x0"],
)
def test_no_owner(written):
    assert "neither an account name nor a numeric id" in refuse(fields.Owner, written)


@pytest.mark.parametrize("written", [4294967295, "4294967295", "9999999999"])
def test_an_owner_that_chown_takes_for_no_change(written):
    assert "more than the largest id" in refuse(fields.Owner, written)


def test_owner_of_another_type():
    assert "valid string" in refuse(fields.Owner, True)
    assert "valid string" in refuse(fields.Owner, 1.0)


@pytest.mark.parametrize("name", ["deploy", "_x", "a.b-c_d", "a" * 32, "m$"])
def test_account_name(name):
    assert accept(fields.AccountName, name) == name


@pytest.mark.parametrize(
    "name", ["", "a" * 33, "0day", "-x", "a b", "a:b", "a\n", "a/b", "A", "a,b", "ä"]
)
def test_no_account_name(name):
    refuse(fields.AccountName, name)


def test_account_id():
    assert accept(fields.AccountId, 0) == 0
    assert accept(fields.AccountId, 4294967294) == 4294967294
    for wrong in (-1, 4294967295, "5", True, 1.0):
        refuse(fields.AccountId, wrong)


def test_line_and_text():
    assert accept(fields.Line, "one line\twith é") == "one line\twith é"
    assert accept(fields.Line, "") == ""
    for wrong in ("a\nb", "a\n", "a\rb", "a\0"):
        assert "is not one line of text" in refuse(fields.Line, wrong)
    assert accept(fields.Text, "a\nb") == "a\nb"


def test_seconds():
    assert accept(fields.Seconds, 0.5) == 0.5
    assert accept(fields.Seconds, 3) == 3.0
    for wrong in (0, -1, "5"):
        refuse(fields.Seconds, wrong)


def test_matching_the_whole_of_it():
    field = Annotated[str, fields.Matching("[a-z]+", "a word")]
    assert accept(field, "word") == "word"
    for wrong in ("", "two words", "word\n", "Word"):
        assert f"{wrong!r} is not a word" in refuse(field, wrong)


def test_doc_is_in_the_schema():
    field = Annotated[str, fields.Doc("What it is.")]
    assert model(field).model_json_schema()["properties"]["value"]["description"] == "What it is."


def test_schema_says_what_may_be_written():
    schema = model(fields.Owner).model_json_schema()["properties"]["value"]
    assert {entry["type"] for entry in schema["anyOf"]} == {"string", "integer"}
