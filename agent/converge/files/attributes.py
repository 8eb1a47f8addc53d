"""Owner, mode and extended attributes, set on descriptors and never needlessly."""

from __future__ import annotations

import errno
import os
import stat

from converge.errors import ApplyError

_SET_ID = stat.S_ISUID | stat.S_ISGID
PIN = os.O_PATH | os.O_NOFOLLOW | os.O_CLOEXEC
_ACCESS_ACL = "system.posix_acl_access"


def change_attributes(fd: int, uid: int | None, gid: int | None, mode: int | None) -> None:
    """Set owner and mode on a descriptor (O_PATH too), only what differs; None: leave it.

    A needless chmod copies a file of a lower overlay layer up whole. The owner comes first, as
    chown(2) clears the set-user-ID and set-group-ID bits; they come back only if `mode` asks for
    them, or root would lend its name to a program that another user wrote.
    """
    found = os.fstat(fd)
    uid = found.st_uid if uid is None else uid
    gid = found.st_gid if gid is None else gid
    name = f"/proc/self/fd/{fd}"  # an O_PATH descriptor takes neither fchown nor fchmod
    if (uid, gid) != (found.st_uid, found.st_gid):
        os.chown(name, uid, gid)
        found = os.fstat(fd)
    if mode is not None and stat.S_IMODE(found.st_mode) != mode:
        os.chmod(name, mode)


def change_named(
    folder_fd: int, name: str, path: str, uid: int | None, gid: int | None, mode: int | None
) -> None:
    """Do it to a file or directory by its name, if it is nobody else's. Raises OSError, ApplyError."""
    fd = os.open(name, PIN, dir_fd=folder_fd)
    try:
        found = os.fstat(fd)
        if stat.S_ISLNK(found.st_mode):
            raise OSError(errno.ELOOP, "a symbolic link has no mode of its own")
        refuse_foreign_link(found, folder_fd, path)
        change_attributes(fd, uid, gid, mode)
    finally:
        os.close(fd)


def dress(
    fd: int,
    old_fd: int | None,
    *,
    uid: int | None,
    gid: int | None,
    mode: int | None,
) -> None:
    """Give a staged file its owner, then its extended attributes, then its mode.

    What is None is as on the file open at `old_fd`; without one, the agent's own and 0644.
    Raises OSError.
    """
    found = os.fstat(fd)
    old = found if old_fd is None else os.fstat(old_fd)
    uid = old.st_uid if uid is None else uid
    gid = old.st_gid if gid is None else gid
    if (uid, gid) != (found.st_uid, found.st_gid):
        os.fchown(fd, uid, gid)
    if old_fd is not None:
        copy_xattrs(old_fd, fd)
    if mode is None:
        mode = 0o644 if old_fd is None else stat.S_IMODE(old.st_mode)
        if (uid, gid) != (old.st_uid, old.st_gid):
            mode &= ~_SET_ID  # as chown(2) does
    if stat.S_IMODE(os.fstat(fd).st_mode) != mode:
        os.fchmod(fd, mode)


def copy_xattrs(old_fd: int, fd: int) -> None:
    """Give one file the extended attributes of another: ACL, capabilities, label. Raises OSError."""
    wanted, found = _xattrs(old_fd), _xattrs(fd)
    for name, value in wanted.items():
        if found.get(name) != value:
            try:
                os.setxattr(fd, name, value)
            except OSError as error:
                raise OSError(
                    error.errno, f"its extended attribute {name} cannot be kept: {error.strerror}"
                ) from error
    if _ACCESS_ACL in found and _ACCESS_ACL not in wanted:  # inherited from the directory
        os.removexattr(fd, _ACCESS_ACL)


def refuse_foreign_link(found: os.stat_result, folder_fd: int, path: str) -> None:
    """Refuse a file that may be someone else's under a second name. Raises ApplyError.

    Who may write to the directory may have linked /etc/shadow into it (CVE-2017-18078), where
    fs.protected_hardlinks is off.
    """
    folder = os.fstat(folder_fd)
    ours = folder.st_uid in (0, os.geteuid()) and not folder.st_mode & 0o022
    if found.st_nlink > 1 and not stat.S_ISDIR(found.st_mode) and not ours:
        raise ApplyError(
            f"{path} has other names (hard links), in a directory that another user may write to",
            "remove it, so that it is made anew",
        )


def _xattrs(fd: int) -> dict[str, bytes]:
    try:
        return {name: os.getxattr(fd, name) for name in os.listxattr(fd)}
    except OSError as error:
        if error.errno == errno.ENOTSUP:
            return {}
        raise
