"""The compiled catalog, kept in the state directory: a run that finds it good compiles nothing.

It is good if every file, var and fact that it was made from is as it was, what was not there is
still not there, and the agent is the same. The file has a checksum (converge.state.store) and lies in a
directory that is the agent's alone.
"""

from __future__ import annotations

import os
import sys

import converge
from converge import catalog, jsontext, kinds
from converge.errors import ConvergeError, MissingError
from converge.files import digests

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from converge.config import Settings
    from converge.facts import Facts
    from converge.language.profile import Read
    from converge.state.directory import StateDirectory
    from converge.state.store import Store

NAME = "catalog.json"


def key(settings: Settings, state: Store) -> dict[str, Any]:
    """Return what the catalog depends on besides its inputs: settings, the agent, its place."""
    agent = os.stat(os.path.dirname(converge.__file__))
    return {
        "profile": settings.profile,
        "root": settings.root,
        "facts_dir": settings.facts_dir,
        "vars": dict(settings.vars),
        "state": state.path,
        "agent": [converge.__version__, int(agent.st_mtime), sys.version],
    }


def load(state: Store, settings: Settings, facts: Facts, read: Read) -> catalog.Catalog | None:
    """Return the kept catalog if it is still that of these settings; None: compile it."""
    kept = _kept(state, settings)
    if kept is None or not _same_files(kept.inputs["files"], read):
        return None
    if not all(_still_absent(path, read) for path in kept.inputs.get("absent", ())):
        return None
    plug_ins = kept.inputs.get("plug_ins", {})
    if kinds.versions(plug_ins) != plug_ins:
        return None
    if not _same_system(kept.inputs.get("system"), facts):
        return None
    if kept.inputs.get("asserted") not in (None, settings.phase or "start"):
        return None
    try:
        return kept if facts.same(kept.inputs["facts"]) else None
    except (KeyError, OSError, ConvergeError):
        return None


def last_good(state: StateDirectory, settings: Settings) -> catalog.Catalog | None:
    """Return the kept catalog though its profile has changed: the last one that was right."""
    return _kept(state, settings)


def keep(state: StateDirectory, settings: Settings, compiled: catalog.Catalog) -> None:
    """Keep a catalog for the runs to come; a state that cannot be written keeps nothing."""
    try:
        state.write_json(NAME, {"key": key(settings, state), "catalog": compiled.dump()})
    except OSError:
        return


def _kept(state: Store, settings: Settings) -> catalog.Catalog | None:
    found = state.read_json(NAME)
    try:
        if found is None or found["key"] != _plain(key(settings, state)):
            return None
        return catalog.load(found["catalog"])
    except (KeyError, TypeError, ValueError, AttributeError):
        state.set_aside(NAME)
        return None


def _same_files(known: dict[str, str], read: Read) -> bool:
    try:
        for path, digest in known.items():
            real, data = read(path)
            if real != path or digests.of(data) != digest:
                return False
    except ConvergeError:
        return False
    return True


def _still_absent(path: str, read: Read) -> bool:
    try:
        read(path)
    except MissingError:
        return True
    except ConvergeError:
        return False
    return False


def _same_system(known: dict[str, Any] | None, facts: Facts) -> bool:
    """Tell whether the packages here declare what they did (`include: [system:…]`)."""
    if known is None:
        return True
    from converge import systemd

    return systemd.same(known, facts.system)


def _plain(data: Any) -> Any:
    """Return data as it is after a way through JSON (tuples are lists)."""
    return jsontext.loads(jsontext.dumps(data))


def made_of(state: StateDirectory, settings: Settings, compiled: catalog.Catalog) -> str:
    """Return a digest of all that a catalog was made from: its inputs, and what `key` tells."""
    text = jsontext.dumps([key(settings, state), compiled.source, compiled.inputs], sort_keys=True)
    return digests.of(text.encode())


def identity(compiled: catalog.Catalog) -> str:
    """Return a digest that tells one catalog from another by what it was made from."""
    text = jsontext.dumps([compiled.source, compiled.inputs], sort_keys=True)
    return digests.of(text.encode())[:16]
