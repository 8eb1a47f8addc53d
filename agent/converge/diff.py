"""The difference between what is and what is declared: pure, generic, written once."""

from __future__ import annotations

from converge.provider import Change, FieldChange, Spec, State

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any


def difference(
    resource: str, spec: Spec, before: State | None, after: State | None
) -> Change[Any, Any] | None:
    """Return the change that makes `after` of `before`, None if they agree.

    Only fields that `after` mentions (is not None) count.
    """
    if after is None:
        return None if before is None else Change(id=resource, spec=spec, before=before, after=None)
    fields = []
    for name in after.field_names:
        wanted = getattr(after, name)
        found = None if before is None else getattr(before, name)
        if wanted is not None and found != wanted:
            fields.append(FieldChange(field=name, before=found, after=wanted))
    if before is not None and not fields:
        return None
    return Change(id=resource, spec=spec, before=before, after=after, fields=tuple(fields))
