"""deploy/compose: its own commands, by podman-compose where the engine is podman."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from container import pages
from container.engine import REPOSITORY
from container.resident import until

ADDRESS = ("getent", "hosts", "db.internal")


@pytest.fixture
def compose(engine, image, tmp_path):
    """A function that runs a command of the page's, in a copy of the folder."""
    if engine.program != "podman" and engine.call("compose", "version").code != 0:
        pytest.skip("docker has no plug-in `compose` here; podman-compose drives podman alone")
    folder = tmp_path / f"converge-test-{os.getpid()}"  # which names the containers
    shutil.copytree(REPOSITORY / "deploy/compose", folder)
    for name in ("compose.yaml", "publish", "config/Dockerfile"):
        file = folder / name
        file.write_text(file.read_text().replace("localhost/converge-base", image))
    bin_ = Path(sys.executable).parent
    program = (
        [str(bin_ / "podman-compose")] if engine.program == "podman" else ["docker", "compose"]
    )

    def run(*words, ok=True):
        argv = [*program, *words[1:]] if words[0] == "podman-compose" else words
        done = subprocess.run(argv, cwd=folder, capture_output=True, text=True, timeout=300)
        assert done.returncode == 0 or not ok, f"{words}\n{done.stdout}\n{done.stderr}"
        return done.stdout

    yield run
    run("podman-compose", "down", "--timeout", "5")
    for built in (f"{folder.name}_config", f"{folder.name}-config"):  # podman-compose's, docker's
        engine.call("rmi", "--force", "--no-prune", built)  # but not the image that it stands on


def test_three_containers_follow_what_is_published(compose, engine):
    compose("./publish", engine.program)
    (up,) = pages.commands("compose", "podman-compose up")
    compose(*up[: up.index("#")] if "#" in up else up)
    for web in ("web1", "web2", "web3"):
        exec_ = ("podman-compose", "exec", "-T", web)
        until(lambda exec_=exec_: "10.0.0.5 " in compose(*exec_, *ADDRESS, ok=False), "an address")
    (change,) = pages.commands("compose", "sed")
    compose(*change)
    compose("./publish", engine.program)
    for web in ("web1", "web2", "web3"):
        exec_ = ("podman-compose", "exec", "-T", web)
        compose(*exec_, "converge", "trigger", "--wait")
        assert "10.0.0.6 " in compose(*exec_, *ADDRESS)
