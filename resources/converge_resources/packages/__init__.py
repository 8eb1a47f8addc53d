"""What the package managers have in common; each backend is one module here.

A backend is chosen by its database AND its executable: the name of an operating system says
neither, and busybox brings applets that are named `dpkg` and `rpm`.
"""

from __future__ import annotations

import os
from abc import ABC, abstractmethod

from converge.record import Record

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Sequence
    from typing import ClassVar

    from converge.system import ReadOnlySystem, System

NEWEST = "latest"
# Any of these that is not empty. dpkg's goes first: Debian packages rpm too, Fedora dpkg, but the
# database of the one that is not in use is empty.
DATABASES = {
    "apt": ("/var/lib/dpkg/status",),
    "apk": ("/lib/apk/db/installed", "/usr/lib/apk/db/installed"),
    "dnf": (
        "/var/lib/rpm/rpmdb.sqlite",
        "/usr/lib/sysimage/rpm/rpmdb.sqlite",
        "/var/lib/rpm/Packages",
        "/usr/lib/sysimage/rpm/Packages",
    ),
}


class Found(Record):
    """What the database says of one package. `status` is dpkg's word; other tools know `installed`.

    Words: installed, config-files, not-installed, unpacked, half-configured, half-installed,
    triggers-awaited, triggers-pending (dpkg(1)).
    """

    status: str = "installed"
    version: str = ""
    held: bool = False


class Order(Record):
    """What one resource asks of a transaction."""

    name: str
    action: str  # install, remove, purge; empty: only the hold differs
    version: str | None = None  # exact or a glob; `latest`; None: whichever comes
    hold: bool | None = None  # what to set; None: leave it
    overrides_hold: bool = False  # the profile itself asks to change a held package
    recommends: bool = False
    options: tuple[str, ...] = ()
    release: str | None = None
    conffiles: str = "keep"

    @property
    def flags(self) -> tuple[bool, tuple[str, ...], str | None, str]:
        """What goes for a whole command line: orders that agree share one."""
        return self.recommends, self.options, self.release, self.conffiles

    def satisfied(self, found: Found | None) -> bool:
        """Tell whether nothing is left to install, remove or purge (holds are another matter)."""
        status = found.status if found else "not-installed"
        if self.action == "install":
            if status != "installed" or found is None or self.version == NEWEST:
                return False
            return self.version is None or matches(self.version, found.version)
        if self.action == "remove":
            return status in ("not-installed", "config-files")
        return self.action == "" or status == "not-installed"


class Backend(ABC):
    """One package manager."""

    name: ClassVar[str]
    tool: ClassVar[str]  # what installs
    name_pattern: ClassVar[str]
    holds: ClassVar[bool] = True
    keeps_conffiles_only: ClassVar[bool] = True  # its packages' own rule, not to be changed

    def database(self, system: ReadOnlySystem) -> str | None:
        """Return the path of its database; None: it is not used here."""
        return _database(system, self.name)

    def present(self, system: ReadOnlySystem) -> bool:
        """Tell whether it can change packages here: by database and executable."""
        return self.database(system) is not None and system.which(self.tool) is not None

    def refuses(self, order: Order) -> str | None:
        """Say what of an order this tool cannot do; None: it can."""
        import re

        if not re.fullmatch(self.name_pattern, order.name):
            return f"{order.name!r} is not a package name for {self.name}"
        if self.keeps_conffiles_only and (order.release or order.conffiles != "keep"):
            return f"{self.name} knows neither `release` nor `conffiles: replace`"
        return None

    @abstractmethod
    def read(self, system: ReadOnlySystem, names: Collection[str]) -> dict[str, Found]:
        """Return what the database says of these; what it does not know is left out."""

    @abstractmethod
    def outdated(self, system: ReadOnlySystem, names: Collection[str]) -> set[str]:
        """Return which of these installed packages are not known to be the newest. Read-only."""

    @abstractmethod
    def change(self, system: System, orders: Sequence[Order]) -> None:
        """Carry out all orders in as few transactions as can be. Raises BatchError by name."""


def matches(pattern: str, version: str) -> bool:
    """Tell whether a version is the declared one, exact or by a glob (`1.2*`)."""
    if "*" not in pattern and "?" not in pattern:
        return pattern == version
    from fnmatch import fnmatchcase

    return fnmatchcase(version, pattern)


def rests_on() -> Iterator[str]:
    """Yield the paths that look different once any database has changed, its journal among them."""
    for paths in DATABASES.values():
        yield from paths
        yield from {f"{os.path.dirname(path)}/": None for path in paths}
    yield "/var/lib/dpkg/updates/"


def choose(system: ReadOnlySystem) -> Backend | None:
    """Return the backend that can change packages here, else one that can only read them."""
    found: list[Backend] = [_load(name) for name in DATABASES if _database(system, name)]
    usable = [backend for backend in found if backend.present(system)]
    return next(iter([*usable, *found]), None)


def _load(name: str) -> Backend:
    module = __import__(f"{__name__}.{name}", fromlist=[name])  # importlib itself costs time
    backend: Backend = getattr(module, name.capitalize())()
    return backend


def _database(system: ReadOnlySystem, name: str) -> str | None:
    for path in DATABASES[name]:
        found = system.lstat(path)
        if found is not None and found.st_size > 0:
            return path
    return None
