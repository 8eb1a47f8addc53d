"""The kind `package`: software of the distribution, by its own package manager."""

from __future__ import annotations

from converge import probe
from converge.errors import ApplyError, CannotManageError
from converge.provider import Change, Provider, Spec, State, Unmanageable
from converge_resources import packages
from converge_resources.packages import NEWEST, Order, matches

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence
    from typing import Annotated, Literal

    from converge.declared import Asked, Declared
    from converge.fields import Doc, Line, Matching
    from converge.system import ReadOnlySystem, System
    from converge_resources.packages import Backend, Found

_GONE = ("absent", "purged")


class PackageSpec(Spec):
    """A package of the distribution (apt, apk or dnf)."""

    name: Annotated[
        str,
        Matching(r"[A-Za-z0-9][A-Za-z0-9+._-]{0,127}(:[a-z0-9-]{1,20})?", "a package name"),
        Doc("Name of the package; with apt also `name:architecture`."),
    ]
    state: Annotated[
        Literal["present", "absent", "purged", "latest"],
        Doc("`purged` removes the configuration too; `latest` follows the repositories."),
    ] = "present"
    version: Annotated[
        Annotated[str, Matching(r"[0-9A-Za-z*?][0-9A-Za-z.+:~^_*?-]{0,127}", "a version")] | None,
        Doc("The version, exact or with `*` and `?`; a downgrade if need be."),
    ] = None
    hold: Annotated[
        bool | None, Doc("Keep it at its version when others upgrade; not managed if not given.")
    ] = None
    recommends: Annotated[bool, Doc("Install what it recommends too.")] = False
    options: Annotated[
        list[Line], Doc("More options for apt-get, apk or dnf; none that weaken its checks.")
    ] = []  # noqa: RUF012  a spec is frozen
    release: Annotated[
        Annotated[str, Matching(r"[A-Za-z0-9][A-Za-z0-9+.~/-]{0,63}", "a release")] | None,
        Doc("apt: take it from this release (`apt-get -t`)."),
    ] = None
    conffiles: Annotated[
        Literal["keep", "replace"],
        Doc("apt: what to do with a configuration file that was changed here and in the package."),
    ] = "keep"

    def problems(self) -> Iterable[tuple[str, str]]:
        """What is gone or latest has no version; options must not weaken the checks."""
        if self.version is not None and self.state != "present":
            yield "version", f"a `version` makes no sense with `state: {self.state}`"
        if self.version == NEWEST:
            yield "version", "use `state: latest`"
        if self.hold and self.state in _GONE:
            yield "hold", f"what is to be {self.state} cannot be held"
        if self.options:
            from converge_resources.packages.options import refusal

            for option in self.options:
                if why := refusal(option):
                    yield "options", f"{option!r} {why}"


class PackageState(State):
    """`status` is `installed`, or dpkg's word for what is not quite (`config-files`, …).

    `version` is as declared where that holds, `latest` if nothing newer is to be had.
    """

    status: str
    version: str | None = None
    held: bool | None = None


