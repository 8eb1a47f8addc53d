"""Layers: files of vars that a container has or has not, the first of which is the strongest.

`layers` of a profile names them by templates (`hosts/{{ facts.hostname }}.yaml`), as Hiera's
hierarchy does. What a name is made of is known before any layer is read: facts, and vars that no
layer sets.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

from converge.errors import ConvergeError, MissingError, Problem, ProfileError
from converge.language.merging import Merged
from converge.language.origins import Origin, name_problem
from converge.language.template import Templates, Variables
from converge.record import Record

if TYPE_CHECKING:
    from collections.abc import Mapping

    from converge.facts import Facts
    from converge.language.profile import Layer, Profile, Read
    from converge.language.yamlfile import Document

_MOST = 200  # files
_NO_VARS = ("vars", "layers", "include", "resources")  # whoever writes these takes it for a profile


class Gathered(Record):
    """All values of all vars, weak to strong, and the layers they came from.

    `files` are those read (real path → content), `absent` those that are not there.
    """

    values: dict[str, list[Origin]]
    merge: dict[str, str]
    files: dict[str, bytes]
    absent: list[str]

    def variables(self, facts: Facts, templates: Templates) -> Variables:
        """Return the names that templates see."""
        raw = {name: self._chosen(name) for name in self.values}
        return Variables(raw, {"facts": facts}, templates, self._place)

    def counted(self, name: str) -> list[Origin]:
        """Return the origins that make the value of a var, the strongest first."""
        origins = self.values[name][::-1]
        return origins if self._is_merged(name) else origins[:1]

    def _is_merged(self, name: str) -> bool:
        given = self.values[name][-1].source == "given"  # which replaces all that files say
        return not given and self.merge.get(name, "first") != "first"

    def _chosen(self, name: str) -> Any:
        counted = self.counted(name)
        if not self._is_merged(name):
            return counted[0].value
        return Merged(strategy=self.merge[name], origins=tuple(counted))

    def _place(self, name: str) -> str:
        return self.values[name][-1].place


def gather(
    profile: Profile, facts: Facts, given: Mapping[str, Any], templates: Templates, read: Read
) -> Gathered:
    """Return the values of all vars: the profile's, those of the layers that exist, those given.

    Raises ProfileError with every problem found.
    """
    found = _Gatherer(profile, read)
    strong = {name: [Origin(value=value, source="given")] for name, value in given.items()}
    values = _joined(profile.values, strong)
    before = Gathered(values=values, merge=profile.merge, files={}, absent=[])
    names = before.variables(facts, templates)
    for layer in profile.layers:
        found.take(layer, templates, names)
    found.check(names.used())
    if found.problems:
        raise ProfileError(found.problems)
    return Gathered(
        values=_joined(profile.values, found.values, strong),
        merge=profile.merge,
        files=found.files,
        absent=found.absent,
    )


def _joined(*sources: Mapping[str, list[Origin]]) -> dict[str, list[Origin]]:
    joined: dict[str, list[Origin]] = {}
    for source in sources:
        for name, origins in source.items():
            joined.setdefault(name, []).extend(origins)
    return joined


class _Gatherer:
    def __init__(self, profile: Profile, read: Read) -> None:
        self.folder = profile.folder
        self.read = read
        self.values: dict[str, list[Origin]] = {}
        self.files: dict[str, bytes] = {}
        self.absent: list[str] = []
        self.problems: list[Problem] = []
        self._seen: set[str] = set()

    def take(self, layer: Layer, templates: Templates, names: Variables) -> None:
        """Read a layer, if it is there; each is weaker than those before it."""
        try:
            path = self._path(templates.value(layer.name, names))
            if path in self._seen:
                return
            self._seen.add(path)
            if len(self._seen) > _MOST:
                raise ConvergeError(f"more than {_MOST} layers")
            real, data = self.read(path)
        except MissingError:
            self.absent.append(path)
        except ConvergeError as error:
            self._problem(layer.document, layer.path, str(error))
        else:
            self.files[real] = data
            self._parse(data, path)

    def check(self, used: set[str]) -> None:
        """Refuse that a layer sets what the names of layers are made of."""
        for name in sorted(used & self.values.keys()):
            origin = self.values[name][-1]
            if origin.document:
                message = f"the name of a layer is made of `{name}`, so that no layer can set it"
                remedy = "set it in the profile, by CONVERGE_VAR_… or by --var"
                self._problem(origin.document, origin.path, message, remedy)

    def _path(self, name: Any) -> str:
        if not isinstance(name, str) or not name:
            raise ConvergeError(f"a layer is the name of a file, not {name!r}")
        path = os.path.normpath(os.path.join(self.folder, name))
        if os.path.isabs(name) or not path.startswith(self.folder.rstrip("/") + "/"):
            raise ConvergeError(
                f"the layer `{name}` is not below {self.folder}",
                "layers are relative paths and stay in the profile's folder",
            )
        return path

    def _parse(self, data: bytes, path: str) -> None:
        from converge.language import yamlfile

        try:
            document = yamlfile.load(data, path)
        except ProfileError as error:
            self.problems += error.problems
            return
        values = document.data
        if values is None:
            return
        if not isinstance(values, dict):
            self._problem(document, (), "a layer is a mapping of vars to values")
            return
        for name, value in values.items():
            message, remedy = name_problem(name)
            if name in _NO_VARS:
                message = f"a layer holds vars alone, and `{name}` is a key of a profile"
                remedy = "write `name: value` without `vars:`"
            if message:
                self._problem(document, (name,), message, remedy)
            origin = Origin(value=value, source="layer", document=document, path=(name,))
            self.values.setdefault(name, []).insert(0, origin)

    def _problem(
        self, document: Document, path: tuple[str | int, ...], message: str, remedy: str = ""
    ) -> None:
        self.problems.append(document.problem(path, message, remedy))
