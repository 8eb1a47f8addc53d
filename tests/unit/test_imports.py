"""What the in-sync path imports: nothing third-party, nothing of the standard library that is slow."""

from __future__ import annotations

import importlib.util
import subprocess
import sys

import pytest

from converge import kinds

COSTLY = {
    *("yaml", "pydantic", "pydantic_core", "jinja2", "requests", "psutil", "rich"),
    *("dataclasses", "asyncio", "subprocess", "logging", "importlib.metadata"),
    *("typing", "argparse", "ctypes", "hashlib", "inspect", "shutil", "socket"),
}
AGENT = [
    *("cli", "config", "commands", "runner", "engine", "catalog", "facts", "kinds"),
    *(
        "notifications",
        "reports.output",
        "reports.report",
        "state.directory",
        "state.lock",
        "system",
    ),
]
KINDS = sorted({target.partition(":")[0] for target in kinds.BUILT_IN.values()})

# Runs in an interpreter of its own. A finder that finds nothing sees every first import of a
# module, and the frames above it are the modules that are being imported: the chain to name.
SPY = """
import sys
class Spy:
    def find_spec(name, path=None, target=None):
        if name in costly and name not in told:
            told.add(name)
            chain, frame = [name], sys._getframe(1)
            while frame:
                by = frame.f_globals.get("__name__", "")
                if not by.startswith("importlib") and by not in (chain[-1], "__main__"):
                    chain.append(by)
                frame = frame.f_back
            print(" <- ".join(chain))
costly, told = set(sys.argv[1].split(",")), set(sys.modules)
sys.meta_path.insert(0, Spy)
import importlib
for name in sys.argv[2:]:
    importlib.import_module(name)
"""


def costly_imports(*modules: str) -> list[str]:
    """Return one line for each costly module that importing these brings: the chain that did it."""
    argv = [sys.executable, "-I", "-c", SPY, ",".join(sorted(COSTLY)), *modules]
    done = subprocess.run(argv, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return done.stdout.splitlines()


def existing(names: list[str]) -> list[str]:
    return [name for name in names if importlib.util.find_spec(name)]


def test_the_in_sync_path_imports_nothing_costly():
    agent = existing([f"converge.{name}" for name in AGENT])
    assert "converge.cli" in agent
    assert costly_imports(*agent) == []


@pytest.mark.parametrize("module", existing(KINDS))
def test_a_kind_imports_nothing_costly(module):
    assert costly_imports(module) == []


def test_all_built_in_kinds_exist():
    assert existing(KINDS) == KINDS


def test_the_names_for_authors_of_kinds_cost_nothing():
    assert costly_imports("converge") == []


@pytest.mark.parametrize("module", ["pydantic", "subprocess", "importlib.metadata"])
def test_the_spy_sees_what_it_looks_for(module):
    assert any(line.startswith(module) for line in costly_imports(module))


def test_the_spy_names_the_chain():
    chains = costly_imports("converge.language.models")
    assert "pydantic <- converge.language.models" in chains, chains
