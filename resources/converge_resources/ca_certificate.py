"""The kind `ca_certificate`: an authority that the machine trusts."""

from __future__ import annotations

import os

from converge.errors import ApplyError, BatchError, ConvergeError
from converge.provider import Change, Provider, Spec, State, Unmanageable, reading
from converge_resources.certificates import pem
from converge_resources.certificates import write as ca_write
from converge_resources.certificates.store import (
    ASIDE,
    EDIT,
    FAMILIES,
    TOOL,
    VARIABLE,
    Store,
    read_aside,
    watched,
)

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence
    from typing import Annotated, Literal

    from converge.fields import AbsolutePath, Doc, Line, Matching, Text
    from converge.system import ReadOnlySystem, System


class CaCertificateSpec(Spec):
    """A certificate in the machine's trust store."""

    name: Annotated[
        Annotated[str, Matching(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}", "a name for a file")],
        Doc("Name of the certificate's file, without a suffix."),
    ]
    state: Annotated[Literal["present", "absent"], Doc("Whether it is trusted.")] = "present"
    content: Annotated[Text | None, Doc("The certificate in PEM, exactly one.")] = None
    source: Annotated[
        Line | None, Doc("Path of a file below the profile's folder that holds it.")
    ] = None
    bundle: Annotated[
        AbsolutePath | None,
        Doc(
            "Where a bundle is written if the trust store cannot be changed; unset: a place is found."
        ),
    ] = None
    backup: Annotated[bool, Doc("Keep the old content of files that are changed here.")] = True

    def problems(self) -> Iterable[tuple[str, str]]:
        """Say what does not go together."""
        if self.content is not None and self.source is not None:
            yield "source", "`content` and `source` exclude each other"
        if self.state == "present" and self.content is None and self.source is None:
            yield "content", "which certificate? Give its `content` or `source`"
        wrong = None if self.content is None else pem.problem(self.content)
        if wrong:
            yield "content", wrong

    @property
    def body(self) -> str:
        """The certificate's base64, empty if it is not said."""
        return pem.body(self.content or "")


class CaCertificateState(State):
    """What is trusted. `certificate`: the SHA-256 of what is kept under the name."""

    certificate: str | None = None
    trusted: bool | None = None


class CaCertificateProvider(Provider[CaCertificateSpec, CaCertificateState]):
    """Adds authorities to the trust store, and takes them out of it."""

    kind = "ca_certificate"
    spec = CaCertificateSpec

    def desired(self, spec: CaCertificateSpec) -> CaCertificateState | None:
        """Return that the certificate is kept and trusted."""
        if spec.state == "absent":
            return None
        return CaCertificateState(certificate=pem.fingerprint(spec.body), trusted=True)

    def resolve(
        self, spec: CaCertificateSpec, read: Callable[[str], tuple[str, bytes]]
    ) -> CaCertificateSpec:
        """Take in the source. Raises ConvergeError if it is not one certificate."""
        if spec.source is None:
            return spec
        content = read(spec.source)[1].decode(errors="replace")
        wrong = pem.problem(content)
        if wrong:
            raise ConvergeError(f"{spec.source}: {wrong}")
        return spec.replace(content=pem.wrapped(pem.body(content)), source=None)

    def inspect(
        self, specs: Sequence[CaCertificateSpec], system: ReadOnlySystem
    ) -> Mapping[str, CaCertificateState | Unmanageable]:
        """Read the bundle once, and what is kept under each name."""
        stores: dict[str | None, Store] = {}

        def read(spec: CaCertificateSpec) -> CaCertificateState | Unmanageable | None:
            if spec.bundle not in stores:
                stores[spec.bundle] = Store(system, spec.bundle)
            return _read(spec, stores[spec.bundle], system)

        return reading(specs, read)

    def apply(
        self, changes: Sequence[Change[CaCertificateSpec, CaCertificateState]], system: System
    ) -> None:
        """Add and remove all certificates, then make the bundle once."""
        groups: dict[str | None, list[Change[CaCertificateSpec, CaCertificateState]]] = {}
        for change in changes:
            groups.setdefault(change.spec.bundle, []).append(change)
        errors: dict[str, Exception] = {}
        for aside, group in groups.items():
            try:
                ca_write.apply(group, system, Store(system, aside))
            except BatchError as error:
                errors |= error.errors
            except (OSError, ConvergeError) as error:
                errors |= {change.spec.name: error for change in group}
        if errors:
            raise BatchError(errors)

    def obstacles(
        self,
        changes: Sequence[Change[CaCertificateSpec, CaCertificateState]],
        system: ReadOnlySystem,
    ) -> Mapping[str, Unmanageable]:
        """Say where neither the trust store nor a bundle beside it can be written."""
        found = {}
        for change in changes:
            store = Store(system, change.spec.bundle)
            way = store.way()
            if isinstance(way, Unmanageable):
                found[change.spec.name] = way
            elif way == ASIDE and change.after is None:
                found[change.spec.name] = Unmanageable(
                    reason=f"the trust store {store.bundle} cannot be changed here",
                    remedy="remove it when the image is built",
                )
        return found

    def depends(self, spec: CaCertificateSpec) -> Iterable[str]:
        """The trust store has to be there."""
        return ("package:ca-certificates", "package:openssl")

    def claims(self, spec: CaCertificateSpec) -> Iterable[str]:
        """A name, and in whichever family this is what is kept under it."""
        yield f"ca_certificate:{spec.name}"
        yield from (f"path:{family.anchor(spec.name)}" for family in FAMILIES)

    def watches(self, spec: CaCertificateSpec) -> Iterable[str]:
        """The bundle may be made anew without it."""
        return watched(spec.name)


def _read(
    spec: CaCertificateSpec, store: Store, system: ReadOnlySystem
) -> CaCertificateState | Unmanageable | None:
    kept = store.anchored(spec.name)
    body = spec.body or kept
    trusted = store.trusts(body)
    if trusted and not kept and not (store.way() in (TOOL, EDIT) and store.may_anchor(spec.name)):
        kept = body  # the bundle is all that can be had here
    if spec.state == "present" and not trusted and store.way() == ASIDE:
        return _read_aside(spec, store, system)
    if not kept and not trusted:
        return None
    return CaCertificateState(
        certificate=pem.fingerprint(kept) if kept else "missing", trusted=trusted
    )


def _read_aside(
    spec: CaCertificateSpec, store: Store, system: ReadOnlySystem
) -> CaCertificateState | Unmanageable | None:
    """Look into the bundle that stands in for the trust store, and whether programs are told of it."""
    path = store.aside() or ""
    try:
        text = read_aside(system, path)
    except ApplyError as error:
        return Unmanageable(reason=error.args[0], remedy=error.remedy)
    bodies = {body for _, _, body in pem.bodies(text)}
    if spec.body not in bodies:
        return None
    if os.environ.get(VARIABLE) == system.real(path):
        return CaCertificateState(certificate=pem.fingerprint(spec.body), trusted=True)
    return Unmanageable(
        reason=f"{store.bundle} cannot be changed here; {path} holds what it holds, and this",
        remedy=f"start the container with {VARIABLE}={path}, or add it when the image is built",
    )
