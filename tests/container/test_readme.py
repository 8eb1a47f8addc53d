"""The README's walk through a container, and its profile, as they are written."""

from __future__ import annotations

import re

from container.engine import REPOSITORY

README = (REPOSITORY / "README.md").read_text(encoding="utf-8")


def test_the_walk_through(container):
    box = container(entrypoint="")
    for _ in range(100):
        if box.converge("status").code == 0:
            break
    status = box.converge("status", "--json").json
    assert status["report"]["counts"]["failed"] == 0
    assert box.exec("chmod", "666", "/etc/shadow").code == 0
    assert box.converge("plan").code == 2
    assert box.converge("--once").code == 0
    assert box.stat("/etc/shadow", "%a") == "640"
    for command in re.findall(r"podman exec web (.+?)(?:  |$)", README, re.MULTILINE):
        assert command.split()[0] in ("converge", "chmod")


def test_its_profile_is_valid(container):
    (text,) = re.findall(r"```yaml\n(profile: web.*?)```", README, re.DOTALL)
    box = container(profile=text)
    assert box.converge("validate").code == 0, box.converge("validate").err
