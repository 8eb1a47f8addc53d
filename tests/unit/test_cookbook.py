"""The recipes validate with the stock profiles that they include, and set vars that these have."""

from __future__ import annotations

import re
import shutil

import pytest
import yaml

from container.engine import REPOSITORY
from converge.cli import main

DOCS = REPOSITORY / "docs"
PAGES = [DOCS / "cookbook.md", *sorted((DOCS / "profiles").glob("*.md"))]
_YAML = re.compile(r"^```yaml\n(.*?)^```$", re.MULTILINE | re.DOTALL)
RECIPES = [
    pytest.param(text, id=f"{page.stem}-{number}")
    for page in PAGES
    for number, text in enumerate(_YAML.findall(page.read_text(encoding="utf-8")))
    if text.startswith("profile: ")
]


@pytest.fixture
def validate(tmp_path, capsys):
    """A function that validates a profile beside the stock profiles; it returns what is said."""
    shutil.copytree(REPOSITORY / "profiles", tmp_path / "profiles")

    def run(text):
        file = tmp_path / "profile.yaml"
        file.write_text(text)
        code = main(["validate", str(file)])
        return code, capsys.readouterr()

    return run


@pytest.mark.parametrize("text", RECIPES)
def test_a_recipe_is_valid_without_a_warning(validate, text):
    code, said = validate(text)
    assert (code, said.err) == (0, ""), said.err
    assert "no problems" in said.out


@pytest.mark.parametrize("text", RECIPES)
def test_a_recipe_sets_vars_that_there_are(text):
    recipe = yaml.safe_load(text)
    known, wanted = set(), list(recipe.get("include", ()))
    while wanted:
        stock = yaml.safe_load((REPOSITORY / wanted.pop()).read_text(encoding="utf-8"))
        known |= stock.get("vars", {}).keys()
        wanted += [f"profiles/{name}" for name in stock.get("include", ())]
    if recipe.get("include"):
        assert recipe["vars"].keys() <= known
