"""deploy/: what is there is what the pages quote, and what the platforms' own schemas take."""

from __future__ import annotations

import re

import kubernetes_validate
import pytest
import yaml

from container import pages
from container.engine import REPOSITORY

DEPLOY = REPOSITORY / "deploy"
PAGES = [*sorted(pages.PAGES.glob("*.md")), DEPLOY / "README.md", REPOSITORY / "docs/metrics.md"]
MANIFESTS = sorted(str(path.relative_to(DEPLOY)) for path in DEPLOY.glob("[ko]*/*.yaml"))
_QUOTE = re.compile(r"^( *)```\w+\n *# deploy/(\S+)\n(.*?)^ *```$", re.MULTILINE | re.DOTALL)
QUOTES = [
    pytest.param(path, re.sub(f"^{indent}", "", text, flags=re.MULTILINE), id=path)
    for page in PAGES
    for indent, path, text in _QUOTE.findall(page.read_text(encoding="utf-8"))
]


def documents(path):
    return list(yaml.safe_load_all((DEPLOY / path).read_text(encoding="utf-8")))


@pytest.mark.parametrize(("path", "text"), QUOTES)
def test_a_page_quotes_the_file_as_it_is(path, text):
    assert (DEPLOY / path).read_text(encoding="utf-8") == text


def test_no_file_goes_unmentioned():
    said = "".join(page.read_text(encoding="utf-8") for page in PAGES)
    ignored = {DEPLOY / "README.md", DEPLOY / "prometheus/converge.rules.test.yaml"}
    files = {path for path in DEPLOY.rglob("*") if path.is_file()} - ignored
    tracked = [path for path in files if not ignored_by_git(path)]
    assert [path for path in tracked if "/".join(path.parts[-2:]) not in said] == []


def ignored_by_git(path):
    """Tell whether a file is one that the example makes, or the list of those."""
    names = (DEPLOY / "compose/.gitignore").read_text(encoding="utf-8").split()
    made = {name.rstrip("/") for name in names} | {".gitignore"}
    return bool(made & {*path.relative_to(DEPLOY).parts})


@pytest.mark.parametrize("path", MANIFESTS)
@pytest.mark.parametrize("version", ["1.25", kubernetes_validate.latest_version()])
def test_a_manifest_is_what_the_api_takes(path, version):
    for document in documents(path):
        kubernetes_validate.validate(document, version, strict=True)


def test_the_validator_sees_a_mistake():
    _, deployment = documents("kubernetes/web.yaml")
    deployment["spec"]["template"]["spec"]["containers"][0]["volumeMount"] = []
    with pytest.raises(kubernetes_validate.ValidationError, match="volumeMount"):
        kubernetes_validate.validate(deployment, kubernetes_validate.latest_version(), strict=True)


@pytest.mark.parametrize("path", MANIFESTS)
def test_what_a_manifest_refers_to_is_in_it(path):
    config, deployment = documents(path)
    template = deployment["spec"]["template"]
    labels = deployment["spec"]["selector"]["matchLabels"]
    assert labels.items() <= template["metadata"]["labels"].items()
    volumes = {one["name"]: one for one in template["spec"]["volumes"]}
    named = {one["configMap"]["name"] for one in volumes.values() if "configMap" in one}
    assert named == {config["metadata"]["name"]}
    mounted = set()
    for container in (*template["spec"].get("initContainers", ()), *template["spec"]["containers"]):
        mounted |= {one["name"] for one in container["volumeMounts"]}
        command = container.get("command", ["converge"])
        assert command[0] == "converge", "another one would replace the image's entrypoint"
    assert mounted == {*volumes}


def test_the_manifest_of_cloud_foundry_names_what_is_built():
    (app,) = documents("cloud-foundry/manifest.yml")[0]["applications"]
    assert app["docker"]["image"] in pages.text("cloud-foundry").partition("podman push ")[2]
