"""What holds for all tests."""

from __future__ import annotations

import os
from collections.abc import Iterator

import pytest


@pytest.fixture(autouse=True)
def _own_umask() -> Iterator[None]:
    """Begin each test with the usual umask: one that calls the command line here changes it."""
    mask = os.umask(0o022)
    yield
    os.umask(mask)
