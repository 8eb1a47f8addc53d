"""Reading a profile: its YAML files, includes first, checked for shape but not for meaning."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

from converge import systemd
from converge.errors import ConvergeError, Problem, ProfileError, close_match
from converge.language import assertions, hints
from converge.language.merging import STRATEGIES
from converge.language.origins import Origin, name_problem
from converge.record import Record

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from converge.language.assertions import Assertion
    from converge.language.yamlfile import Document

    Read = Callable[[str], tuple[str, bytes]]  # path → (real path, content); raises ConvergeError

KEYS = ("profile", "description", "include", "vars", "layers", "merge", "assert", "resources")
_MOST_FILES = 200


class Declaration(Record):
    """One item of `resources` as it was written: its kind, names, attributes and place."""

    kind: str
    names: list[Any]
    attributes: dict[str, Any]
    index: int
    document: Document
    imported: bool = False  # from what packages declare (converge.systemd): others come before it

    def place(self, *path: str | int) -> tuple[int, int]:
        """Return (line, column) of an attribute, or of the nearest thing around it."""
        return self.document.place(("resources", self.index, *path))


class Layer(Record):
    """One item of `layers` as it was written: the name of a file, which may be a template."""

    name: str
    document: Document
    path: tuple[str | int, ...]


class Profile(Record):
    """All files of a profile, put together; resources in order.

    `values` has, of each var, a value from each file that sets it, weak to strong. `layers` are
    strong to weak. `merge` names the strategy of vars that are merged.
    """

    name: str
    folder: str
    values: dict[str, list[Origin]]
    layers: list[Layer]
    merge: dict[str, str]
    assertions: list[Assertion]
    declarations: list[Declaration]
    files: dict[str, bytes]  # real path → content, of every file read
    system: tuple[str, ...] = ()  # of converge.systemd.NAMES, what is included
    problems: tuple[Problem, ...] = ()


def load(path: str, read: Read) -> Profile:
    """Read a profile and all that it includes. Raises ProfileError if a file of it cannot be read.

    What else is wrong is in the profile's `problems`, so that the rest is looked at, too.
    """
    loader = _Loader(os.path.abspath(path), read)
    loader.load(loader.top)
    if loader.broken:
        raise ProfileError(loader.problems)
    return Profile(
        name=loader.name or os.path.basename(path).rpartition(".")[0],
        folder=loader.folder,
        values=loader.values,
        layers=loader.layers,
        merge=loader.merge,
        assertions=loader.assertions,
        declarations=loader.declarations,
        files=loader.files,
        system=tuple(dict.fromkeys(loader.system)),
        problems=tuple(loader.problems),
    )


class _Loader:
    def __init__(self, top: str, read: Read) -> None:
        self.top = top
        self.folder = os.path.dirname(top)
        self.read = read
        self.name = ""
        self.values: dict[str, list[Origin]] = {}
        self.layers: list[Layer] = []
        self.merge: dict[str, str] = {}
        self.assertions: list[Assertion] = []
        self.declarations: list[Declaration] = []
        self.files: dict[str, bytes] = {}
        self.system: list[str] = []
        self.problems: list[Problem] = []
        self.broken = False  # a file is not there, or no profile: what needs it would be wrong, too
        self._open: list[str] = []
        self._done: set[str] = set()

    def load(self, path: str) -> None:
        """Load one file, after those that it includes."""
        from converge.language import yamlfile

        real, text = self.read(path)
        self.files[real] = text
        try:
            document = yamlfile.load(text, path)
        except ProfileError as error:
            self.problems += error.problems
            self.broken = True
            return
        data = {} if document.data is None and path != self.top else document.data
        if not isinstance(data, dict):  # an empty file is rather cut off than meant
            said = "the file is empty" if data is None else "a profile is a mapping"
            self._problem(document, (), said, "begin with `profile: NAME`")
            self.broken = True
            return
        self._open.append(path)
        self._check_keys(document, data)
        for i, name in self._list(document, data, "include"):
            self._include(document, path, i, name)
        self._take(document, data, path)
        self._open.pop()
        self._done.add(path)

    def _check_keys(self, document: Document, data: dict[str, Any]) -> None:
        for key in data:
            if key not in KEYS:
                self._problem(document, (key,), f"unknown key `{key}`", hints.key(key, KEYS))

    def _take(self, document: Document, data: dict[str, Any], path: str) -> None:
        name = data.get("profile")
        if name is not None and not isinstance(name, str):
            self._problem(document, ("profile",), "`profile` is a name, a string")
        elif path == self.top:
            self.name = name or ""
        source = "profile" if path == self.top else "include"
        for variable, value in self._mapping(document, data, "vars"):
            origin = Origin(value=value, source=source, document=document, path=("vars", variable))
            self.values.setdefault(variable, []).append(origin)
        layers = [
            self._layer(document, i, text) for i, text in self._list(document, data, "layers")
        ]
        self.layers = [*layers, *self.layers]  # those of what is included are weaker
        for variable, strategy in self._mapping(document, data, "merge"):
            self.merge[variable] = self._strategy(document, variable, strategy)
        for i, item in self._list(document, data, "assert"):
            assertion, problems = assertions.parse(document, i, item)
            self.assertions += [assertion] if assertion else []
            self.problems += problems
        for i, item in self._list(document, data, "resources"):
            self._declare(document, i, item)

    def _layer(self, document: Document, i: int, name: Any) -> Layer:
        if not isinstance(name, str) or not name:
            said = "a layer is the name of a file, which may be a template"
            self._problem(document, ("layers", i), said)
        return Layer(name=str(name), document=document, path=("layers", i))

    def _strategy(self, document: Document, variable: str, strategy: Any) -> str:
        if strategy not in STRATEGIES:
            said, word = f"{strategy!r} is not one of {', '.join(STRATEGIES)}", str(strategy)
            self._problem(document, ("merge", variable), said, close_match(word, STRATEGIES))
        return str(strategy)

    def _include(self, document: Document, path: str, i: int, name: Any) -> None:
        place = ("include", i)
        if not isinstance(name, str) or "{{" in name or "{%" in name or not name:
            self._problem(document, place, "an include is the path of a file, without templates")
            return
        if name.startswith(systemd.PREFIX):
            self.system += systemd.known(name, lambda *two: self._problem(document, place, *two))
            return
        target = os.path.normpath(os.path.join(os.path.dirname(path), name))
        if os.path.isabs(name) or not target.startswith(self.folder.rstrip("/") + "/"):
            remedy = "includes are relative paths and stay in the profile's folder"
            said = f"`{name}` is not below {self.folder}"
            self._problem(document, place, said, hints.include(name) or remedy)
        elif target in self._open:
            way = [*self._open[self._open.index(target) :], target]
            chain = " → ".join(os.path.relpath(one, self.folder) for one in way)
            self._problem(document, place, f"`{name}` includes itself: {chain}")
        elif len(self.files) >= _MOST_FILES:
            self._problem(document, place, f"more than {_MOST_FILES} files")
        elif target not in self._done:
            try:
                self.load(target)
            except ConvergeError as error:
                self._problem(document, place, str(error), hints.include(name))
                self.broken = True

    def _declare(self, document: Document, i: int, item: Any) -> None:
        place = ("resources", i)
        if not isinstance(item, dict) or not item:
            self._problem(
                document, place, "a resource is a mapping", "write `- file: /etc/motd` and the like"
            )
            return
        kind, *_ = item
        names = item[kind] if isinstance(item[kind], list) else [item[kind]]
        if not names or any(isinstance(name, dict | list) or name is None for name in names):
            remedy = f"write `- {kind}: NAME`, and its attributes below" if item[kind] else ""
            said = f"`{kind}` needs a name, or a list of names"
            self._problem(document, (*place, kind), said, remedy)
            return
        attributes = {key: item[key] for key in item if key != kind}
        self.declarations.append(
            Declaration(kind=kind, names=names, attributes=attributes, index=i, document=document)
        )

    def _list(
        self, document: Document, data: dict[str, Any], key: str
    ) -> Iterator[tuple[int, Any]]:
        value = data.get(key)
        if isinstance(value, list):
            yield from enumerate(value)
        elif value is not None:
            self._problem(document, (key,), f"`{key}` must be a list", "begin each item with `- `")

    def _mapping(
        self, document: Document, data: dict[str, Any], key: str
    ) -> Iterator[tuple[str, Any]]:
        """Yield the entries of a mapping whose keys are names of vars."""
        value = data.get(key)
        if value is not None and not isinstance(value, dict):
            self._problem(
                document, (key,), f"`{key}` must be a mapping", "write lines of `name: value`"
            )
            return
        for name, item in (value or {}).items():
            message, remedy = name_problem(name)
            if message:
                self._problem(document, (key, name), message, remedy)
            yield name, item

    def _problem(
        self, document: Document, place: tuple[str | int, ...], message: str, remedy: str = ""
    ) -> None:
        self.problems.append(document.problem(place, message, remedy))
