"""What goes before what: references as declared, dependencies as implied, and who owns what."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from converge.catalog import Resource
from converge.errors import close_match
from converge.language import graph, secret_references
from converge.record import Record

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable, Mapping, Sequence

    from converge.kinds import AnyProvider
    from converge.language.common import Common
    from converge.language.profile import Declaration
    from converge.provider import Spec


class Compiled(Record):
    """One resource between declaration and catalog. `spec` is None where its `when` is false.

    `item` says which item of a `for_each` it is, and is empty without one.
    """

    id: str
    declaration: Declaration
    common: Common
    provider: AnyProvider
    spec: Any
    item: str = ""

    def claims(self) -> Iterable[str]:
        """Return what it owns alone; nothing where its `when` is false."""
        return () if self.spec is None else self.provider.claims(self.spec)


def link(
    compiled: Mapping[str, Compiled], problem: Callable[..., None], failed: Collection[str] = ()
) -> list[Resource]:
    """Resolve references, find the order, and return the resources wave by wave.

    What is wrong goes to `problem`; the result is then of no use. `failed` are the ids of resources
    that are declared but wrong; an empty one stands for any id.
    """
    links = Links(compiled, problem, failed)
    try:
        order = graph.waves(list(compiled), links.after)
    except graph.CycleError as error:
        first = compiled[error.cycle[0]]
        message = f"a cycle, in which each goes before the next: {error}"
        problem(first.declaration, first.id, (), message, "remove one `require` or the like")
        return []
    return [
        _resource(compiled[name], wave, links) for wave, names in enumerate(order) for name in names
    ]


def _resource(one: Compiled, wave: int, links: Links) -> Resource:
    line, _ = one.declaration.place()
    return Resource(
        id=one.id,
        kind=one.provider.kind,
        spec={} if one.spec is None else links.adopted(one).as_dict(),
        file=one.declaration.document.file,
        line=line,
        wave=wave,
        after=tuple(sorted(links.after[one.id])),
        notify=tuple(sorted(links.notify[one.id])),
        tags=tuple(one.common.tags),
        noop=one.common.noop,
        phase=tuple(one.common.phase or one.provider.phases),
        on_unmanageable=one.common.on_unmanageable,
        selected=one.spec is not None,
    )


class Links:
    """The edges between compiled resources; what is wrong goes to `problem`.

    `after` maps an id to the ids that go before it, `notify` to those it notifies.
    """

    def __init__(
        self,
        compiled: Mapping[str, Compiled],
        problem: Callable[..., None],
        failed: Collection[str] = (),
    ) -> None:
        self.compiled = compiled
        self._failed = failed
        self._problem = problem
        self.after: dict[str, set[str]] = {name: set() for name in compiled}
        self.notify: dict[str, set[str]] = {name: set() for name in compiled}
        self._absent = {
            name
            for name, one in compiled.items()
            if one.spec and one.provider.desired(secret_references.blank(one.spec)) is None
        }
        claims = self._claim()
        self._paths = [path for kind, path, _ in map(_parsed, claims) if kind in ("path", "part")]
        self._wished: list[tuple[str, str]] = []
        for one in compiled.values():
            self._declared(one)
            self._implied(one)
        for name, other in self._wished:
            if not self._leads(name, other):
                self.after[name].add(other)

    def adopted(self, one: Compiled) -> Spec:
        """Return the spec, with what it must know of its neighbours' paths."""
        spec: Spec = one.provider.adopt(one.spec, self._paths)
        return spec

    def _claim(self) -> dict[str, str]:
        claims: dict[str, str] = {}
        for name, one in self.compiled.items():
            for claim in one.claims():
                other = claims.setdefault(claim, name)
                if other != name:
                    line, _ = self.compiled[other].declaration.place()
                    message = f"{other} (line {line}) manages the same {claim.partition(':')[0]}"
                    self._wrong(one, (), message, "remove one of them")
        self._parts(claims)
        return claims

    def _parts(self, claims: Mapping[str, str]) -> None:
        """A file whose whole content one resource declares has no parts that are another's."""
        for claim, name in claims.items():
            kind, path, _ = _parsed(claim)
            whole = claims.get(f"content:{path}") if kind == "part" else None
            if whole is not None:
                line, _ = self.compiled[whole].declaration.place()
                self._wrong(
                    self.compiled[name], (),
                    f"{whole} (line {line}) declares the whole content of {path}",
                    "put it into that content, or set `replace: false` there",
                )  # fmt: skip

    def _declared(self, one: Compiled) -> None:
        common = one.common
        for attribute, references in (
            ("require", common.require), ("before", common.before),
            ("notify", common.notify), ("subscribe", common.subscribe),
        ):  # fmt: skip
            for other in self._references(one, attribute, references):
                first, second = (
                    (one.id, other) if attribute in ("before", "notify") else (other, one.id)
                )
                self.after[second].add(first)
                if attribute in ("notify", "subscribe"):
                    self.notify[first].add(second)

    def _references(
        self, one: Compiled, attribute: str, references: str | Sequence[str]
    ) -> list[str]:
        found = []
        for other in [references] if isinstance(references, str) else references:
            if other == one.id:
                self._wrong(one, (attribute,), f"`{attribute}` names the resource itself")
            elif other not in self.compiled:
                if other in self._failed or "" in self._failed:
                    continue
                remedy = close_match(other, self.compiled) or "write `kind:name`, as it is declared"
                if ", " in other:
                    remedy = f"write several as a list: [{other}]"
                self._wrong(one, (attribute,), f"`{attribute}`: there is no {other}", remedy)
            else:
                found.append(other)
        return found

    def _implied(self, one: Compiled) -> None:
        """Add what the kind implies; what is to be absent goes the other way round."""
        for other in self._needs(one) if one.spec else ():
            if other not in self.compiled or other == one.id:
                continue
            if not self.compiled[other].provider.needed:
                turned = {one.id, other} <= self._absent
                self._wished.append((other, one.id) if turned else (one.id, other))
            elif other not in self._absent:
                if one.id not in self.after[other]:  # a declared order the other way wins
                    self.after[one.id].add(other)
            elif one.id in self._absent:
                self.after[other].add(one.id)
            else:
                self._wrong(
                    one, (), f"needs {other}, which is declared absent", "declare one of them so"
                )

    def _leads(self, first: str, last: str) -> bool:
        """Tell whether one goes before the other, by whatever is between them."""
        seen, todo = {last}, [last]
        while todo and first not in seen:
            more = self.after[todo.pop()] - seen
            seen |= more
            todo += more
        return first in seen

    def _needs(self, one: Compiled) -> list[str]:
        """Return the ids that a resource goes after if they are there: the files of its secrets too."""
        files = secret_references.files(secret_references.references(one.spec.as_dict()))
        return [*one.provider.depends(one.spec), *(f"file:{path}" for path in files)]

    def _wrong(self, one: Compiled, place: tuple[str, ...], message: str, remedy: str = "") -> None:
        self._problem(one.declaration, one.id, place, message, remedy)


def _parsed(claim: str) -> tuple[str, str, str]:
    """Return (`path`, path, ""), (`content`, path, "") or (`part`, path, which part) of a claim."""
    kind, _, rest = claim.partition(":")
    path, _, part = rest.partition("\0")
    return kind, path, part
