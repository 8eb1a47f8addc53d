"""What a kind that cannot tell by itself is asked: its `inspect`, of specs with a name alone."""

from __future__ import annotations

from typing import TYPE_CHECKING

from converge.declared import Declared
from converge.language.models import validate
from converge.provider import Unmanageable

if TYPE_CHECKING:
    from collections.abc import Iterator

    from converge.declared import Asked
    from converge.kinds import AnyProvider
    from converge.system import ReadOnlySystem


def from_states(provider: AnyProvider, asked: Asked, system: ReadOnlySystem) -> Iterator[Declared]:
    """Yield what `inspect` tells of specs with a name alone, where its fields are those of the spec."""
    if not asked.names:
        reason = "what there is cannot be listed: name it"
        yield Declared(kind=provider.kind, name="…", reason=reason)
    for name in asked.names:
        spec, problems = validate(provider.spec, {"name": name})
        reason = "" if spec else "; ".join(text for _, text in problems)
        state = provider.inspect([spec], system).get(spec.name) if spec else None
        if isinstance(state, Unmanageable):
            reason, state = state.reason, None
        if spec is None or state is None:
            reason = reason or "it is not there"
            yield Declared(kind=provider.kind, name=name, reason=reason)
            continue
        found = {
            field: list(value) if isinstance(value, tuple) else value
            for field, value in state.as_dict().items()
            if value is not None and field in spec.field_names and field not in state.secret
        }
        yield Declared(kind=provider.kind, name=name, attributes=found)
