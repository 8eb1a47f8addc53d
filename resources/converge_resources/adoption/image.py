"""Files that were changed since dpkg unpacked them, and those in /etc that no package brought."""

from __future__ import annotations

import re
import time

from converge.declared import Declared
from converge_resources.adoption import files, manifest
from converge_resources.paths.owners import Owners

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

    from converge.system import ReadOnlySystem
    from converge_resources.adoption.manifest import Manifest

_MOST_SECONDS = 120.0
_MOST_BYTES = 8 << 30  # read to compare
_MOST_ENTRIES = 50_000  # looked at below /etc
_MOST_FOUND = 2000
_DEEPEST = 32  # directories below /etc
# What programs make anew, what belongs to the machine or to the engine, and what other kinds manage.
_ELSEWHERE = re.compile(
    r"""/etc/(
      (passwd|group|shadow|gshadow|subuid|subgid)-?|\.pwd\.lock|\.updated|.*\.lock
    | mtab|resolv\.conf|hosts|hostname|machine-id|adjtime|localtime|timezone|ld\.so\.cache
    | alternatives(/.*)?|rc[0-9S]\.d/.*|shells|pam\.d/common-.*|python3/debian_config
    | systemd/(system|user)/(.*\.(wants|requires)/.*|[^/]*\.service)
    | sv/.*/supervise|runit/runsvdir/(current|default/.*)
    | ssl/certs/.*|ca-certificates\.conf|pki/ca-trust/extracted/.*|ssh/ssh_host_.*
    | dpkg/(origins/default|dpkg\.cfg\.d/docker.*)
    | apt/(apt\.conf\.d/docker-.*|sources\.list~|trusted\.gpg~)|converge(/.*)?|\.?udev/hwdb\.bin
    | ssl/private/ssl-cert-snakeoil\.key|(.*/)?(\.\#.*|.*(~|\.dpkg-\w+|\.ucf-\w+|\.bak|\.swp))
    )""",
    re.VERBOSE | re.DOTALL,
)
_UNCONFIGURED = b"# UNCONFIGURED FSTAB"  # debootstrap(8)
_MOST_SCRIPTED = 64 << 10  # bytes of a text that a script may hold


def changed(system: ReadOnlySystem) -> Iterator[Declared]:
    """Yield the files and links that are not as the packages left them."""
    known = manifest.read(system)
    if known is None:
        reason = "there is no database of dpkg: what a package brought cannot be told"
        yield Declared(kind="file", name="…", reason=reason)
        return
    search, owners = _Search(system, known), Owners(system)
    paths = [*search.changed(), *search.added()]
    for path in paths[:_MOST_FOUND]:
        kind = "symlink" if system.readlink(path) is not None else "file"
        yield files.of(kind, path, system, owners)
    for what in search.left_out(len(paths)):
        yield Declared(kind="file", name="…", reason=what)


class _Search:
    """One search, within its bounds."""

    def __init__(self, system: ReadOnlySystem, known: Manifest) -> None:
        self._system, self._known = system, known
        self._deadline = time.monotonic() + _MOST_SECONDS
        self._bytes = 0
        self._entries = 0
        self._short: list[str] = []
        self._scripts = manifest.scripts(system)

    def changed(self) -> Iterator[str]:
        """Yield the paths of packages whose content is another one."""
        for path, digest in self._known.digests.items():
            if time.monotonic() > self._deadline or self._bytes > _MOST_BYTES:
                self._short.append("not all files of packages were compared: they are too many")
                return
            if not _ELSEWHERE.fullmatch(path) and self._differs(path, digest):
                yield path

    def _differs(self, path: str, digest: str) -> bool:
        try:
            found = manifest.digest_of(path, self._system)
        except OSError:
            return False  # a link or a directory by now, or not to be read
        if found is None:
            return False
        self._bytes += found[1]
        return found[0] != digest and not self._mounted(path)

    def added(self) -> Iterator[str]:
        """Yield the files and links in /etc that no package brought, nor made."""
        todo = [("/etc", 0)]
        while todo:
            folder, depth = todo.pop()
            for name in self._names(folder):
                path = f"{folder}/{name}"
                self._entries += 1
                if self._mounted(path) or _ELSEWHERE.fullmatch(path):
                    continue
                kind = manifest.type_of(path, self._system)
                if kind == "directory" and depth < _DEEPEST:
                    todo.append((path, depth + 1))
                elif kind in ("file", "symlink") and not self._expected(path, kind):
                    yield path

    def _names(self, folder: str) -> list[str]:
        if self._entries > _MOST_ENTRIES or time.monotonic() > self._deadline:
            self._short.append("not all of /etc was looked at: it is too much")
            return []
        try:
            return self._system.list(folder)
        except OSError as error:
            self._short.append(f"{folder} cannot be read: {error.strerror}")
            return []

    def _expected(self, path: str, kind: str) -> bool:
        """Tell whether a package brought a path, or a script of one made it as it is."""
        if path in self._known.paths:
            return True
        if kind == "symlink":
            return False
        try:
            found = manifest.digest_of(path, self._system)
            if found is None or not found[1] or found[0] in self._known.copies:
                return True
            return found[1] < _MOST_SCRIPTED and self._scripted(path)
        except OSError:
            return False

    def _scripted(self, path: str) -> bool:
        """Tell whether the script of a package holds all the text of a file. Raises OSError."""
        text = (self._system.read(path) or b"").strip()
        if text.startswith(_UNCONFIGURED):
            return True
        return any(text in script for script in self._scripts)

    def _mounted(self, path: str) -> bool:
        """Tell whether a path is, or lies on, a mount of the engine's."""
        mounts = self._system.mounts()
        parts = path.split("/")
        return any("/".join(parts[:end]) in mounts for end in range(2, len(parts) + 1))

    def left_out(self, count: int) -> Iterator[str]:
        """Yield what the bounds have left out."""
        yield from dict.fromkeys(self._short)
        if count > _MOST_FOUND:
            yield f"{count - _MOST_FOUND} more files differ, which are left out"
