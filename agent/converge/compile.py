"""Compiling: profile + vars + facts become a catalog, or every problem that stands in the way."""

from __future__ import annotations

import hashlib
import os
from typing import TYPE_CHECKING, Any

from converge import catalog, kinds, protect, references
from converge.errors import ConvergeError, Problem, ProfileError, close_match
from converge.instances import instances
from converge.links import Compiled, link

if TYPE_CHECKING:
    from collections.abc import Mapping

    from converge.facts import Facts
    from converge.instances import Instance
    from converge.kinds import AnyProvider
    from converge.profile import Declaration, Profile, Read
    from converge.provider import Spec
    from converge.template import Templates, Variables

_MOST_SHOWN = 50  # problems that one error lists
_MOST_RESOURCES = 100_000
_RENDERED_APART = ("when", "for_each")


def compile_profile(
    profile: Profile,
    facts: Facts,
    variables: Mapping[str, Any],
    read: Read,
    own: list[str],
    unmet: list[Problem] | None = None,
) -> catalog.Catalog:
    """Return the catalog of a profile. Raises ProfileError with every problem found.

    An assertion that does not hold is a problem, unless there is a list `unmet` to take it.
    `variables` (from flags and the environment) override the profile's. `read` gives a file of the
    profile's folder. `own` are the agent's own paths, which no resource may remove.
    """
    from converge import assertions, layers
    from converge.template import Templates

    templates = Templates()
    gathered = layers.gather(profile, facts, variables, templates, read)
    names = gathered.variables(facts, templates)
    assertions.enforce(profile.assertions, templates, names, unmet)
    compiler = _Compiler(profile, templates, names, read, own)
    for declaration in profile.declarations:
        compiler.add(declaration)
    compiler.stop_if_wrong()
    resources = link(compiler.compiled, compiler.problem)
    compiler.stop_if_wrong()
    return catalog.Catalog(
        profile=profile.name,
        source=profile.folder,
        resources=tuple(resources),
        inputs={
            "files": _digests(profile.files) | _digests(gathered.files) | compiler.sources,
            "absent": gathered.absent,
            "facts": facts.used(),
            "facts_files": facts.paths(),
        },
        secrets=references.of(resources),
    )


class _Compiler:
    def __init__(
        self, profile: Profile, templates: Templates, names: Variables, read: Read, own: list[str]
    ) -> None:
        self.profile = profile
        self.templates = templates
        self.names = names
        self.own = own
        self.problems: list[Problem] = []
        self.compiled: dict[str, Compiled] = {}
        self.sources: dict[str, str] = {}
        self._read = read
        self._told: set[tuple[str, int, int, str]] = set()

    def stop_if_wrong(self) -> None:
        """Raise ProfileError if there is any problem."""
        if self.problems:
            raise ProfileError(self.problems[:_MOST_SHOWN])

    def add(self, declaration: Declaration) -> None:
        """Compile one declaration, which may name several resources."""
        try:
            provider = kinds.load(declaration.kind)
        except KeyError:
            self._unknown_kind(declaration)
            return
        for instance in instances(declaration, self.templates, self.names, self.problem):
            if len(self.compiled) >= _MOST_RESOURCES:
                message = f"the profile has more than {_MOST_RESOURCES} resources"
                self.problem(declaration, "", (), message)
                self.stop_if_wrong()
            self._add_one(declaration, provider, instance)

    def _unknown_kind(self, declaration: Declaration) -> None:
        known = kinds.names()
        misplaced = [key for key in declaration.attributes if key in known]
        remedy = (
            f"the kind goes first: `- {misplaced[0]}: …`"
            if misplaced
            else close_match(declaration.kind, known) or f"the kinds are {', '.join(known)}"
        )
        message = f"unknown kind `{declaration.kind}`"
        self.problem(declaration, "", (declaration.kind,), message, remedy)

    def _add_one(self, declaration: Declaration, provider: AnyProvider, instance: Instance) -> None:
        from converge.common import Common

        label = f"{declaration.kind}:{instance.name}"
        given = {k: v for k, v in declaration.attributes.items() if k not in _RENDERED_APART}
        own = {k: v for k, v in given.items() if k not in Common.field_names}
        shared = {k: v for k, v in given.items() if k in Common.field_names}
        if not self._selected(declaration, label, instance):
            common, spec = Common(), None
        else:
            common = self._validate(declaration, label, Common, shared, instance)
            spec = self._validate(declaration, label, provider.spec, own, instance, named=True)
            if common is None or spec is None:
                return
            label = f"{declaration.kind}:{spec.name}"
            spec = self._resolve(declaration, label, provider, spec)
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
        from converge.common import Common
        from converge.models import validate

        known = {*model.field_names, *Common.field_names} - {"name"}
        data: dict[str, Any] = {"name": instance.name} if named else {}
        wrong = "name" in attributes
        if wrong:
            remedy = f"write `- {declaration.kind}: NAME`"
            self.problem(declaration, label, ("name",), "unknown attribute `name`", remedy)
        names = references.names(model.field_names, attributes, instance.names)
        for key, raw in attributes.items():
            try:
                data.setdefault(key, self.templates.value(raw, names))
            except ConvergeError as error:
                wrong = True
                inner = getattr(error, "path", ())
                self.problem(declaration, label, (key, *inner), str(error))
        if wrong:
            return None
        spec, problems = validate(model, data)
        for where, message in problems:
            remedy = close_match(str(where[0]), known) if "unknown attribute" in message else ""
            if where and where[0] == "name":
                where = instance.place
            self.problem(declaration, label, where, message, remedy)
        return spec

    def _resolve(
        self, declaration: Declaration, label: str, provider: AnyProvider, spec: Spec
    ) -> Spec:
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
            return spec

    def _read_source(self, name: str) -> tuple[str, bytes]:
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
        mark = (found.file, found.line, found.column, message)
        if mark not in self._told:  # of another item of a `for_each`
            self._told.add(mark)
            self.problems.append(found)


def _digests(files: Mapping[str, bytes]) -> dict[str, str]:
    return {path: hashlib.sha256(data).hexdigest() for path, data in files.items()}
