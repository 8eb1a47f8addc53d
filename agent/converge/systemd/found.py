"""What was made of the lines: resources with the place they come from, and notes of the rest."""

from __future__ import annotations

import hashlib
import json
from typing import TYPE_CHECKING, Any

from converge.errors import Problem
from converge.language.places import TOP, Places, pack
from converge.language.profile import Declaration
from converge.language.template import literal
from converge.language.yamlfile import Document
from converge.record import Record

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from converge.systemd.files import Line


class Item(Record):
    """One resource, and the line that it comes from."""

    kind: str
    name: str
    attributes: dict[str, Any]
    line: Line


class Found:
    """Resources by id, in order; of two of one id the first counts. `paths`: the files read."""

    def __init__(self) -> None:
        self.items: dict[str, Item] = {}
        self.notes: list[str] = []
        self.paths: list[str] = []

    def add(self, line: Line, kind: str, name: str, attributes: dict[str, Any]) -> bool:
        """Add a resource; False if there is one of this id."""
        item = Item(kind=kind, name=name, attributes=attributes, line=line)
        return self.items.setdefault(f"{kind}:{name}", item) is item

    def note(self, line: Line, message: str, remedy: str = "") -> None:
        """Note what is not done of a line."""
        problem = Problem(
            message=message, file=line.file, line=line.number, column=1, remedy=remedy
        )
        self.notes.append(str(problem))

    def digest(self) -> str:
        """Return a digest of it all, by which it is seen that it would be made anew."""
        items = [
            [one.kind, one.name, one.attributes, one.line.file, one.line.number]
            for one in self.items.values()
        ]
        text = json.dumps([items, self.notes, self.paths])
        return hashlib.sha256(text.encode(errors="surrogateescape")).hexdigest()

    def inputs(self, names: Iterable[str], notes: list[str]) -> dict[str, Any]:
        """Return what a catalog keeps of it."""
        return {
            "names": list(names), "digest": self.digest(), "paths": self.paths,
            "notes": [*self.notes, *notes],
        }  # fmt: skip

    def declarations(self) -> Iterator[Declaration]:
        """Yield the resources as declarations, whose places are the lines."""
        files: dict[str, list[Item]] = {}
        for item in self.items.values():
            files.setdefault(item.line.file, []).append(item)
        for file, items in files.items():
            document = _document(file, items)
            for index, item in enumerate(items):
                yield Declaration(
                    kind=item.kind, names=[literal(item.name)], index=index, document=document,
                    attributes=literal(item.attributes), imported=True,
                )  # fmt: skip


def _document(file: str, items: list[Item]) -> Document:
    """Return a document in which each resource stands at its line."""
    data = {"resources": [{one.kind: one.name, **one.attributes} for one in items]}
    places, entries = Places(TOP), Places(TOP)
    places.keys, places.children = [TOP], [entries]
    for item, entry in zip(items, data["resources"], strict=True):
        at = pack(item.line.number, 1)
        here = Places(at)
        here.keys, here.children = [at] * len(entry), [at] * len(entry)
        entries.children.append(here)
    return Document(data=data, places=places, file=file)
