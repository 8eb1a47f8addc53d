"""What of an archive is extracted, decided before anything is: pure, and refuses whatever could harm.

No path leaves the directory: none is absolute, goes up or through a link; a symbolic link leads to
nowhere outside, whatever other links it goes through. There are no devices, and no file twice
(CVE-2007-4559, CVE-2018-1002200, CVE-2021-32804, CVE-2025-4517).
"""

from __future__ import annotations

from converge.record import Record
from converge_resources.archives.members import DIRECTORY, FILE, HARD_LINK, OTHER, SYMLINK
from converge_resources.archives.stream import ArchiveError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from converge_resources.archives.members import Member

_MOST_LINKS = 40  # as the kernel's MAXSYMLINKS


class Entry(Record):
    """Something to be there. `source`: the member that it comes from; None: a directory implied.

    `target` is what a symbolic link says, or the path of the file that a hard link is a copy of.
    """

    path: str
    type: str
    mode: int = 0o755
    target: str = ""
    source: int | None = None


def plan(
    members: Iterable[Member], *, strip: int, most_files: int, most_bytes: int
) -> dict[str, Entry]:
    """Return what will be there, by its path below the directory, each after what holds it.

    Raises ArchiveError.
    """
    made = _Plan(strip, most_files, most_bytes)
    for number, member in enumerate(members):
        made.add(number, member)
    made.check_links()
    return made.entries


class _Plan:
    def __init__(self, strip: int, most_files: int, most_bytes: int) -> None:
        self.entries: dict[str, Entry] = {}
        self._strip = strip
        self._most_files = most_files
        self._most_bytes = most_bytes
        self._bytes = 0
        self._sizes: dict[str, int] = {}

    def add(self, number: int, member: Member) -> None:
        if number >= self._most_files:
            raise ArchiveError(
                f"the archive holds more than {self._most_files} files", "raise `max_files`"
            )
        parts = stripped(member.path, self._strip)
        if not parts:
            return
        if member.type == OTHER:
            raise ArchiveError(f"{member.path!r} is a device, pipe or socket")
        for depth in range(1, len(parts)):
            self._directory("/".join(parts[:depth]), member.path)
        path = "/".join(parts)
        if member.type == DIRECTORY:
            self._directory(path, member.path)
            return
        if path in self.entries:
            raise ArchiveError(f"{member.path!r} is there twice")
        entry = self.entries[path] = Entry(
            path=path, type=member.type, mode=mode_of(member.mode),
            target=self._target(member), source=number,
        )  # fmt: skip
        self._count(path, self._sizes[entry.target] if member.type == HARD_LINK else member.size)

    def check_links(self) -> None:
        """Refuse a symbolic link that leads outside, through however many others."""
        links = {e.path: e.target for e in self.entries.values() if e.type == SYMLINK}
        for path, target in links.items():
            if not _stays(path, target, links):
                raise ArchiveError(f"the link {path!r} leads outside, to {target!r}")

    def _count(self, path: str, size: int) -> None:
        """Add to what will be on the disk; a hard link becomes a copy."""
        self._sizes[path] = size
        self._bytes += size
        if self._bytes > self._most_bytes or size < 0:
            raise ArchiveError(
                f"the archive holds more than {self._most_bytes} bytes", "raise `max_size`"
            )

    def _directory(self, path: str, name: str) -> None:
        found = self.entries.setdefault(path, Entry(path=path, type=DIRECTORY))
        if found.type != DIRECTORY:
            raise ArchiveError(f"{name!r} goes through {path!r}, which is a {found.type}")

    def _target(self, member: Member) -> str:
        if member.type == SYMLINK:
            _check_name(member.target, "the link target")
            return member.target
        if member.type != HARD_LINK:
            return ""
        target = "/".join(stripped(member.target, self._strip))
        first = self.entries.get(target)
        if first is None or first.type not in (FILE, HARD_LINK):
            raise ArchiveError(f"{member.path!r} is a hard link to what is no file of the archive")
        return first.target or target


def stripped(name: str, strip: int) -> list[str]:
    """Return the steps of a member's path without the first `strip`. Raises ArchiveError."""
    _check_name(name, "the name")
    parts = [part for part in name.split("/") if part not in ("", ".")]
    if name.startswith("/") or ".." in parts:
        raise ArchiveError(f"{name!r} leads out of the directory")
    return parts[strip:]


def mode_of(bits: int) -> int:
    """Return the mode of a file: nobody's to write but its owner's, nothing set-ID or sticky.

    As tarfile's `data` filter (PEP 706).
    """
    executable = 0o111 if bits & 0o100 else 0
    return bits & (0o644 | executable) | 0o600


def _check_name(name: str, what: str) -> None:
    if not name or any(ord(c) < 32 or ord(c) == 127 for c in name):
        raise ArchiveError(f"{what} {name!r} is empty or holds control characters")


def _stays(path: str, target: str, links: Mapping[str, str]) -> bool:
    """Tell whether what a link says is inside, step by step as the kernel goes."""
    here = path.split("/")[:-1]
    todo, followed = _steps(target), 1
    while todo and followed <= _MOST_LINKS:
        step = todo.pop()
        if step == "/" or (step == ".." and not here):
            return False
        if step == "..":
            here.pop()
            continue
        here.append(step)
        further = links.get("/".join(here))
        if further is not None:
            here.pop()
            followed += 1
            todo += _steps(further)
    return followed <= _MOST_LINKS


def _steps(target: str) -> list[str]:
    """Return the steps of a link's target, the first one last; `/` is the root."""
    parts = [part for part in target.split("/") if part not in ("", ".")]
    return [*reversed(parts), *(["/"] if target.startswith("/") else [])]
