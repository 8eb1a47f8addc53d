"""docs/platforms: what is written there parses, and the tests that it names are there."""

from __future__ import annotations

import re

import pytest
import yaml

from container import lxc, pages
from converge.cli import main

NAMES = sorted(path.stem for path in pages.PAGES.glob("*.md") if path.stem != "README")


@pytest.mark.parametrize("page", NAMES)
def test_the_yaml_of_a_page_parses(page):
    for block in pages.blocks(page, "yaml"):
        assert list(yaml.safe_load_all(block))


@pytest.mark.parametrize("page", [name for name in NAMES if name != "lxc"])
def test_the_profile_of_a_page_is_valid(page, tmp_path, capsys):
    file = tmp_path / "profile.yaml"
    file.write_text(pages.profile(page))
    assert main(["validate", str(file)]) == 0, capsys.readouterr().err


@pytest.mark.parametrize("page", NAMES)
def test_the_tests_that_a_page_names_are_there(page):
    named = re.findall(r"`(tests/[\w/]+\.py)::(\w+)`", pages.text(page))
    assert named
    for file, test in named:
        text = (pages.REPOSITORY / file).read_text(encoding="utf-8")
        assert f"def {test}(" in text, f"{file}::{test}"


def test_the_settings_for_lxc_are_those_tested():
    (config,) = pages.blocks("lxc", "ini")
    lines = {line for line in config.splitlines() if line and not line.startswith("#")}
    tests = (pages.REPOSITORY / "tests/container/test_resident_lxc.py").read_text(encoding="utf-8")
    tested = lxc.SETTINGS + "lxc.uts.name = web\n"
    for line in lines:
        assert line in tested or line in tests or line.startswith("lxc.rootfs.path = dir:/"), line


def test_the_index_names_every_page():
    assert set(re.findall(r"\]\((\w[\w-]*)\.md\)", pages.text("README"))) == set(NAMES)
