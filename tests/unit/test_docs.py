"""The documentation is current: what is made is, and links lead somewhere."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
from pathlib import Path

import pytest

from converge import kinds

REPOSITORY = Path(__file__).resolve().parents[2]
DOCS = REPOSITORY / "docs"
PAGES = [
    *sorted(REPOSITORY.glob("*.md")),
    *sorted(DOCS.rglob("*.md")),
    REPOSITORY / "deploy/README.md",
]
_FENCED = re.compile(r"^ *```.*?^ *```$", re.MULTILINE | re.DOTALL)
_LINK = re.compile(r"\]\((?![a-z]+:)([^)#\s]*)(?:#([^)\s]*))?\)")


def test_the_tables_of_attributes_are_current():
    program = [sys.executable, str(DOCS / "attributes.py"), "--check"]
    done = subprocess.run(program, capture_output=True, text=True)
    assert (done.stdout, done.stderr) == ("", ""), "run `make docs`"


@pytest.mark.parametrize("kind", kinds.BUILT_IN)
def test_a_kind_has_a_page_with_an_example(kind):
    text = (DOCS / "kinds" / f"{kind}.md").read_text(encoding="utf-8")
    assert text.startswith(f"# {kind}\n")
    assert re.search(rf"^ *- {kind}: ", text, re.MULTILINE)


def name_of(page):
    return str(page.relative_to(REPOSITORY))


def anchors(page):
    """Return what a link may name of a page: its headings, as GitHub makes anchors of them."""
    lines = re.findall(
        r"^#+ (.*)$", _FENCED.sub("", page.read_text(encoding="utf-8")), re.MULTILINE
    )
    return {re.sub(r"[^\w\- ]", "", line.lower()).replace(" ", "-") for line in lines}


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_the_links_of_a_page_lead_somewhere(page):
    text = _FENCED.sub("", page.read_text(encoding="utf-8"))
    for path, anchor in _LINK.findall(text):
        target = (page.parent / path).resolve() if path else page
        assert target.exists(), path
        if anchor:
            assert anchor in anchors(target), f"{path}#{anchor}"


def names_in(tree, before=()):
    """Return the dotted ways to every class and function in a piece of a test file."""
    found = set()
    for node in ast.iter_child_nodes(tree):
        here = before
        if isinstance(node, (ast.ClassDef, ast.FunctionDef)):
            here = (*before, node.name)
            found.add("::".join(here))
        if not isinstance(node, ast.FunctionDef):
            found |= names_in(node, here)
    return found


TESTS = re.findall(
    r"`(tests/[\w/]+\.py)::([\w:]+)`", (DOCS / "reliability.md").read_text(encoding="utf-8")
)


@pytest.mark.parametrize(("path", "name"), TESTS)
def test_what_shows_a_promise_is_a_test(path, name):
    tree = ast.parse((REPOSITORY / path).read_text(encoding="utf-8"))
    assert name in names_in(tree)


def test_every_promise_is_shown():
    rows = re.findall(
        r"^\| (?!what happens|---).*$", (DOCS / "reliability.md").read_text(), re.MULTILINE
    )
    assert len(rows) == len(TESTS) > 60
