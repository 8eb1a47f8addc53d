"""The machine's trust store: where it is, how it is changed here, and what stands in for it.

Every family keeps the certificates that were added (anchors) in a directory, and makes of these
and its own the one file (bundle) that programs read. Which family it is, is told by what is there.
"""

from __future__ import annotations

import os
import stat

from converge import probe
from converge.errors import ApplyError
from converge.provider import Unmanageable
from converge.record import Record
from converge_resources.certificates import pem

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

    from converge.read_only import ReadOnlySystem
    from converge.system import System

TOOL, EDIT, ASIDE = "tool", "edit", "aside"
VARIABLE = "SSL_CERT_FILE"  # SSL_CTX_set_default_verify_paths(3); Go, Ruby, curl and others too
_PLACES = ("/run", "/tmp", "/dev/shm")  # noqa: S108  looked at before it is believed
_OTHERS_MAY_WRITE = 0o022


class Family(Record):
    """How one family of distributions keeps its trust store."""

    anchors: str
    suffix: str
    program: str
    arguments: tuple[str, ...] = ()
    fresh: tuple[str, ...] = ()  # arguments where something was changed or taken away
    bundle: str

    def anchor(self, name: str) -> str:
        """Return the path of a certificate that was added."""
        return f"{self.anchors}/{name}{self.suffix}"


FAMILIES = (
    Family(  # Debian, Ubuntu, Alpine. Its links by hash are made anew only with --fresh
        anchors="/usr/local/share/ca-certificates",
        suffix=".crt",
        program="update-ca-certificates",
        fresh=("--fresh",),
        bundle="/etc/ssl/certs/ca-certificates.crt",
    ),
    Family(  # Fedora, RHEL
        anchors="/etc/pki/ca-trust/source/anchors",
        suffix=".pem",
        program="update-ca-trust",
        arguments=("extract",),
        bundle="/etc/pki/ca-trust/extracted/pem/tls-ca-bundle.pem",
    ),
    Family(  # SUSE
        anchors="/etc/pki/trust/anchors",
        suffix=".pem",
        program="update-ca-certificates",
        bundle="/etc/ssl/ca-bundle.pem",
    ),
    Family(  # Arch
        anchors="/etc/ca-certificates/trust-source/anchors",
        suffix=".crt",
        program="update-ca-trust",
        bundle="/etc/ssl/certs/ca-certificates.crt",
    ),
)


class Store:
    """The trust store of this machine, read once."""

    def __init__(self, system: ReadOnlySystem, aside: str | None = None) -> None:
        self._system = system
        self._aside = aside
        self.family = _family(system)
        self.bundle = "" if self.family is None else _resolved(system, self.family.bundle)
        self.text = system.text(self.bundle) if self.bundle else ""
        self._trusted = {body for _, _, body in pem.bodies(self.text)}

    def trusts(self, body: str) -> bool:
        """Tell whether programs that read the bundle trust a certificate."""
        return body in self._trusted

    def anchored(self, name: str) -> str:
        """Return the certificate that was added under a name, empty if there is none."""
        return pem.body(self._system.text(self._path(name))) if self.family else ""

    def may_anchor(self, name: str) -> bool:
        """Tell whether a certificate can be added to the directory of anchors."""
        return (
            self.family is not None
            and self._system.lstat(self.family.anchors) is not None
            and probe.writable(self._system, self._path(name)) is None
        )

    def way(self) -> str | Unmanageable:
        """Return how a change is made here: by the family's program, in the bundle, or beside it."""
        if self.family is None:
            return Unmanageable(
                reason="there is no trust store: none of the known bundles is here",
                remedy="declare `package: ca-certificates`",
            )
        refused = probe.writable(self._system, self.bundle)
        if refused is None:
            tool = self.program() and not self._system.is_mount_point(self.bundle)
            return TOOL if tool and self.may_anchor("x") else EDIT
        return ASIDE if self.aside() else refused

    def program(self) -> str | None:
        """Return the program of the family, if it is here."""
        return self._system.which(self.family.program) if self.family else None

    def aside(self) -> str | None:
        """Return the path of the bundle that stands in for one that cannot be changed."""
        if self._aside is not None:
            refused = probe.writable(self._system, self._aside)
            return None if refused else self._aside
        for place in _PLACES:
            folder = f"{place}/converge-ca-{self._system.uid}"
            if self._system.lstat(place) is not None and self._usable(folder):
                return f"{folder}/ca-certificates.crt"
        return None

    def _usable(self, folder: str) -> bool:
        """Tell whether a directory is ours, or can be made."""
        found = self._system.lstat(folder)
        if found is None:
            return probe.writable(self._system, folder) is None
        mine = stat.S_ISDIR(found.st_mode) and _ours(self._system, found)
        return mine and probe.writable(self._system, f"{folder}/x") is None

    def _path(self, name: str) -> str:
        return self.family.anchor(name) if self.family else ""


def read_aside(system: ReadOnlySystem, path: str) -> str:
    """Return a bundle of our own, empty if there is none. Raises ApplyError if it may be another's."""
    found = system.lstat(path)
    if found is None:
        return ""
    if not stat.S_ISREG(found.st_mode) or not _ours(system, found):
        raise ApplyError(
            f"{path} is not a file that the agent alone can write", "remove it, or name another"
        )
    return system.text(path, follow=False)


def write_aside(system: System, path: str, text: str) -> None:
    """Write a bundle of our own, for everyone to read. Raises OSError, ApplyError."""
    folder = os.path.dirname(path)
    if system.lstat(folder) is None:
        system.make_directory(folder, mode=0o755)
    system.write(path, text.encode(errors="surrogateescape"), mode=0o644, backup=False)


def watched(name: str) -> Iterator[str]:
    """Yield the files whose change may mean that a certificate is no longer trusted."""
    for family in FAMILIES[:2]:
        yield family.anchor(name)
        yield family.bundle


def _family(system: ReadOnlySystem) -> Family | None:
    """Return the family whose program and directory are here, else one whose bundle is."""
    for family in FAMILIES:
        if system.which(family.program) and system.lstat(family.anchors) is not None:
            return family
    return next((f for f in FAMILIES if system.lstat(f.bundle) is not None), None)


def _resolved(system: ReadOnlySystem, path: str) -> str:
    return path if system.readlink(path) is None else system.paths.resolve(path)


def _ours(system: ReadOnlySystem, found: os.stat_result) -> bool:
    return found.st_uid in (0, system.uid) and not found.st_mode & _OTHERS_MAY_WRITE
