"""The kind `package`: a package of the distribution, by apt, apk or dnf."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any, Literal

from converge import probe
from converge.provider import Change, Provider, Spec, State, Unmanageable
from converge_resources.packages import NEWEST, Backend, Found, Order, choose, matches

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from converge.fields import Doc, Matching
    from converge.system import ReadOnlySystem, System

_WEAKENING = ("--allow-unauthenticated", "--force", "--allow-remove-essential", "--nogpgcheck",
              "--allow-untrusted", "--allow-insecure", "--no-gpg-check", "-o", "-c", "--option",
              "--config", "--setopt", "--root", "--installroot")  # fmt: skip


class PackageSpec(Spec):
    """A package of the distribution."""

    name: Annotated[
        str,
        Matching(r"[A-Za-z0-9][A-Za-z0-9+._:-]*", "a package name"),
        Doc("Name of the package; apt takes `name:architecture` too."),
    ]
    state: Annotated[
        Literal["present", "absent", "purged", "latest"],
        Doc("present: in any version; latest: in the newest; purged: with its configuration gone."),
    ] = "present"
    version: Annotated[
        Annotated[str, Matching(r"[A-Za-z0-9*?][A-Za-z0-9.+:~*?_-]*", "a version or a glob")]
        | None,
        Doc("The version, exact or with a glob (`1.2*`)."),
    ] = None
    hold: Annotated[bool | None, Doc("Whether it is kept at its version (apt-mark hold).")] = None
    recommends: Annotated[bool, Doc("Install what it recommends too.")] = False
    release: Annotated[
        Annotated[str, Matching(r"[A-Za-z0-9][A-Za-z0-9._/-]*", "a release")] | None,
        Doc("The release to prefer (apt-get -t)."),
    ] = None
    conffiles: Annotated[
        Literal["keep", "replace"],
        Doc("What becomes of configuration files that were changed here."),
    ] = "keep"
    options: Annotated[list[str], Doc("More options for the installer.")] = []  # noqa: RUF012  never changed

    def problems(self) -> Iterable[tuple[str, str]]:
        """A version goes with `present` alone; options must not weaken apt's own checks."""
        if self.version is not None and self.state != "present":
            yield "version", f"a `version` makes no sense with `state: {self.state}`"
        for option in self.options:
            if not option.startswith("-") or "\n" in option or option == "--":
                yield "options", f"{option!r} is not an option"
            elif option.startswith(_WEAKENING):
                yield "options", f"{option!r} is refused: it weakens or redirects the installer"


class PackageState(State):
    """A package: dpkg's word for its status, the version as declared where it holds."""

    status: str
    version: str | None = None
    held: bool | None = None


class PackageProvider(Provider[PackageSpec, PackageState]):
    """Reads and changes packages, all of a wave in one transaction."""

    kind = "package"
    spec = PackageSpec
    brings_files = True

    def desired(self, spec: PackageSpec) -> PackageState | None:
        """Return the package that is declared."""
        if spec.state in ("absent", "purged"):
            return None
        version = NEWEST if spec.state == "latest" else spec.version
        return PackageState(status="installed", version=version, held=spec.hold)

    def inspect(
        self, specs: Sequence[PackageSpec], system: ReadOnlySystem
    ) -> Mapping[str, PackageState | Unmanageable]:
        """Read the database once; ask what is newest only where `latest` is declared."""
        backend = choose(system)
        if backend is None:
            return {}
        if backend.reader and system.which(backend.reader) is None:
            reason = f"{backend.reader} is not here to read {backend.database(system)}"
            return {spec.name: Unmanageable(reason=reason) for spec in specs}
        known = backend.read(system, [spec.name for spec in specs])
        newest = [s.name for s in specs if s.state == "latest" and _installed(known.get(s.name))]
        old = (
            backend.outdated(system, newest) if newest and backend.present(system) else set(newest)
        )
        states = {spec.name: _state(spec, known.get(spec.name), old) for spec in specs}
        return {name: state for name, state in states.items() if state is not None}

    def apply(self, changes: Sequence[Change[PackageSpec, PackageState]], system: System) -> None:
        """Install, remove, purge and hold, all together."""
        backend = choose(system)
        if changes and backend is not None:
            backend.change(system, [_order(change) for change in changes])

    def obstacles(
        self, changes: Sequence[Change[PackageSpec, PackageState]], system: ReadOnlySystem
    ) -> Mapping[str, Unmanageable]:
        """Say why no package can be changed here: one reason for all."""
        reason = _obstacle(choose(system), system)
        return {change.spec.name: reason for change in changes} if reason else {}


def _installed(found: Found | None) -> bool:
    return found is not None and found.status == "installed"


def _state(spec: PackageSpec, found: Found | None, old: Any) -> PackageState | None:
    gone = ("not-installed",) if spec.state == "purged" else ("not-installed", "config-files")
    if found is None or found.status in gone:
        return None
    version = found.version
    if spec.state == "latest" and found.status == "installed" and spec.name not in old:
        version = NEWEST
    elif spec.version is not None and matches(spec.version, version):
        version = spec.version
    return PackageState(status=found.status, version=version, held=found.held)


def _order(change: Change[PackageSpec, PackageState]) -> Order:
    spec = change.spec
    if change.after is None:
        action = "purge" if spec.state == "purged" else "remove"
    else:
        action = "install" if change.wants("status") or change.wants("version") else ""
    return Order(
        name=spec.name,
        action=action,
        version=NEWEST if spec.state == "latest" else spec.version,
        hold=spec.hold if change.wants("held") else None,
        overrides_hold=spec.hold is False or spec.version is not None,
        recommends=spec.recommends,
        options=tuple(spec.options),
        release=spec.release,
        conffiles=spec.conffiles,
    )


def _obstacle(backend: Backend | None, system: ReadOnlySystem) -> Unmanageable | None:
    if system.prefixed and not system.which("apt-get"):
        return Unmanageable(
            reason="no program is run below --root", remedy="install packages from inside"
        )
    if backend is None:
        return Unmanageable(
            reason="there is no package database of apt, apk or dnf here",
            remedy="install it when the image is built",
        )
    if not backend.present(system):
        return Unmanageable(
            reason=f"{backend.tool} is not here", remedy="install it when the image is built"
        )
    if system.uid != 0 and not system.prefixed:
        return Unmanageable(
            reason=f"{backend.name} needs root, and this is uid {system.uid}",
            remedy="run as root, or install it when the image is built",
        )
    return probe.writable(system, backend.database(system) or "/")
