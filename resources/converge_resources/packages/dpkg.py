"""dpkg's own database (/var/lib/dpkg/status, deb822(5)), read without dpkg.

dpkg notes what it does in /var/lib/dpkg/updates/NNNN first and folds it into the status file
later: after a kill the newest state of a package is there.
"""

from __future__ import annotations

from converge.record import Record
from converge_resources.packages import Found

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Collection, Iterator

    from converge.system import ReadOnlySystem

STATUS = "/var/lib/dpkg/status"
UPDATES = "/var/lib/dpkg/updates"
_SETTLED = ("installed", "config-files", "not-installed")
_NEVER_REMOVED = frozenset({"dpkg", "apt", "libc6"})


class Stanza(Record):
    """One package of the database."""

    name: str
    architecture: str
    want: str
    error: str
    status: str
    version: str
    essential: bool


class Database:
    """One reading of the database. Make a new one after every change."""

    def __init__(self, system: ReadOnlySystem) -> None:
        self.journal = journal(system)
        parts = [system.read(STATUS, follow=True) or b""]
        parts += [system.read(f"{UPDATES}/{name}") or b"" for name in self.journal]
        self._data = b"\n\n".join(parts)

    def find(self, names: Collection[str]) -> dict[str, Found]:
        """Return what is known of these names (`name` or `name:architecture`)."""
        bare = {name.partition(":")[0] for name in names} | {"dpkg"}
        known: dict[tuple[str, str], Stanza] = {}
        for name, chunk in _chunks(self._data):
            if name in bare:
                stanza = _stanza(name, chunk)
                known[name, stanza.architecture] = stanza
        native = next((arch for name, arch in known if name == "dpkg"), "")
        found = {}
        for name in names:
            chosen = _select(known, *name.partition(":")[::2], native)
            if chosen is not None:
                found[name] = Found(
                    status=chosen.status, version=chosen.version, held=chosen.want == "hold"
                )
        return found

    def stanzas(self) -> list[Stanza]:
        """Return every package."""
        known = {}
        for name, chunk in _chunks(self._data):
            stanza = _stanza(name, chunk)
            known[name, stanza.architecture] = stanza
        return list(known.values())

    def unfinished(self) -> list[str]:
        """Return the packages that an interrupted or failed dpkg left neither in nor out."""
        return [s.name for s in self.stanzas() if s.status not in _SETTLED or s.error != "ok"]

    def torn(self) -> dict[str, str]:
        """Return the packages that were killed while being unpacked: name → version, or empty."""
        return {
            f"{s.name}:{s.architecture}" if s.architecture not in ("", "all") else s.name: s.version
            for s in self.stanzas()
            if s.error == "reinstreq"
        }

    def vital(self) -> set[str]:
        """Return the packages without which there is no system to manage (deb-control(5))."""
        return {*_NEVER_REMOVED} | {stanza.name for stanza in self.stanzas() if stanza.essential}

    def held(self) -> set[str]:
        """Return the packages that are on hold."""
        return {stanza.name for stanza in self.stanzas() if stanza.want == "hold"}


def journal(system: ReadOnlySystem) -> list[str]:
    """Return the names of what dpkg has noted and not folded in: it was killed, or runs now."""
    return [name for name in system.list(UPDATES) if name.isdigit()]


def _chunks(data: bytes) -> Iterator[tuple[str, bytes]]:
    """Yield each stanza's name and text; dpkg writes `Package` first."""
    for chunk in (b"\n" + data).split(b"\nPackage: ")[1:]:
        yield chunk[: chunk.find(b"\n")].strip().decode(errors="replace"), chunk


def _field(chunk: bytes, name: bytes) -> str:
    start = chunk.find(b"\n" + name + b": ")
    if start < 0:
        return ""
    start += len(name) + 3
    end = chunk.find(b"\n", start)
    return chunk[start : end if end >= 0 else len(chunk)].strip().decode(errors="replace")


def _stanza(name: str, chunk: bytes) -> Stanza:
    want, error, status = [*_field(chunk, b"Status").split(), "", "", ""][:3]
    return Stanza(
        name=name,
        architecture=_field(chunk, b"Architecture"),
        want=want,
        error=error,
        status=status,
        version=_field(chunk, b"Version"),
        essential="yes" in (_field(chunk, f) for f in (b"Essential", b"Important", b"Protected")),
    )


def _select(
    known: dict[tuple[str, str], Stanza], name: str, architecture: str, native: str
) -> Stanza | None:
    """Pick one of a name's architectures as apt does: the one asked for, else the native one."""
    wanted = architecture or native
    if not wanted:  # nothing says what is native
        return next((stanza for (n, _), stanza in known.items() if n == name), None)
    accepted = [known.get((name, wanted))]
    if wanted in (native, "all"):
        accepted += [known.get((name, "all")), None if architecture else known.get((name, ""))]
    there = [stanza for stanza in accepted if stanza is not None]
    return next((s for s in there if s.status != "not-installed"), there[0] if there else None)
