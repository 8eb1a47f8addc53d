"""Changing the trust store: by the family's own program, in the bundle itself, or beside it."""

from __future__ import annotations

from converge.errors import ApplyError
from converge.provider import Unmanageable, each
from converge_resources.certificates import pem
from converge_resources.certificates.store import EDIT, TOOL, read_aside, write_aside

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

    from converge.provider import Change
    from converge.system import System
    from converge_resources.ca_certificate import CaCertificateSpec, CaCertificateState
    from converge_resources.certificates.store import Store

    Changes = Sequence[Change[CaCertificateSpec, CaCertificateState]]

_PATIENCE = 120.0  # seconds that the family's program may take, with all its hooks


def apply(changes: Changes, system: System, store: Store) -> None:
    """Make all these changes. Raises BatchError, ApplyError, OSError."""
    way = store.way()
    if isinstance(way, Unmanageable):
        raise ApplyError(way.reason, way.remedy)
    if way == TOOL:
        _by_tool(changes, system, store)
    elif way == EDIT:
        _in_bundle(changes, system, store)
    else:
        path = store.aside() or ""
        text = read_aside(system, path) or store.text
        write_aside(system, path, _edited(text, changes, store))


def _by_tool(changes: Changes, system: System, store: Store) -> None:
    """Write the anchors, then have the bundle made: once for all."""
    program, family = store.program(), store.family
    if program is None or family is None:
        raise ApplyError("the program that makes the bundle has gone")
    fresh = any(
        change.after is None or store.anchored(change.spec.name) not in ("", change.spec.body)
        for change in changes
    )
    try:
        each(changes, lambda change: _anchor(change, system, store))
    finally:
        argv = [program, *family.arguments, *(family.fresh if fresh else ())]
        system.run(argv, timeout=_PATIENCE).check()


def _in_bundle(changes: Changes, system: System, store: Store) -> None:
    content = _edited(store.text, changes, store)
    each(
        [change for change in changes if store.may_anchor(change.spec.name)],
        lambda change: _anchor(change, system, store),
    )
    if content != store.text:
        backup = any(change.spec.backup for change in changes)
        system.write(store.bundle, content.encode(errors="surrogateescape"), backup=backup)


def _anchor(
    change: Change[CaCertificateSpec, CaCertificateState], system: System, store: Store
) -> None:
    """Write or remove one certificate in the directory of anchors."""
    if store.family is None:
        return
    spec, path = change.spec, store.family.anchor(change.spec.name)
    if change.after is None:
        system.remove(path, backup=spec.backup)
    elif store.anchored(spec.name) != spec.body:
        content = pem.wrapped(spec.body).encode()
        system.write(path, content, mode=0o644, backup=spec.backup)


def _edited(text: str, changes: Changes, store: Store) -> str:
    """Return a bundle with these changes made, and without what was kept under the same names."""
    for change in changes:
        for old in filter(None, (change.spec.body, store.anchored(change.spec.name))):
            text = pem.removed(text, old)
        if change.after is not None:
            text = pem.added(text, change.spec.body)
    return text
