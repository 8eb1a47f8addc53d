"""As whom a program of a profile runs: its user's ids, groups and variables."""

from __future__ import annotations

import os

from converge.errors import ApplyError, CannotManageError
from converge.probe import CAP_SETGID, CAP_SETUID
from converge.programs.process import Context
from converge_resources.paths.owners import Owners

TYPE_CHECKING = False
if TYPE_CHECKING:
    from converge.system import ReadOnlySystem


def context(
    system: ReadOnlySystem,
    user: str | None,
    group: str | None,
    *,
    folder: str = "/",
    umask: int = 0o022,
) -> tuple[Context, dict[str, str]]:
    """Return where and as whom a program runs, and its user's variables.

    Raises ApplyError (no such user, group), CannotManageError (a capability is missing).
    """
    made = Context(folder=folder, umask=umask)
    uid, gid = Owners(system).ids(user, group)
    account: dict[str, str] = {}
    groups: tuple[int, ...] | None = None
    if uid is not None:
        gid, groups, account = _account(uid, gid)
    if uid in (None, system.uid) and gid in (None, os.getegid()):
        return made, account
    if uid not in (None, system.uid) and not system.capable(CAP_SETUID):
        raise CannotManageError(
            f"it cannot be run as {user}: only root with CAP_SETUID becomes another user",
            "start the agent as root, or leave `user` out",
        )
    if not system.capable(CAP_SETGID):
        raise CannotManageError(
            "its groups cannot be set: CAP_SETGID is missing",
            "start the agent as root with that capability, or leave `user` and `group` out",
        )
    return made.replace(uid=uid, gid=gid, groups=groups), account


def _account(uid: int, gid: int | None) -> tuple[int, tuple[int, ...], dict[str, str]]:
    """Return group, supplementary groups and the variables of login(1) for a user."""
    import pwd

    try:
        entry = pwd.getpwuid(uid)
    except KeyError:
        if gid is None:
            raise ApplyError(f"user {uid} has no entry in /etc/passwd", "give a `group`") from None
        return gid, (), {"HOME": "/"}
    gid = entry.pw_gid if gid is None else gid
    groups = tuple(os.getgrouplist(entry.pw_name, gid))
    return gid, groups, {
        "HOME": entry.pw_dir, "USER": entry.pw_name, "LOGNAME": entry.pw_name,
    }  # fmt: skip
