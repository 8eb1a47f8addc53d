"""Every profile that the documentation shows is right: by the JSON schema, and by the agent."""

from __future__ import annotations

import re
from pathlib import Path

import certifi
import jsonschema
import pytest

from converge import kinds, loading
from converge.commands import _read
from converge.config import Settings
from converge.errors import Problem
from converge.language import yamlfile
from converge.language.schema import profile_schema
from converge.system import System

REPOSITORY = Path(__file__).resolve().parents[2]
PAGES = [REPOSITORY / "README.md", *sorted((REPOSITORY / "docs").rglob("*.md"))]
_END = "-----END CERTIFICATE-----\n"
_BLOCK = re.compile(r"^( *)```yaml\n(.*?)^ *```", re.MULTILINE | re.DOTALL)
_PROFILE = re.compile(r"^(resources|layers|assert):", re.MULTILINE)
_LIST = re.compile(rf"(#.*\n)*- ({'|'.join(kinds.names())}): ")


def profiles():
    """Yield (where, text of a profile) for each block that is one, or a list of resources."""
    for page in PAGES:
        text = page.read_text(encoding="utf-8")
        for found in _BLOCK.finditer(text):
            where = f"{page.relative_to(REPOSITORY)}:{text.count(chr(10), 0, found.start()) + 1}"
            block = re.sub(f"^{found[1]}", "", found[2], flags=re.MULTILINE)
            if _LIST.match(block):
                block = "resources:\n" + re.sub("^", "  ", block, flags=re.MULTILINE)
            if _PROFILE.search(block):
                yield pytest.param(block, id=where)


@pytest.fixture(scope="module")
def schema():
    return jsonschema.Draft202012Validator(profile_schema(kinds.names()))


@pytest.mark.parametrize("text", list(profiles()))
def test_the_schema_takes_it(schema, text):
    data = yamlfile.load(text.encode(), "example").data
    assert [error.message for error in schema.iter_errors(data)] == []


@pytest.mark.parametrize("text", list(profiles()))
def test_the_agent_takes_it(text, tmp_path):
    folder = tmp_path / "etc"
    folder.mkdir()
    (folder / "facts.d").mkdir()
    (folder / "facts.d/site.json").write_text('{"name": "vienna", "rack": 4}')
    (folder / "profile.yaml").write_text(text)
    for name in named_files(yamlfile.load(text.encode(), "example").data):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(certificate() if name.endswith((".pem", ".crt")) else "")
    settings = Settings(profile=str(folder / "profile.yaml"), facts_dir=str(folder / "facts.d"))
    unmet: list[Problem] = []
    loading.compiled(settings, System(str(tmp_path)), None, _read, unmet)


def named_files(profile):
    """Return the files beside it that a profile names."""
    resources = profile.get("resources", ())
    sources = [item.get(key) or "" for item in resources for key in ("source", "template")]
    names = [*profile.get("include", ()), *sources]
    return [name for name in names if re.fullmatch(r"\w[\w./-]*", name) and ".." not in name]


def certificate():
    """Return one authority's certificate, in PEM."""
    bundle = Path(certifi.where()).read_text(encoding="utf-8")
    return bundle[bundle.index("-----BEGIN") : bundle.index(_END)] + _END
