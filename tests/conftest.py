"""What holds for all tests."""

from __future__ import annotations

import os
from collections.abc import Iterator

import pytest


@pytest.fixture(autouse=True)
def _own_umask() -> Iterator[None]:
    """Let no test that calls the command line in this process leave its umask to the next."""
    mask = os.umask(0o022)
    os.umask(mask)
    yield
    os.umask(mask)
