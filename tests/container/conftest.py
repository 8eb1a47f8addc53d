"""Fixtures: an engine, the base image built from this checkout, and containers of it."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from container import lxc
from container.engine import HOW_TO, REPOSITORY, Container, Engine, find

SITE = "import site; print(site.getsitepackages()[-1])"
# python3, which supervisor needs, brings the libraries that the agent's own is linked with.
PROGRAMS = (
    "tini cron faketime logrotate nginx-light openssh-client openssh-server procps restic rsyslog "
    "rsyslog-gnutls rsyslog-relp runit s6 sudo supervisor systemd"
)


@pytest.fixture(scope="session")
def engine() -> Engine:
    """podman, else docker. Where there is none the tests are skipped, or fail if CI is set."""
    found = find()
    if found is None:
        if os.environ.get("CI"):
            pytest.fail(HOW_TO)
        pytest.skip(HOW_TO)
    return found


@pytest.fixture(scope="session")
def image(engine: Engine) -> str:
    """The id of the base image, built from this checkout."""
    return engine.build("-f", str(REPOSITORY / "Dockerfile.base"), str(REPOSITORY))


@pytest.fixture(scope="session")
def strace_image(engine: Engine, image: str) -> str:
    """The id of the base image with strace in it."""
    lines = (
        f"FROM {image}",
        "RUN apt-get update && apt-get install -y --no-install-recommends strace",
    )
    return engine.build("-", stdin="\n".join(lines))


@pytest.fixture(scope="session")
def programs_image(engine: Engine, image: str) -> str:
    """The id of an image with the agent, the stock profiles, and the real programs that they need.

    The packages come first, so that a change of the agent's code does not install them anew.
    """
    lines = (
        "FROM debian:bookworm-slim",
        f"RUN apt-get update && apt-get install -y --no-install-recommends {PROGRAMS}",
        f"COPY --from={image} /opt/converge /opt/converge",
        f"COPY --from={image} /etc/converge/profiles /etc/converge/profiles",
        "RUN ln -s /opt/converge/bin/converge /usr/local/bin/converge",
    )
    return engine.build("-", stdin="\n".join(lines))


@pytest.fixture(scope="session")
def mounts(engine: Engine, image: str) -> list[str]:
    """With CONVERGE_TEST_MOUNT=1: options that lay this checkout's code over the image's."""
    if not os.environ.get("CONVERGE_TEST_MOUNT"):
        return []
    python = ("--entrypoint", "/opt/converge/bin/python", image, "-I", "-c", SITE)
    site = engine.must("run", "--rm", "--network", "none", *python)
    return [
        f"--volume={REPOSITORY}/{source}:{site}/{source.rpartition('/')[2]}:ro"
        for source in ("agent/converge", "resources/converge_resources")
    ]


@pytest.fixture
def container(
    engine: Engine, image: str, mounts: list[str], tmp_path: Path
) -> Iterator[Callable[..., Container]]:
    """A function that starts containers, which are removed at the end of the test.

    container(*options, profile=…, command=…, entrypoint=…, image=…): `options` go to `run`, the
    profile (text, or plain data) is mounted read-only, and the entrypoint is tini unless it is
    given ("" keeps the image's own). There is no network unless an option says so.
    """
    started: list[Container] = []

    def run(
        *options: str,
        profile: Any = None,
        command: tuple[str, ...] = ("sleep", "infinity"),
        entrypoint: str = "/usr/bin/tini",
        image: str = image,
    ) -> Container:
        file = tmp_path / f"profile-{len(started)}.yaml"
        made = Container(engine, file)
        arguments = ["--detach", "--name", made.name, *mounts]
        if not any(option.startswith("--network") for option in options):
            arguments += ["--network", "none"]
        if profile is not None:
            made.profile(profile)
            arguments += ["--volume", f"{file}:/etc/converge/profile.yaml:ro"]
        if entrypoint:
            arguments += ["--entrypoint", entrypoint]
            command = ("--", *command) if entrypoint.endswith("tini") else command
        started.append(made)
        engine.must("run", *arguments, *options, image, *command)
        return made

    yield run
    for one in reversed(started):  # one may share the processes of one before it
        one.remove()


@pytest.fixture(scope="session")
def lxc_root(engine: Engine, image: str) -> Iterator[Path]:
    """The root file system of the base image. Without LXC the tests are skipped, or fail in CI."""
    if not lxc.works():
        if os.environ.get("CI"):
            pytest.fail(lxc.HOW_TO)
        pytest.skip(lxc.HOW_TO)
    folder = lxc.scratch("converge-test")
    yield lxc.export(engine, image, folder)
    shutil.rmtree(folder)


@pytest.fixture
def lxc_container(lxc_root: Path, mounts: list[str]) -> Iterator[Callable[..., lxc.LxcContainer]]:
    """A function that makes LXC containers, which are removed at the end of the test.

    lxc_container(profile=…, settings=…, unprivileged=…): the profile is text or plain data.
    """
    made: list[lxc.LxcContainer] = []

    def make(profile: Any = None, settings: str = "", **options: Any) -> lxc.LxcContainer:
        binds = [mount.removeprefix("--volume=").split(":") for mount in mounts]
        lines = [f"lxc.mount.entry = {a} {b.lstrip('/')} none bind,ro 0 0" for a, b, _ in binds]
        made.append(lxc.LxcContainer(lxc_root, "\n".join([settings, *lines]), **options))
        if profile is not None:
            made[-1].profile(profile)
        return made[-1]

    yield make
    for one in made:
        one.remove()
