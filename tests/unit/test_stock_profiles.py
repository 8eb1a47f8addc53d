"""The stock profiles are right as they are, and each page lists the vars that its profile has."""

from __future__ import annotations

import re
import shutil
from pathlib import Path

import jsonschema
import pytest

from converge import kinds
from converge.cli import main
from converge.language import yamlfile
from converge.language.schema import profile_schema

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
    assert said.out.endswith(", no problems\n")


def test_a_site_may_include_them_all(tmp_path, capsys):
    shutil.copytree(REPOSITORY / "profiles", tmp_path / "profiles")
    names = ", ".join(f"profiles/{profile.name}" for profile in PROFILES)
    (tmp_path / "site.yaml").write_text(f"include: [{names}]\n")
    assert main(["validate", str(tmp_path / "site.yaml")]) == 0
    assert capsys.readouterr().err == ""


@pytest.mark.parametrize("page", PAGES, ids=lambda path: path.stem)
def test_its_page_names_each_var_and_no_other(page):
    declared = set(data(REPOSITORY / f"profiles/{page.stem}.yaml")["vars"])
    text = page.read_text(encoding="utf-8")
    rows = set(re.findall(r"^\| `([a-z0-9_]+)`", text, re.MULTILINE))
    assert rows <= declared
    assert {name for name in declared if f"`{name}" not in text} == set()
