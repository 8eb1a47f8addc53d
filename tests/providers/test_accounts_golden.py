"""Profiles and the account files that they lead to, in tests/providers/data/accounts.

NAME.input is a list of resources, applied in its order to the files of accounts_root; NAME.expected
holds what then differs of passwd, group, shadow and gshadow, as a diff.
"""

from __future__ import annotations

import difflib
from pathlib import Path

import pytest
import yaml

from converge import kinds
from converge.testing import converge, make_spec
from providers.accounts_root import FILES, make_root, read

DATA = Path(__file__).parent / "data/accounts"
ACCOUNT_FILES = ("passwd", "group", "shadow", "gshadow")


def specs(text):
    for declared in yaml.safe_load(text):
        kind = next(iter(declared))
        yield kind, make_spec(kind, name=declared.pop(kind), **declared)


@pytest.mark.parametrize("path", sorted(DATA.glob("*.input")), ids=lambda path: path.stem)
def test_the_account_files_become_as_expected(path, tmp_path, monkeypatch):
    monkeypatch.setattr("converge_resources.accounts.own._today", lambda: "20800")
    system = make_root(tmp_path)
    for kind, spec in specs(path.read_text()):
        assert converge(kinds.load(kind), [spec], system) == []
    found = []
    for name in ACCOUNT_FILES:
        before, after = FILES[name].splitlines(), read(system, name).splitlines()
        changes = difflib.unified_diff(before, after, name, name, n=1, lineterm="")
        found += [line for line in changes if not line.startswith(("---", "@@"))]
    assert "\n".join(found) + "\n" == path.with_suffix(".expected").read_text()


def test_there_are_cases():
    assert len([*DATA.glob("*.input")]) >= 5
