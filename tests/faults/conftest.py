"""Fixtures of the fault tests: an agent in a directory of its own, and both ways to open a path."""

from __future__ import annotations

from pathlib import Path

import pytest

from converge.files.backup import Backups
from converge.files.journal import Journal
from converge.files.paths import Paths
from converge.system import System


@pytest.fixture(params=["straight", "walk"])
def way(request, monkeypatch) -> str:
    if request.param == "walk":
        monkeypatch.setattr(Paths, "_straight", lambda *_: None)
    return str(request.param)


@pytest.fixture
def root(tmp_path) -> Path:
    (tmp_path / "root").mkdir()
    return tmp_path / "root"


@pytest.fixture
def system(root, tmp_path) -> System:
    return System(
        str(root),
        backups=Backups(str(tmp_path / "backups")),
        journal=Journal(str(tmp_path / "journal")),
    )


@pytest.fixture
def others(root) -> Path:
    """A directory that another user may write to."""
    (root / "others").mkdir()
    (root / "others").chmod(0o777)
    return root / "others"
