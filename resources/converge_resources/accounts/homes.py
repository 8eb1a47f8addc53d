"""Home directories: made, moved, given to another id, removed.

A home is made as root's own, marked unfinished by a mode that no home has, and given to its user at
the end: nobody can interfere meanwhile, and what a kill interrupts is taken up again.
"""

from __future__ import annotations

import errno
import os
import stat

from converge.errors import ApplyError
from converge.files.paths import At
from converge_resources.accounts.tree import copy_content, give_tree

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping

    from converge.system import ReadOnlySystem, System

    Row = Mapping[str, str]

UNFINISHED = 0o1700
_NEVER = frozenset((
    "/", "/bin", "/boot", "/dev", "/etc", "/home", "/lib", "/lib32", "/lib64", "/media", "/mnt",
    "/nonexistent", "/opt", "/proc", "/root", "/run", "/sbin", "/srv", "/sys", "/tmp",  # noqa: S108
    "/usr", "/var", "/usr/bin", "/usr/lib", "/usr/local", "/usr/sbin", "/usr/share", "/var/cache",
    "/var/lib", "/var/log", "/var/mail", "/var/run", "/var/spool", "/var/tmp",  # noqa: S108
))  # fmt: skip


def path_of(row: Row) -> str:
    """Return the path of a user's home without detours; where passwd holds none, `/`."""
    home = row["home"]
    return os.path.normpath("/" + home.lstrip("/")) if home.startswith("/") else "/"


def is_made(system: ReadOnlySystem, home: str) -> bool:
    """Tell whether something is at the path of a home, and not one half made."""
    found = system.lstat(home)
    return found is not None and not _is_unfinished(system, found)


def make(system: System, home: str, skeleton: str, uid: int, gid: int, mode: int) -> None:
    """Make a home with the skeleton's content, and the directories above it. Raises OSError."""
    if is_made(system, home):
        return
    _make_above(system, home)
    if system.lstat(home) is None:
        system.make_directory(home, mode=UNFINISHED)
    copy_content(system, skeleton, home, (uid, gid))
    system.set_attributes(home, uid=uid, gid=gid, mode=mode)


def move(system: System, user: str, users: Mapping[str, Row], new: str, uid: int) -> bool:
    """Bring a home to another path; True: it was copied, and the old one is still to be removed.

    `uid` is the owner that it has now, `users` the entries of passwd. Nothing is done where
    something is at the new path already. Raises OSError, ApplyError.
    """
    old = path_of(users[user])
    found = system.lstat(old)
    if found is None or is_made(system, new):
        return False
    _own(found, old, uid, "moved")
    _alone(user, users, "moved")
    _make_above(system, new)
    if system.lstat(new) is None:
        if _renamed(system, old, new):
            return False
        system.make_directory(new, mode=UNFINISHED)
    copy_content(system, old, new, None)
    mode = stat.S_IMODE(found.st_mode)
    system.set_attributes(new, uid=found.st_uid, gid=found.st_gid, mode=mode)
    return True


def give(system: System, home: str, old: tuple[int, int], new: tuple[int, int]) -> None:
    """Give what is a user's in its home to other ids, (uid, gid), as usermod(8) does."""
    found = system.lstat(home)
    if home in _NEVER or found is None or not stat.S_ISDIR(found.st_mode):
        return
    if found.st_uid in (old[0], new[0]):
        give_tree(system, home, old, new)


def remove(system: System, user: str, users: Mapping[str, Row]) -> None:
    """Remove the home of a user that is in `users` (entries of passwd). Raises OSError, ApplyError."""
    home = path_of(users[user])
    found = system.lstat(home)
    if found is None:
        return
    _own(found, home, int(users[user]["uid"]), "removed")
    _alone(user, users, "removed")
    system.remove_tree(home, backup=False)


def _alone(user: str, users: Mapping[str, Row], what: str) -> None:
    """Refuse a home in which another user lives, in it or below it."""
    home = path_of(users[user])
    for name, row in users.items():
        other = path_of(row)
        if name != user and (other == home or other.startswith(home + "/")):
            raise ApplyError(f"{home} is not {what}: the user {name} lives there too")


def _own(found: os.stat_result, home: str, uid: int, what: str) -> None:
    """Refuse a home that is not the user's alone."""
    remedy = "set `manage_home: false` on the resource"
    if home in _NEVER:
        raise ApplyError(f"protected: {home} is not {what}", remedy)
    if not stat.S_ISDIR(found.st_mode):
        raise ApplyError(f"{home} is not {what}: it is no directory", remedy)
    if found.st_uid != uid:
        raise ApplyError(f"{home} is not {what}: it belongs to uid {found.st_uid}", remedy)


def _is_unfinished(system: ReadOnlySystem, found: os.stat_result) -> bool:
    return found.st_uid == system.uid and stat.S_IMODE(found.st_mode) == UNFINISHED


def _make_above(system: System, home: str) -> None:
    missing = []
    folder = os.path.dirname(home)
    while folder != "/" and system.lstat(folder) is None:
        missing.append(folder)
        folder = os.path.dirname(folder)
    for folder in reversed(missing):
        system.make_directory(folder)


def _renamed(system: System, old: str, new: str) -> bool:
    """Rename a directory; False: it is on another file system, or in a lower overlay layer."""
    try:
        with At(system.paths, old) as (old_fd, name), At(system.paths, new) as (new_fd, new_name):
            os.rename(name, new_name, src_dir_fd=old_fd, dst_dir_fd=new_fd)
    except OSError as error:
        if error.errno != errno.EXDEV:
            raise
        return False
    system.paths.forget()
    return True
