"""The tutorial, as it is written: its files, its commands, and what they print."""

from __future__ import annotations

import socket

import pytest

from container.engine import REPOSITORY, Container
from container.walk import steps, take

PAGE = (REPOSITORY / "docs" / "tutorial.md").read_text(encoding="utf-8")


@pytest.fixture
def box(engine, tmp_path):
    """The container that the page's commands start; only its name is made here."""
    made = Container(engine, tmp_path / "unused")
    yield made
    made.remove()
    engine.call("rmi", "--force", f"localhost/{made.name}")


def test_the_tutorial(engine, image, box, tmp_path):
    names = {
        "localhost/converge-base": image, "tutorial": box.name, "podman": engine.program,
        ":8080": f":{free_port()}",
        # no run of the timer's between two looks at what the last run was
        "RESIDENT=1": "RESIDENT=1 --env CONVERGE_SPLAY=false",
    }  # fmt: skip
    first, *rest = steps(PAGE)
    assert first.command == "make image"  # which is what the fixture has done
    tmp_path.chmod(0o755)
    for step in rest:
        take(step, tmp_path, names)


def free_port():
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return found.getsockname()[1]
