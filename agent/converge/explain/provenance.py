"""Where what a profile says comes from: which places set a var, and which names a template reads."""

from __future__ import annotations

import os
from functools import cached_property
from typing import TYPE_CHECKING, Any

from converge import config, loading
from converge.errors import ConvergeError
from converge.language import layers, profile
from converge.language.template import Templates, is_template

if TYPE_CHECKING:
    from collections.abc import Iterable

    from converge.config import Settings
    from converge.language.profile import Declaration
    from converge.state.directory import StateDirectory
    from converge.system import System

_BARE = ("when", "for_each")  # attributes that are expressions without braces


class Provenance:
    """What a profile's files, its layers, the environment and the flags say. Raises ConvergeError."""

    def __init__(self, settings: Settings, system: System, state: StateDirectory | None) -> None:
        path, read = loading.place(settings, system, state)
        facts = loading.facts_of(settings, system)
        self._read = read
        self.profile = profile.load(path, read)
        self._templates = Templates()
        self._gathered = layers.gather(self.profile, facts, settings.vars, self._templates, read)
        self._names = self._gathered.variables(facts, self._templates)
        self._given = config.var_sources(settings, os.environ)

    @property
    def vars(self) -> list[str]:
        """The names of all vars."""
        return list(self._gathered.values)

    def attributes(self, kind: str, file: str, line: int) -> dict[str, dict[str, Any]]:
        """Return, of each attribute of the declaration at a place, its place, text and what it reads.

        The name of the resource is under its kind.
        """
        return self._attributes.get((kind, file, line), {})

    @cached_property
    def _attributes(self) -> dict[tuple[str, str, int], dict[str, dict[str, Any]]]:
        return {
            (one.kind, one.document.file, one.place()[0]): self._written(one)
            for one in self.profile.declarations
        }

    def _written(self, declaration: Declaration) -> dict[str, dict[str, Any]]:
        found = {}
        written = {declaration.kind: declaration.names, **declaration.attributes}
        for name, value in written.items():
            line, _ = declaration.place(name)
            raw = value[0] if name == declaration.kind and len(value) == 1 else value
            found[name] = {
                "place": f"{declaration.document.file}:{line}",
                "written": raw,
                "uses": sorted(self._references(raw, bare=name in _BARE)),
            }
            if name == "template":  # what it is rendered to reads what is in that file
                uses = self._references(self._template(raw))
                found["content"] = {**found[name], "uses": sorted(uses)}
        return found

    def _template(self, name: Any) -> str:
        """Return the text of a template below the profile's folder, "" if that cannot be told."""
        try:
            return self._read(os.path.join(self.profile.folder, name))[1].decode()
        except (ConvergeError, TypeError, ValueError):
            return ""

    def closure(self, references: Iterable[str]) -> list[str]:
        """Return the vars among these, and all vars that those read, in the order of their names."""
        found: set[str] = set()
        left = [name for name in references if name in self._gathered.values]
        while left:
            name = left.pop()
            if name not in found:
                found.add(name)
                left += [one for one in self._uses(name) if one in self._gathered.values]
        return sorted(found)

    def var(self, name: str) -> dict[str, Any]:
        """Return the value of a var, and every place that sets it, the strongest first."""
        counted = self._gathered.counted(name)
        error, value = "", None
        try:
            value = self._names[name]
        except ConvergeError as caught:
            error = str(caught)
        return {
            "value": value,
            "error": error,
            "merge": self._gathered.merge.get(name, "first"),
            "origins": self._origins(name, len(counted)),
            "uses": sorted(self._uses(name)),
        }

    def _origins(self, name: str, counted: int) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = []
        for origin in reversed(self._gathered.values[name]):
            if origin.source == "given":
                places = self._given.get(name, [("", origin.value)])[::-1]
                found += [_origin(_source(place), place, value) for place, value in places]
            else:
                found.append(_origin(origin.source, origin.place, origin.value))
        return [{**one, "counts": i < counted} for i, one in enumerate(found)]

    def _uses(self, name: str) -> set[str]:
        """Return what the values that count read."""
        found: set[str] = set()
        for origin in self._gathered.counted(name):
            found |= self._references(origin.value)
        return found

    def _references(self, value: Any, *, bare: bool = False) -> set[str]:
        if isinstance(value, dict):
            value = list(value.values())
        if isinstance(value, list):
            return {name for item in value for name in self._references(item)}
        if not isinstance(value, str) or not (bare or is_template(value)):
            return set()
        return self._templates.references(value)


def _origin(source: str, place: str, value: Any) -> dict[str, Any]:
    return {"source": source, "place": place, "value": value}


def _source(place: str) -> str:
    """Return what gave a var: its place is a flag, an environment variable or a file."""
    if place.startswith("--var"):
        return "option"
    return "settings" if place.startswith("/") else "environment"
