"""The kind `timezone`: what time zone programs take for the local one (tzfile(5), localtime(5))."""

from __future__ import annotations

import os
import stat

from converge import probe
from converge.errors import ApplyError, close_match
from converge.provider import Change, Provider, Spec, State, Unmanageable, each, reading
from converge_resources.paths import trees

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence
    from typing import Annotated

    from converge.declared import Asked, Declared
    from converge.fields import Doc, Matching
    from converge.system import ReadOnlySystem, System

LINK = "/etc/localtime"
NAME_FILE = "/etc/timezone"  # Debian's: the name alone
ZONES = "/usr/share/zoneinfo"
_DEBIAN = "/etc/debian_version"
_MAGIC = b"TZif"  # RFC 9636, 3.1
_LIMIT = 1 << 20  # bytes; the largest zone has some thousand


class TimezoneSpec(Spec):
    """The local time zone."""

    name: Annotated[
        Annotated[
            str,
            Matching(
                r"[A-Za-z0-9][A-Za-z0-9_+-]*(/[A-Za-z0-9_+-]+){0,3}",
                "a time zone such as `Europe/Berlin` or `Etc/UTC`",
            ),
        ],
        Doc("Name of the zone, as in /usr/share/zoneinfo."),
    ]


class TimezoneState(State):
    """What /etc/localtime means, and what /etc/timezone says where that is kept."""

    zone: str
    written: str | None = None


class TimezoneProvider(Provider[TimezoneSpec, TimezoneState]):
    """Reads and sets the time zone."""

    kind = "timezone"
    spec = TimezoneSpec

    def desired(self, spec: TimezoneSpec) -> TimezoneState:
        """Return the zone that is declared."""
        return TimezoneState(zone=spec.name, written=spec.name)

    def inspect(
        self, specs: Sequence[TimezoneSpec], system: ReadOnlySystem
    ) -> Mapping[str, TimezoneState | Unmanageable]:
        """Read the link and the name; where both are right, a variable may still win over them."""
        return reading(specs, lambda spec: _read(spec, system))

    def apply(self, changes: Sequence[Change[TimezoneSpec, TimezoneState]], system: System) -> None:
        """Set the link and the name, if there is such a zone."""
        each(changes, lambda change: _apply(change, system))

    def obstacles(
        self, changes: Sequence[Change[TimezoneSpec, TimezoneState]], system: ReadOnlySystem
    ) -> Mapping[str, Unmanageable]:
        """Say where there is no time zone data, or a mount stands for it."""
        return trees.probing(changes, lambda change: _obstacle(change, system))

    def depends(self, spec: TimezoneSpec) -> Iterable[str]:
        """The zones come in a package."""
        return ("package:tzdata",)

    def claims(self, spec: TimezoneSpec) -> Iterable[str]:
        """There is one time zone, and these are its files."""
        return (f"path:{LINK}", f"path:{NAME_FILE}")

    def declare(self, asked: Asked, system: ReadOnlySystem) -> Iterable[Declared]:
        """Tell of the time zone."""
        from converge_resources.adoption import zones

        return zones.declare(asked, system)


def _read(spec: TimezoneSpec, system: ReadOnlySystem) -> TimezoneState | Unmanageable:
    zone = _zone(spec, system)
    written = system.text(NAME_FILE).strip() if _keeps_name(system) else spec.name
    if zone != spec.name or written != spec.name:
        return TimezoneState(zone=zone, written=written)
    return _mounted_zone(spec, system) or _variable(spec, system) or TimezoneState(
        zone=zone, written=written
    )  # fmt: skip


