"""What is declared has to be valid, and what a run would find in sync; else it is said why not."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from converge import kinds
from converge.diff import difference
from converge.inspection import explain
from converge.language import protect
from converge.language.models import validate
from converge.provider import Unmanageable

if TYPE_CHECKING:
    from collections.abc import Iterable

    from converge.declared import Declared
    from converge.provider import Spec
    from converge.system import ReadOnlySystem


class Checked:
    """Resources, each with a `reason` where it cannot stand in the profile."""

    def __init__(self, system: ReadOnlySystem, own: list[str]) -> None:
        self._system = system
        self._own = own
        self._owners: dict[str, str] = {}

    def check(self, resources: Iterable[Declared]) -> list[Declared]:
        """Return the resources, kinds together as they came."""
        found = list(resources)
        specs: dict[int, Spec] = {}
        for place, one in enumerate(found):
            if one.reason:
                continue
            spec, reason = self._spec(one)
            if spec is None:
                found[place] = one.replace(reason=reason)
            else:
                specs[place] = spec
        for kind in dict.fromkeys(found[place].kind for place in specs):
            places = [place for place in specs if found[place].kind == kind]
            try:
                live = kinds.load(kind).inspect([specs[place] for place in places], self._system)
            except Exception as error:  # noqa: BLE001  as in a run, which it must not end
                reasons = dict.fromkeys(places, f"it cannot be read: {explain(error)}")
            else:
                reasons = {place: _differs(kind, specs[place], live) for place in places}
            for place, reason in reasons.items():
                found[place] = found[place].replace(reason=reason)
        return found

    def _spec(self, one: Declared) -> tuple[Spec | None, str]:
        provider = kinds.load(one.kind)
        spec, problems = validate(provider.spec, {"name": one.name, **one.attributes})
        if spec is None:
            return None, "it cannot be declared: " + "; ".join(text for _, text in problems)
        wrong = protect.problem(
            one.kind, one.attributes.get("state"), spec.name, spec.as_dict(), self._own
        )
        if wrong:
            return None, wrong
        name = f"{one.kind}:{spec.name}"
        claims = dict.fromkeys((name, *provider.claims(spec)))
        taken = [self._owners[claim] for claim in claims if claim in self._owners]
        if taken:
            return None, f"{taken[0]} is declared already, for the same thing"
        self._owners |= dict.fromkeys(claims, name)
        return spec, ""


def _differs(kind: str, spec: Spec, live: Any) -> str:
    """Return why a run would not find it in sync; empty: it would."""
    before = live.get(spec.name)
    if isinstance(before, Unmanageable):
        return f"it cannot be managed here: {before.reason}"
    change = difference(f"{kind}:{spec.name}", spec, before, kinds.load(kind).desired(spec))
    if change is None:
        return ""
    if before is None:
        return "it is not there"
    names = ", ".join(one.field for one in change.fields)
    return f"the kind {kind} cannot declare it just as it is (a run would change: {names})"
