"""The documentation is current: what is made is, and links lead somewhere."""

from __future__ import annotations

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