def _zone(spec: TimezoneSpec, system: ReadOnlySystem) -> str:
    """Return which zone the link means; the declared one if a file has its content."""
    found = system.lstat(LINK)
    if found is None:
        return "none, which means UTC"
    content = _content(spec, system)
    if stat.S_ISREG(found.st_mode):
        same = content is not None and system.read(LINK, limit=_LIMIT) == content
        return spec.name if same else "that of a file"
    target = os.path.normpath(os.path.join(os.path.dirname(LINK), system.readlink(LINK) or ""))
    name = target.removeprefix(f"{ZONES}/")
    return f"{name}, which is missing" if name == spec.name and content is None else name


def _content(spec: TimezoneSpec, system: ReadOnlySystem) -> bytes | None:
    """Return the data of the declared zone; None: there is none."""
    path = f"{ZONES}/{spec.name}"
    found = system.lstat(path)
    if found is None or stat.S_ISDIR(found.st_mode):
        return None
    content = system.read(path, follow=True, limit=_LIMIT)
    return content if content is not None and content.startswith(_MAGIC) else None


def _keeps_name(system: ReadOnlySystem) -> bool:
    return any(system.lstat(path) is not None for path in (NAME_FILE, _DEBIAN))


def _mounted_zone(spec: TimezoneSpec, system: ReadOnlySystem) -> Unmanageable | None:
    """Say that another zone is mounted over the declared one's file.

    Engines follow the link: `--tz`, or a mount on /etc/localtime, lands on what it leads to.
    """
    path = system.paths.resolve(f"{ZONES}/{spec.name}")
    if not system.is_mount_point(path):
        return None
    return Unmanageable(
        reason=f"{path} is a mount, so it may hold the time of another zone",
        remedy="start the container without --tz, and without a mount on /etc/localtime",
    )


def _variable(spec: TimezoneSpec, system: ReadOnlySystem) -> Unmanageable | None:
    """Say that a variable of the container wins over the files (tzset(3))."""
    value = os.environ.get("TZ")
    holds = (None, spec.name, f":{spec.name}", f":{LINK}", LINK, f":{ZONES}/{spec.name}")
    if system.prefixed or value in holds:
        return None
    return Unmanageable(
        reason=f"the variable TZ={value} wins over {LINK}",
        remedy=f"start the container without it, or with TZ={spec.name}",
    )


def _apply(change: Change[TimezoneSpec, TimezoneState], system: System) -> None:
    spec = change.spec
    if _content(spec, system) is None:
        raise ApplyError(f"there is no time zone {spec.name} in {ZONES}", _like(spec, system))
    if change.wants("zone"):
        system.make_symlink(LINK, f"{ZONES}/{spec.name}")
    if change.wants("written"):
        system.write(NAME_FILE, f"{spec.name}\n".encode(), backup=False)


def _like(spec: TimezoneSpec, system: ReadOnlySystem) -> str:
    """Return what may have been meant."""
    folder = os.path.dirname(spec.name)
    regions = [name for name in system.list(ZONES) if name[:1].isupper()]
    names = system.list(f"{ZONES}/{folder}") if folder else regions
    names = [os.path.join(folder, name) for name in names]
    near = close_match(spec.name, names) or close_match(spec.name.partition("/")[0], regions)
    return near or "names of old are in the package `tzdata-legacy` of newer Debian"


def _obstacle(
    change: Change[TimezoneSpec, TimezoneState], system: ReadOnlySystem
) -> Unmanageable | None:
    spec = change.spec
    if system.lstat(ZONES) is None:
        return Unmanageable(
            reason=f"there is no time zone data: {ZONES} is missing",
            remedy="declare `package: tzdata`",
        )
    if change.wants("zone") and system.is_mount_point(LINK):
        return Unmanageable(
            reason=f"{LINK} is a mount of another zone",
            remedy="start the container without it, or mount the zone that is meant",
        )
    refused = [
        probe.writable(system, path)
        for field, path in (("zone", LINK), ("written", NAME_FILE))
        if change.wants(field)
    ]
    missing = _content(spec, system) is None  # `apply` says what may have been meant
    return next(filter(None, refused), None) or (None if missing else _mounted_zone(spec, system))
