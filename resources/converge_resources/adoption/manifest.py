"""What dpkg knows of files: which there are, their MD5 digests, and those of conffiles (dpkg(1))."""

from __future__ import annotations

import os

from converge.record import Record
from converge_resources.paths import trees

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

    from converge.system import ReadOnlySystem

_INFO = "/var/lib/dpkg/info"
_STATUS = "/var/lib/dpkg/status"
_DIVERSIONS = "/var/lib/dpkg/diversions"
_UCF = "/var/lib/ucf/hashfile"
_DIGEST = 32  # hex digits of an MD5


class Manifest(Record):
    """`paths`: all that packages bring. `digests`: MD5 by path. `copies`: MD5 of what
    their scripts may copy to another place: any file of theirs, and what ucf(1) installed.
    """

    paths: frozenset[str]
    digests: dict[str, str]
    copies: frozenset[str]


def read(system: ReadOnlySystem) -> Manifest | None:
    """Return what dpkg knows; None: it is not used here."""
    if not system.text(_STATUS):
        return None
    diverted = {*system.text(_DIVERSIONS).split("\n")[::3]}
    paths: set[str] = set()
    digests: dict[str, str] = {}
    for name in system.list(_INFO):
        if name.endswith(".list"):
            paths |= {*system.text(f"{_INFO}/{name}").split("\n")}
        elif name.endswith(".md5sums"):
            digests.update(_sums(system.text(f"{_INFO}/{name}")))
    digests.update(_conffiles(system.text(_STATUS)))
    copies = {*digests.values(), *(digest for _, digest in _sums(system.text(_UCF)))}
    for path in diverted:
        digests.pop(path, None)
    return Manifest(paths=frozenset(paths), digests=digests, copies=frozenset(copies))


def scripts(system: ReadOnlySystem) -> list[bytes]:
    """Return the scripts that packages run when they are installed."""
    names = (name for name in system.list(_INFO) if name.endswith(".postinst"))
    return [system.read(f"{_INFO}/{name}") or b"" for name in names]


def _sums(text: str) -> Iterator[tuple[str, str]]:
    for line in text.split("\n"):
        digest, _, path = line.partition("  ")
        if len(digest) == _DIGEST and path:
            yield f"/{path.lstrip('/')}", digest


def _conffiles(text: str) -> Iterator[tuple[str, str]]:
    """Yield path and digest of each conffile that is not obsolete, nor of a removed package."""
    for stanza in text.split("\n\n"):
        if " ok installed" not in stanza:
            continue
        _, _, rest = stanza.partition("\nConffiles:\n")
        for line in rest.split("\n"):
            words = line.split()
            if not line.startswith(" ") or len(words) < 2:
                break
            if len(words) == 2 and len(words[1]) == _DIGEST:
                yield words[0], words[1]


def digest_of(path: str, system: ReadOnlySystem) -> tuple[str, int] | None:
    """Return the MD5 of a regular file and its size; None: it is not there. Raises OSError."""
    import hashlib

    fd = system.open_file(path)
    if fd is None:
        return None
    with os.fdopen(fd, "rb") as file:
        md5 = hashlib.file_digest(file, lambda: hashlib.md5(usedforsecurity=False))
        return md5.hexdigest(), file.tell()


def type_of(path: str, system: ReadOnlySystem) -> str:
    """Return the type of what is at a path (trees.describe); empty: none, or it cannot be seen."""
    try:
        found = system.lstat(path)
    except OSError:
        return ""
    return trees.describe(found) if found else ""
