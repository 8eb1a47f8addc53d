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


class Part(NamedTuple):
    """A container of a manifest: options for an engine's `run`, what it runs, the pod's grace.

    `entrypoint` is empty where the image's own is kept.
    """

    options: list[str]
    entrypoint: str
    arguments: tuple[str, ...]
    grace: int


def pod(page: str, engine: Engine, folder: Path, *, fs_group: int = 0) -> Part:
    """Translate the ConfigMap and Deployment that a page begins with, of one container."""
    (part,) = parts(blocks(page, "yaml")[0], engine, folder, fs_group=fs_group)
    return part


def parts(manifest: str, engine: Engine, folder: Path, *, fs_group: int = 0) -> list[Part]:
    """Translate a ConfigMap and a Deployment: its init containers, then the others.

    A key that is not known is an error. The volumes are made in the folder, by their names.
    """
    config, deployment = yaml.safe_load_all(manifest)
    spec = deployment["spec"]["template"]["spec"]
    sources = {
        volume["name"]: _volume(volume, config, folder, fs_group) for volume in spec["volumes"]
    }
    found = []
    for one in (*spec.get("initContainers", ()), *spec["containers"]):
        options = _options(spec["securityContext"] | one["securityContext"], engine)
        options += [f"--env={item['name']}={item['value']}" for item in one.get("env", ())]
        for mount in one["volumeMounts"]:
            access = ":ro" if mount.get("readOnly") else ""
            options.append(f"--volume={sources[mount['name']]}:{mount['mountPath']}{access}")
        entrypoint, *arguments = [*one.get("command", [""]), *one.get("args", ())]
        grace = spec["terminationGracePeriodSeconds"]
        found.append(Part(options, entrypoint, tuple(arguments), grace))
    return found


def _options(rights: dict[str, Any], engine: Engine) -> list[str]:
    options = [word for name, value in rights.items() for word in _RIGHTS[name](value)]
    if "runAsUser" in rights:
        options += ["--user", f"{rights['runAsUser']}:{rights['runAsGroup']}"]
    if engine.program != "podman":
        options = [one for one in options if one != READ_ONLY[1]]
    return options


def _volume(volume: dict[str, Any], config: dict[str, Any], folder: Path, fs_group: int) -> Path:
    where = folder / volume["name"]
    if "configMap" in volume:
        assert volume["configMap"]["name"] == config["metadata"]["name"]
        swap(where, config["data"])
        return where
    assert volume["emptyDir"] == {}
    return empty_dir(where, fs_group)


_RIGHTS: dict[str, Callable[[Any], tuple[str, ...]]] = {
    "runAsNonRoot": lambda _: (),  # what kubelet checks
    "seccompProfile": lambda value: {"RuntimeDefault": ()}[value["type"]],  # the engine's own
    "runAsUser": lambda _: (),  # together with runAsGroup
    "runAsGroup": lambda _: (),
    "allowPrivilegeEscalation": lambda yes: () if yes else ("--security-opt", "no-new-privileges"),
    "readOnlyRootFilesystem": lambda yes: READ_ONLY if yes else (),
    "capabilities": lambda value: tuple(f"--cap-drop={one}" for one in value["drop"]),
}
