"""What is refused before anything is changed. Each raises ApplyError."""

from __future__ import annotations

import os

from converge.errors import ApplyError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from converge.system import ReadOnlySystem
    from converge_resources.accounts.database import Accounts

_SHOWN = 10  # process ids in a message


def free_uid(accounts: Accounts, user: str, uid: int) -> None:
    """Refuse a user id that another user has."""
    _free(accounts.users.items(), "user", "uid", user, uid)


def free_gid(accounts: Accounts, group: str, gid: int) -> None:
    """Refuse a group id that another group has."""
    _free(accounts.groups.items(), "group", "gid", group, gid)


def known_groups(accounts: Accounts, groups: Iterable[str]) -> None:
    """Refuse groups that are not there."""
    missing = sorted(set(groups) - accounts.groups.keys())
    if missing:
        raise ApplyError(
            f"there is no group {', '.join(missing)}", "declare it as a `group` resource"
        )


def nobodys_primary(accounts: Accounts, group: str) -> None:
    """Refuse to remove a group that is a user's primary group (groupdel(8), exit 8)."""
    gid = accounts.groups[group]["gid"]
    users = [name for name, row in accounts.users.items() if row["gid"] == gid]
    if users:
        raise ApplyError(f"it is the primary group of {', '.join(users)}", "remove the users first")


def not_protected(system: ReadOnlySystem, what: str, uid: int) -> None:
    """Refuse to remove, or renumber, uid 0 and the user that the agent acts as."""
    if uid == 0:
        raise ApplyError(f"protected: {what} of a user with uid 0")
    if uid == system.uid and not system.prefixed:
        raise ApplyError(f"protected: {what} of the user that the agent acts as")


def idle(system: ReadOnlySystem, uid: int) -> None:
    """Refuse to change a user under running processes.

    shadow-utils look too, but see nothing of other users without CAP_SYS_PTRACE. The Uid line of
    /proc/PID/status is for everyone (proc_pid_status(5)).
    """
    pids = [*processes(system, uid)]
    if pids:
        shown = ", ".join(pids[:_SHOWN]) + (", …" if len(pids) > _SHOWN else "")
        raise ApplyError(
            f"processes of uid {uid} are running: {shown}",
            "stop them, or set `force: true` on the resource",
        )


def processes(system: ReadOnlySystem, uid: int) -> Iterator[str]:
    """Yield the ids of the processes that act as a user in any way; zombies do nothing any more."""
    for pid in sorted(filter(str.isdigit, system.list("/proc")), key=int):
        try:
            status = system.text(f"/proc/{pid}/status", follow=False)
        except OSError:
            continue  # it has ended
        lines = dict(line.split(":", 1) for line in status.split("\n") if ":" in line)
        zombie = lines.get("State", "").split()[:1] in (["Z"], ["X"])
        if str(uid) in lines.get("Uid", "").split() and not zombie and pid != str(os.getpid()):
            yield pid


def _free(
    rows: Iterable[tuple[str, dict[str, str]]], kind: str, column: str, name: str, number: int
) -> None:
    holders = [other for other, row in rows if int(row[column]) == number and other != name]
    if holders:
        raise ApplyError(
            f"{column} {number} belongs to the {kind} {holders[0]}",
            f"choose another, or set `allow_duplicate_{column}: true`",
        )
