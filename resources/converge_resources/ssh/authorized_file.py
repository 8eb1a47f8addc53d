"""The file authorized_keys, in a directory where its user may do as he likes.

So it is read and written as what the user himself could have put there: a link is not followed, and
what belongs to somebody else and is closed to the user is not read, or editing it would show it to him.
"""

from __future__ import annotations

import errno
import os
import stat

from converge import probe
from converge.errors import ApplyError
from converge.files.paths import At
from converge.files.regular import open_regular, read_all
from converge.provider import Unmanageable
from converge.record import Record
from converge_resources.accounts.database import Accounts
from converge_resources.accounts.homes import path_of
from converge_resources.authorized_key import AuthorizedKeyState
from converge_resources.parts.lines import Cut, Lines, split
from converge_resources.paths import trees
from converge_resources.ssh import keys as ssh_keys

TYPE_CHECKING = False
if TYPE_CHECKING:
    from converge.system import ReadOnlySystem, System
    from converge_resources.authorized_key import AuthorizedKeySpec

_MOST = 1 << 20  # bytes
_WRITABLE = 0o022  # by others than the owner: sshd's StrictModes
_FOLDER = ".ssh"


class Place(Record):
    """Where a user's keys are. `folder`: the directory that is the user's too; empty: another's."""

    path: str
    folder: str
    uid: int
    gid: int


def place_of(spec: AuthorizedKeySpec, accounts: Accounts) -> Place | None:
    """Return the place of a user's keys; None: there is no such user. Raises ApplyError."""
    row = accounts.users.get(spec.user)
    if row is None:
        return None
    uid, gid = int(row["uid"]), int(row["gid"])
    if spec.path is not None:
        return Place(path=spec.path, folder="", uid=uid, gid=gid)
    home = path_of(row)
    if home == "/":
        raise ApplyError(f"the user {spec.user} has no home", "set `path`, and sshd's to the same")
    folder = f"{home}/{_FOLDER}"
    return Place(path=f"{folder}/authorized_keys", folder=folder, uid=uid, gid=gid)


class Files:
    """One reading of the accounts and of each file."""

    def __init__(self, system: ReadOnlySystem) -> None:
        self._system = system
        self._accounts = Accounts(system)
        self._texts: dict[str, str | None] = {}

    def state(self, spec: AuthorizedKeySpec) -> AuthorizedKeyState | Unmanageable | None:
        """Return what is there of the declared keys. Raises OSError."""
        try:
            place = place_of(spec, self._accounts)
            text = None if place is None else self._text(place)
        except ApplyError as error:
            return Unmanageable(reason=str(error.args[0]), remedy=error.remedy)
        if place is None or text is None:
            return None
        wanted = spec.lines()
        entries = [found for line in split(text).lines if (found := ssh_keys.entry(line))]
        ours = [found for found in entries if found.key.data in wanted]
        if not ours and (spec.state == "absent" or len(entries) == 0):
            return None
        return AuthorizedKeyState(
            lines=_in_order(spec, split(text)),
            others=len(entries) - len(ours),
            trusted=_trusted(place, self._system),
        )

    def _text(self, place: Place) -> str | None:
        if place.path not in self._texts:
            self._texts[place.path] = read(place, self._system)
        return self._texts[place.path]


def _in_order(spec: AuthorizedKeySpec, text: Lines) -> tuple[str, ...]:
    """Return the lines of the declared keys, those of each key together, as the spec has them."""
    found: dict[str, list[str]] = {data: [] for data in spec.lines()}
    for line in text.lines:
        entry = ssh_keys.entry(line)
        if entry is not None and entry.key.data in found:
            found[entry.key.data].append(line)
    return tuple(line for lines in found.values() for line in lines)


