"""What the pages in docs/platforms say to type or to apply, as a test can use it."""

from __future__ import annotations

import re
import shlex
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import yaml

from container.engine import REPOSITORY, Engine
from container.platforms import READ_ONLY, empty_dir, swap

PAGES = REPOSITORY / "docs" / "platforms"


def text(page: str) -> str:
    """Return a page."""
    return (PAGES / f"{page}.md").read_text(encoding="utf-8")


def blocks(page: str, language: str) -> list[str]:
    """Return what stands between a page's fences of this language, in their order."""
    return re.findall(rf"^```{language}\n(.*?)^```$", text(page), re.MULTILINE | re.DOTALL)


def commands(page: str, beginning: str) -> list[list[str]]:
    """Return the words of each command of a page that begins so."""
    lines = "".join(blocks(page, "console")).replace("\\\n", " ").splitlines()
    typed = [shlex.split(line.removeprefix("$ ").removeprefix("# ")) for line in lines]
    start = beginning.split()
    return [words for words in typed if words[: len(start)] == start]


def profile(page: str) -> str:
    """Return the profile of a page: a block of its own, or in a ConfigMap."""
    first = blocks(page, "yaml")[0]
    found = next(iter(yaml.safe_load_all(first)))
    return found["data"]["profile.yaml"] if "data" in found else first


class Pod(NamedTuple):
    """A manifest as options for an engine's `run`, and the container's arguments and grace."""

    options: list[str]
    arguments: tuple[str, ...]
    grace: int


def pod(page: str, engine: Engine, folder: Path, *, fs_group: int = 0) -> Pod:
    """Translate a page's ConfigMap and Deployment. A key that is not known is an error."""
    config, deployment = yaml.safe_load_all(blocks(page, "yaml")[0])
    spec = deployment["spec"]["template"]["spec"]
    (container,) = spec["containers"]
    rights = spec["securityContext"] | container["securityContext"]
    options = [f"--env={one['name']}={one['value']}" for one in container["env"]]
    for name, value in rights.items():
        options += _RIGHTS[name](value)
    if "runAsUser" in rights:
        options += ["--user", f"{rights['runAsUser']}:{rights['runAsGroup']}"]
    if engine.program != "podman":
        options = [one for one in options if one != READ_ONLY[1]]
    volumes = {one["name"]: one for one in spec["volumes"]}
    for mount in container["volumeMounts"]:
        where = folder / mount["name"]
        volume = volumes[mount["name"]]
        if "configMap" in volume:
            assert volume["configMap"]["name"] == config["metadata"]["name"]
            assert mount["readOnly"]
            swap(where, config["data"])
            options.append(f"--volume={where}:{mount['mountPath']}:ro")
        else:
            assert volume["emptyDir"] == {}
            options.append(f"--volume={empty_dir(where, fs_group)}:{mount['mountPath']}")
    return Pod(options, tuple(container["args"]), spec["terminationGracePeriodSeconds"])


_RIGHTS: dict[str, Callable[[Any], tuple[str, ...]]] = {
    "runAsNonRoot": lambda _: (),  # what kubelet checks
    "seccompProfile": lambda value: {"RuntimeDefault": ()}[value["type"]],  # the engine's own
    "runAsUser": lambda _: (),  # together with runAsGroup
    "runAsGroup": lambda _: (),
    "allowPrivilegeEscalation": lambda yes: () if yes else ("--security-opt", "no-new-privileges"),
    "readOnlyRootFilesystem": lambda yes: READ_ONLY if yes else (),
    "capabilities": lambda value: tuple(f"--cap-drop={one}" for one in value["drop"]),
}
