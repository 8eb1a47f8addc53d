"""Fixtures of the profile language: text is compiled as it lies in files."""

from __future__ import annotations

import pytest

from converge import kinds
from converge.facts import Facts
from converge.language import profile
from converge.language.compile import compile_profile
from converge.loading import trusted_read
from converge.system import System
from unit.sample import install


@pytest.fixture
def make(tmp_path, monkeypatch):
    """Return a function that compiles files {name: text}, the first one being the profile."""
    install(monkeypatch)
    monkeypatch.setitem(kinds.BUILT_IN, "thing", "unit.sample:ThingProvider")
    monkeypatch.setitem(kinds.BUILT_IN, "other", "unit.sample:OtherProvider")

    def build(text, variables=None, **files):
        (tmp_path / "p.yaml").write_text(text)
        for name, content in files.items():
            path = tmp_path / name.replace("__", "/").replace("_yaml", ".yaml")
            path.parent.mkdir(exist_ok=True)
            path.write_text(content)
        loaded = profile.load(str(tmp_path / "p.yaml"), trusted_read)
        facts = Facts(System(str(tmp_path)).read_only())
        return compile_profile(loaded, facts, variables or {}, trusted_read, [])

    return build
