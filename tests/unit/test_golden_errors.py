"""What wrong profiles are told, word for word: tests/golden/NN-NAME/{profile.yaml,error.txt}.

A message is written for somebody who reads it for the first time. After a change of one, look at
what CONVERGE_UPDATE_GOLDEN=1 makes of the files, and commit that.
"""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from converge import loading
from converge.commands import _read
from converge.config import Settings
from converge.errors import ProfileError
from converge.system import System

GOLDEN = Path(__file__).resolve().parents[1] / "golden"
NAMES = sorted(path.name for path in GOLDEN.iterdir())


@pytest.mark.parametrize("name", NAMES)
def test_what_is_said(name, tmp_path):
    folder = GOLDEN / name
    settings = Settings(profile=str(folder / "profile.yaml"), facts_dir="/etc/converge/facts.d")
    with pytest.raises(ProfileError) as caught:
        loading.compiled(settings, System(str(tmp_path)), None, _read)
    lines = [str(problem).replace(f"{folder}/", "") for problem in caught.value.problems]
    text = "\n".join(lines).replace(str(folder), "/etc/converge") + "\n"
    if os.environ.get("CONVERGE_UPDATE_GOLDEN"):
        (folder / "error.txt").write_text(text, encoding="utf-8")
    assert text == (folder / "error.txt").read_text(encoding="utf-8")


def test_there_are_thirty_and_each_is_another():
    assert len(NAMES) >= 30
    assert [int(name[:2]) for name in NAMES] == list(range(1, len(NAMES) + 1))
    texts = [(GOLDEN / name / "error.txt").read_text(encoding="utf-8") for name in NAMES]
    assert len(set(texts)) == len(texts)


def test_the_documentation_quotes_them():
    """docs/errors.md shows no message that is not given."""
    text = (GOLDEN.parents[1] / "docs/errors.md").read_text(encoding="utf-8")
    blocks = text.split("```text\n")[1:]
    quoted = [line for block in blocks for line in block.partition("```")[0].splitlines()]
    given = {
        line
        for name in NAMES
        for line in (GOLDEN / name / "error.txt").read_text(encoding="utf-8").splitlines()
    }
    assert len(quoted) > 10
    assert [line for line in quoted if line not in given] == []
