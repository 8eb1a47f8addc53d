"""From declarations to resources: each name, and each item of a `for_each`, rendered and validated."""

from __future__ import annotations

import hashlib
import os
from functools import partial
from typing import TYPE_CHECKING, Any

from converge import kinds
from converge.errors import ConvergeError, Problem, ProfileError
from converge.language import hints, protect, secret_references, template_files
from converge.language.instances import instances
from converge.language.links import Compiled

if TYPE_CHECKING:
    from collections.abc import Iterable

    from converge.kinds import AnyProvider
    from converge.language.instances import Instance
    from converge.language.profile import Declaration, Profile, Read
    from converge.language.template import Templates, Variables
    from converge.provider import Spec

_MOST_RESOURCES = 100_000
_RENDERED_APART = ("when", "for_each")


class Compiler:
    """What is wrong goes to `problems`; what is right is in `compiled`, by id."""

    def __init__(
        self, profile: Profile, templates: Templates, names: Variables, read: Read, own: list[str]
    ) -> None:
        self.profile = profile
        self.templates = templates
        self.names = names
        self.own = own
        self.problems: list[Problem] = []
        self.compiled: dict[str, Compiled] = {}
        self.failed: set[str] = set()  # ids that are declared but wrong; "" for any
        self.sources: dict[str, str] = {}
        self.notes: list[str] = []  # what is wrong with what packages declare
        self._refused: set[str] = set()
        self._read = read
        self._told: set[tuple[str, int, int, str]] = set()

    def stop_if_wrong(self) -> None:
        """Raise ProfileError if there is any problem."""
        if self.problems:
            raise ProfileError(self.problems)

    def add(self, declaration: Declaration) -> None:
        """Compile one declaration, which may name several resources."""
        try:
            provider = kinds.load(declaration.kind)
        except KeyError:
            self._unknown_kind(declaration)
            return
        for instance in instances(declaration, self.templates, self.names, self._unnamed):
            if len(self.compiled) >= _MOST_RESOURCES:
                message = f"the profile has more than {_MOST_RESOURCES} resources"
                self.problem(declaration, "", (), message)
                raise ProfileError(self.problems)
            self._add_one(declaration, provider, instance)

    def add_imported(self, declarations: Iterable[Declaration]) -> None:
        """Compile what packages declare, but for what the profile itself declares or contradicts."""
        own = {claim for one in self.compiled.values() for claim in one.claims()}
        ours = set(self.compiled)
        for declaration in declarations:
            if f"{declaration.kind}:{declaration.names[0]}" not in ours:
                self.add(declaration)
        for name in set(self.compiled) - ours:
            if name in self._refused or not own.isdisjoint(self.compiled[name].claims()):
                del self.compiled[name]

    def _unnamed(self, *problem: Any) -> None:
        self.failed.add("")
        self.problem(*problem)

    def _unknown_kind(self, declaration: Declaration) -> None:
        remedy = hints.kind(declaration.kind, declaration.attributes, kinds.names())
        self.failed |= {f"{declaration.kind}:{name}" for name in declaration.names}
        message = f"unknown kind `{declaration.kind}`"
        self.problem(declaration, "", (declaration.kind,), message, remedy)

    def _add_one(self, declaration: Declaration, provider: AnyProvider, instance: Instance) -> None:
        from converge.language.common import Common

        label = f"{declaration.kind}:{instance.name}"
        given = {k: v for k, v in declaration.attributes.items() if k not in _RENDERED_APART}
        own = {k: v for k, v in given.items() if k not in Common.field_names}
        shared = {k: v for k, v in given.items() if k in Common.field_names}
        if not self._selected(declaration, label, instance):
            common, spec = Common(), None
        else:
            common = self._validate(declaration, label, Common, shared, instance)
            spec = self._validate(declaration, label, provider.spec, own, instance, named=True)
            label = f"{declaration.kind}:{spec.name}" if spec else label
            spec = self._resolve(declaration, label, provider, spec) if spec else None
            if common is None or spec is None:
                self.failed.add(label)
                return
        made = Compiled(
            id=label, declaration=declaration, common=common, provider=provider, spec=spec,
            item=instance.item,
        )  # fmt: skip
        if label in self.compiled:
            self._duplicate(made, instance.place, self.compiled[label])
            return
        self.compiled[label] = made

    def _selected(self, declaration: Declaration, label: str, instance: Instance) -> bool:
        condition = declaration.attributes.get("when", True)
        try:
            return self.templates.condition(condition, instance.names)
        except ConvergeError as error:
            self.problem(declaration, label, ("when",), str(error))
            return True

    def _validate(
        self,
        declaration: Declaration,
        label: str,
        model: type[Any],
        attributes: dict[str, Any],
        instance: Instance,
        *,
        named: bool = False,
    ) -> Any:
        """Render and validate attributes; None (and problems) if they are wrong."""
        from converge.language.common import Common
        from converge.language.models import validate

        known = {*model.field_names, *Common.field_names} - {"name"}
        data: dict[str, Any] = {"name": instance.name} if named else {}
        wrong = "name" in attributes
        if wrong:
            remedy = f"write `- {declaration.kind}: NAME`"
            self.problem(declaration, label, ("name",), "unknown attribute `name`", remedy)
        names = secret_references.names(model.field_names, attributes, instance.names)
        render = partial(self.templates.value, names=names)
        for key, raw in attributes.items():
            try:
                data.setdefault(key, render(raw))
                template_files.fill_in(model, key, data, attributes, self._read_source, render)
            except ConvergeError as error:
                wrong = True
                inner = getattr(error, "path", ())
                self.problem(declaration, label, (key, *inner), str(error))
        if wrong:
            return None
        spec, problems = validate(model, data)
        for where, message in problems:
            message, remedy = hints.value(message, where, declaration.kind, known, attributes)
            if where and where[0] == "name":
                where = instance.place
            self.problem(declaration, label, where, message, remedy)
        return spec

    def _resolve(
        self, declaration: Declaration, label: str, provider: AnyProvider, spec: Spec
    ) -> Spec | None:
        problem = protect.problem(
            declaration.kind, getattr(spec, "state", None), spec.name, spec.as_dict(), self.own
        )
        if problem:
            self.problem(declaration, label, (), problem)
        try:
            return provider.resolve(spec, self._read_source)  # type: ignore[no-any-return]
        except ConvergeError as error:
            place = ("source",) if "source" in declaration.attributes else ()
            self.problem(declaration, label, place, str(error))
            return None

    def _read_source(self, name: str) -> tuple[str, bytes]:
        if "://" in name:
            remedy = "a source lies in the profile's folder; what a URL gives is a `download`"
            raise ConvergeError(f"`{name}` is no path", remedy)
        path = os.path.normpath(os.path.join(self.profile.folder, name))
        if not path.startswith(self.profile.folder.rstrip("/") + "/"):
            raise ConvergeError(
                f"`{name}` is not below {self.profile.folder}",
                "sources are relative paths and stay in the profile's folder",
            )
        real, data = self._read(path)
        self.sources[real] = hashlib.sha256(data).hexdigest()
        return real, data

    def _duplicate(self, made: Compiled, place: tuple[str | int, ...], other: Compiled) -> None:
        declaration = made.declaration
        if declaration.imported:
            return  # what comes first counts
        if other.declaration is declaration and made.item != other.item:
            message = f"`for_each` gives this name twice, at {other.item} and at {made.item}"
            remedy = "each item needs a name of its own, such as one with {{ item }}"
            self.problem(declaration, made.id, place, message, remedy)
            return
        line, _ = other.declaration.place()
        where = f"{other.declaration.document.file}:{line}"
        self.problem(
            declaration, made.id, place, f"already declared at {where}", "remove one of them"
        )

    def problem(
        self,
        declaration: Declaration,
        resource: str,
        place: tuple[str | int, ...],
        message: str,
        remedy: str = "",
    ) -> None:
        """Note one more problem, at a place of the declaration."""
        path = ("resources", declaration.index, *place)
        found = declaration.document.problem(path, message, remedy, resource)
        if declaration.imported:  # nobody here can put it right: it is left out
            self._refused.add(resource)
            self.notes.append(str(found))
            return
        mark = (found.file, found.line, found.column, message)
        if mark not in self._told:  # of another item of a `for_each`
            self._told.add(mark)
            self.problems.append(found)