def read(place: Place, system: ReadOnlySystem) -> str | None:
    """Return the text of the file; None: there is none. Raises OSError, ApplyError."""
    try:
        with At(system.paths, place.path) as (folder_fd, name):
            fd = open_regular(folder_fd, name)
    except OSError as error:
        if error.errno in (errno.ENOENT, errno.ENOTDIR):
            return None
        raise
    try:
        found = os.fstat(fd)
        readable = found.st_uid == place.uid or found.st_mode & stat.S_IROTH
        if place.uid != system.uid and (not readable or found.st_nlink > 1):
            raise ApplyError(
                f"{place.path} may be somebody else's: it belongs to uid {found.st_uid}, and the "
                "user could not read it" if not readable else
                f"{place.path} may be somebody else's: it has other names (hard links)",
                "look at it, and remove it",
            )  # fmt: skip
        return read_all(fd, _MOST).decode(errors="surrogateescape")
    finally:
        os.close(fd)


def _trusted(place: Place, system: ReadOnlySystem) -> bool:
    """Tell whether sshd's StrictModes takes the file and its directory."""
    for path in filter(None, (place.path, place.folder)):
        found = system.lstat(path)
        if found is None or found.st_mode & _WRITABLE or found.st_uid not in (0, place.uid):
            return False
    return True


def obstacle(spec: AuthorizedKeySpec, system: ReadOnlySystem) -> Unmanageable | None:
    """Say why the file may not be written; None: it may. Raises OSError."""
    try:
        place = place_of(spec, Accounts(system))
    except ApplyError:
        return None
    if place is None:
        return None  # an earlier wave may make the user
    return probe.writable(system, place.path) or probe.attributes(
        system, place.path, owner=place.uid if place.folder else None, group=None, mode=True,
        new=True,
    )  # fmt: skip


def write(spec: AuthorizedKeySpec, system: System) -> None:
    """Bring the keys into the file, or out of it. Raises OSError, ApplyError."""
    place = place_of(spec, Accounts(system))
    if place is None:
        raise ApplyError(f"there is no user {spec.user!r}", "declare it as a `user` resource")
    text = read(place, system) or ""
    if place.folder:
        _make_folder(place, system)
    trees.require_parent(system, place.path)
    data = edited(spec, text).encode(errors="surrogateescape")
    if place.folder:
        system.write(place.path, data, uid=place.uid, gid=place.gid, mode=0o600)
        return
    found = system.lstat(place.path)
    trusted = found is not None and _trusted(place, system)
    system.write(
        place.path, data, uid=None if trusted else system.uid, mode=None if trusted else 0o644
    )  # fmt: skip


def _make_folder(place: Place, system: System) -> None:
    found = system.lstat(place.folder)
    if found is None:
        trees.require_parent(system, place.folder, ", or set the user's `manage_home: true`")
        system.make_directory(place.folder, uid=place.uid, gid=place.gid, mode=0o700)
    elif stat.S_ISDIR(found.st_mode):
        if found.st_mode & _WRITABLE or found.st_uid not in (0, place.uid):
            system.set_attributes(place.folder, uid=place.uid, gid=place.gid, mode=0o700)
    else:
        raise ApplyError(f"{place.folder} is a {trees.describe(found)}, not a directory")


def edited(spec: AuthorizedKeySpec, text: str) -> str:
    """Return the text with the declared keys, or without them. Pure."""
    lines = split(text)
    left = spec.lines()
    ours = set(left)
    cuts = []
    for index, line in enumerate(lines.lines):
        entry = ssh_keys.entry(line)
        if entry is None or (entry.key.data not in ours and not spec.exclusive):
            continue
        wanted = left.pop(entry.key.data, None) if spec.state == "present" else None
        if wanted != line:
            new = () if wanted is None else (wanted,)
            cuts.append(Cut(first=index, after=index + 1, lines=new))
    if spec.state == "present" and left:
        end = len(lines.lines)
        cuts.append(Cut(first=end, after=end, lines=tuple(left.values())))
    return lines.changed(cuts).text()
