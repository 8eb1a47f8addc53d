"""Fixtures of the daemon tests: a resident agent, and a supervisor whose workers are the test's own."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from daemon.agent import Agent
from daemon.supervisor import Supervisor


@pytest.fixture
def agent(tmp_path: Path) -> Iterator[Agent]:
    found = Agent(tmp_path)
    yield found
    if found.process and found.process.poll() is None:
        found.process.kill()
        found.process.wait()


@pytest.fixture
def supervisor(tmp_path: Path) -> Iterator[Callable[..., Supervisor]]:
    """Return how to make one (not started); it is ended with the test."""
    made: list[Supervisor] = []

    def make(*words: str, **options: object) -> Supervisor:
        made.append(Supervisor(tmp_path, *words, **options))
        return made[-1]

    yield make
    for one in made:
        if one.process and one.process.poll() is None:
            one.kill()