class PackageProvider(Provider[PackageSpec, PackageState]):
    """Reads and changes packages, all of a wave in one transaction."""

    kind = "package"
    withheld = {"run": "packages are not changed while the application runs"}  # noqa: RUF012
    spec = PackageSpec
    brings_files = True

    def watches(self, spec: PackageSpec) -> Iterable[str]:
        """Every change of a package changes the tool's database."""
        return [path for paths in packages.DATABASES.values() for path in paths]

    def desired(self, spec: PackageSpec) -> PackageState | None:
        """Return the declared state."""
        if spec.state in _GONE:
            return None
        version = NEWEST if spec.state == "latest" else spec.version
        return PackageState(status="installed", version=version, held=spec.hold)

    def inspect(
        self, specs: Sequence[PackageSpec], system: ReadOnlySystem
    ) -> Mapping[str, PackageState | Unmanageable]:
        """Read the database once; ask what is newest only for `state: latest`."""
        try:
            backend = packages.choose(system)
            found = backend.read(system, {spec.name for spec in specs}) if backend else {}
        except (OSError, ApplyError, CannotManageError) as error:
            unread = Unmanageable(reason=f"the package database cannot be read: {error}")
            return {spec.name: unread for spec in specs}
        states: dict[str, PackageState | Unmanageable] = {}
        for spec in specs:
            state = _state(spec, found.get(spec.name))
            if state is not None:
                states[spec.name] = state
        if backend:
            states.update(_newest(backend, specs, states, system))
        return states

    def rests_on(self, spec: PackageSpec) -> Iterable[str] | None:
        """Whatever a tool does shows in its database; what is newest is asked for in every run."""
        return None if spec.state == NEWEST else packages.rests_on()

    def apply(self, changes: Sequence[Change[PackageSpec, PackageState]], system: System) -> None:
        """Install, remove and hold in one batch."""
        if not changes:
            return
        backend = packages.choose(system)
        if backend is None:
            raise CannotManageError("no apt-get, apk or dnf is here")
        backend.change(system, [_order(change) for change in changes])

    def obstacles(
        self, changes: Sequence[Change[PackageSpec, PackageState]], system: ReadOnlySystem
    ) -> Mapping[str, Unmanageable]:
        """Say why no package can be changed here, or which cannot be held."""
        if not changes:
            return {}
        backend = packages.choose(system)
        obstacle = _obstacle(backend, system)
        if obstacle:
            return {change.spec.name: obstacle for change in changes}
        if backend is None or backend.holds:
            return {}
        no_hold = Unmanageable(
            reason=f"{backend.name} keeps no holds", remedy="declare a `version` instead"
        )
        return {c.spec.name: no_hold for c in changes if c.after is not None and c.after.held}

    def deletions(self, change: Change[PackageSpec, PackageState]) -> int:
        """A package that is removed counts as one; leftovers that are purged do not."""
        before = change.before
        return int(change.after is None and before is not None and before.status != "config-files")

    def declare(self, asked: Asked, system: ReadOnlySystem) -> Iterable[Declared]:
        """Tell of what was installed by name."""
        from converge_resources.adoption import packages

        return packages.declare(asked, system)


def _state(spec: PackageSpec, found: Found | None) -> PackageState | None:
    if found is None or found.status == "not-installed":
        return None
    if found.status == "config-files" and spec.state == "absent":
        return None
    version = found.version
    if spec.version is not None and matches(spec.version, version):
        version = spec.version
    return PackageState(status=found.status, version=version, held=found.held)


def _newest(
    backend: Backend,
    specs: Sequence[PackageSpec],
    states: Mapping[str, PackageState | Unmanageable],
    system: ReadOnlySystem,
) -> dict[str, PackageState | Unmanageable]:
    """Return the states, rewritten, of what is declared `latest` and is installed."""
    following = {}
    for spec in specs:
        state = states.get(spec.name)
        if spec.state != "latest" or not isinstance(state, PackageState):
            continue
        if state.status == "installed":
            following[spec.name] = state
    if not following:
        return {}
    try:
        outdated = backend.outdated(system, sorted(following))
    except (OSError, ApplyError, CannotManageError) as error:
        unknown = Unmanageable(reason=f"whether it is the newest cannot be told: {error}")
        return dict.fromkeys(following, unknown)
    return {n: s.replace(version=NEWEST) for n, s in following.items() if n not in outdated}


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
    if backend is None:
        return Unmanageable(
            reason="no apt-get, apk or dnf is here",
            remedy="install the package when the image is built",
        )
    if system.which(backend.tool) is None:
        if system.prefixed:
            return Unmanageable(
                reason=f"no program is run below --root {system.root}",
                remedy="run the agent inside that root",
            )
        return Unmanageable(
            reason=f"{backend.tool} is not here, only its database",
            remedy="install the package when the image is built",
        )
    if system.uid != 0:
        return Unmanageable(
            reason=f"{backend.name} needs root, and the agent is uid {system.uid}",
            remedy="run the agent as root, or install the package when the image is built",
        )
    return probe.writable(system, backend.database(system) or "/")
