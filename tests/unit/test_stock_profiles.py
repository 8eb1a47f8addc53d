"""The stock profiles are right as they are, and each page lists the vars that its profile has."""

from __future__ import annotations

import re
from pathlib import Path

import jsonschema
import pytest

from converge import kinds, yamlfile
from converge.cli import main
from converge.schema import profile_schema

REPOSITORY = Path(__file__).resolve().parents[2]
PROFILES = sorted((REPOSITORY / "profiles").glob("*.yaml"))
PAGES = sorted((REPOSITORY / "docs/profiles").glob("*.md"))


def data(profile):
    return yamlfile.load(profile.read_bytes(), str(profile)).data


@pytest.fixture(scope="module")
def schema():
    return jsonschema.Draft202012Validator(profile_schema(kinds.names()))


@pytest.mark.parametrize("profile", PROFILES, ids=lambda path: path.stem)
def test_it_validates_without_a_warning(profile, schema, capsys):
    assert [error.message for error in schema.iter_errors(data(profile))] == []
    assert main(["validate", str(profile)]) == 0
    said = capsys.readouterr()
    assert (said.out.count("\n"), said.err) == (1, "")
    assert said.out.endswith(" resources, no problems\n")


@pytest.mark.parametrize("page", PAGES, ids=lambda path: path.stem)
def test_its_page_has_a_row_for_each_var(page):
    profile = data(REPOSITORY / f"profiles/{page.stem}.yaml")
    rows = re.findall(r"^\| `([a-z0-9_]+)`", page.read_text(encoding="utf-8"), re.MULTILINE)
    assert sorted(rows) == sorted(profile["vars"])
