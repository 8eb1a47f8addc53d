"""Our own writer of accounts: the account files rewritten under the passwd lock.

For where shadow-utils are missing, below `--root`, and where an account file is a mount, which the
tools cannot replace. It leaves the same lines as the tools do.
"""

from __future__ import annotations

import time

from converge_resources.accounts import passwords
from converge_resources.accounts.defaults import Defaults
from converge_resources.accounts.editing import editing
from converge_resources.accounts.tables import names

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Any

    from converge.system import System
    from converge_resources.accounts.database import Accounts
    from converge_resources.group import GroupSpec
    from converge_resources.user import UserSpec

_DAY = 86400
_IN_SHADOW = "x"  # in passwd: the password is in shadow
_PLAIN = ("uid", "comment", "home", "shell")  # columns of passwd that are named as the attributes


class OwnWriter:
    """Changes accounts by rewriting their files. Every method may raise OSError, ApplyError."""

    def __init__(self, system: System) -> None:
        self._system = system

    def add_user(self, spec: UserSpec, gid: int | None, wanted: Mapping[str, Any]) -> None:
        """Add a user. `gid`: of the primary group, None: a new one of the user's own name."""
        defaults = Defaults(self._system)
        with editing(self._system) as accounts:
            used = {int(row["uid"]) for row in accounts.users.values()}
            uid = spec.uid
            if uid is None:
                uid = defaults.free("UID", used, system=spec.system)
            if gid is None:
                gid = _add_own_group(accounts, defaults, spec, uid)
            _add_password_line(accounts, defaults, spec)
            row = {
                "name": spec.name,
                "password": "!" if accounts.table("shadow") is None else _IN_SHADOW,
                "uid": str(uid),
                "gid": str(gid),
                "comment": spec.comment or "",
                "home": defaults.home(spec.name) if spec.home is None else spec.home,
                "shell": defaults.shell if spec.shell is None else spec.shell,
            }
            accounts.put("passwd", row)
            _set_groups(accounts, spec.name, wanted)
            set_passwords(accounts, spec.name, wanted)

    def change_user(self, spec: UserSpec, gid: int | None, wanted: Mapping[str, Any]) -> None:
        """Change the wanted attributes of a user; `gid`: the primary group's if that is wanted."""
        with editing(self._system) as accounts:
            row = dict(accounts.users[spec.name])
            row.update({name: str(wanted[name]) for name in _PLAIN if name in wanted})
            if gid is not None and "gid" in wanted:
                row["gid"] = str(gid)
            accounts.put("passwd", row)
            _set_groups(accounts, spec.name, wanted)
            set_passwords(accounts, spec.name, wanted)

    def remove_user(self, name: str) -> None:
        """Remove a user, its memberships, and its own group as userdel(8) does."""
        defaults = Defaults(self._system)
        with editing(self._system) as accounts:
            gid = accounts.users[name]["gid"]
            for group in accounts.groups_of(name):
                members = names(accounts.groups[group]["members"])
                accounts.set_members(group, [member for member in members if member != name])
            accounts.remove(name, "shadow", "passwd")
            own = accounts.groups.get(name)
            shared = any(row["gid"] == gid for row in accounts.users.values())
            ours = own is not None and own["gid"] == gid and not own["members"]
            if defaults.user_groups and ours and not shared:
                accounts.remove(name, "gshadow", "group")

    def add_group(self, spec: GroupSpec) -> None:
        """Add a group without members."""
        defaults = Defaults(self._system)
        with editing(self._system) as accounts:
            gid = spec.gid
            if gid is None:
                used = {int(row["gid"]) for row in accounts.groups.values()}
                gid = defaults.free("GID", used, system=spec.system)
            _add_group_lines(accounts, spec.name, gid)

    def change_group(self, spec: GroupSpec, gid: int) -> None:
        """Change a group's id, and with it the primary group of its users, as groupmod(8) does."""
        with editing(self._system) as accounts:
            old = accounts.groups[spec.name]
            accounts.put("group", {**old, "gid": str(gid)})
            for row in [*accounts.users.values()]:
                if row["gid"] == old["gid"]:
                    accounts.put("passwd", {**row, "gid": str(gid)})

    def remove_group(self, name: str) -> None:
        """Remove a group that is nobody's primary group."""
        with editing(self._system) as accounts:
            accounts.remove(name, "gshadow", "group")


def set_members(system: System, group: str, members: tuple[str, ...]) -> None:
    """Set the members of a group. gpasswd(1) would refuse names that are not users yet."""
    with editing(system) as accounts:
        accounts.set_members(group, members)


def set_passwords(accounts: Accounts, user: str, wanted: Mapping[str, Any]) -> None:
    """Set what shadow holds: password, locked, expires and the password's ages, where wanted."""
    changes = aging(wanted)
    password, locked = wanted.get("password"), wanted.get("locked")
    if password is not None or locked is not None:
        live = accounts.password_of(user)
        changes["password"] = passwords.combine(live, password, locked)
        if passwords.split(changes["password"])[0] != passwords.split(live)[0]:
            changes["changed"] = _today()
    if not changes:
        return
    if accounts.table("shadow") is None:
        row = {**accounts.users[user], "password": changes["password"]}
        accounts.put("passwd", row)
        return
    row = accounts.shadow_of(user) or _password_line(user, {})
    accounts.put("shadow", {**row, **changes})
    if accounts.users[user]["password"] != _IN_SHADOW:
        accounts.put("passwd", {**accounts.users[user], "password": _IN_SHADOW})


def aging(wanted: Mapping[str, Any]) -> dict[str, str]:
    """Return the columns of shadow that hold what is wanted of the ages; empty: no limit."""
    found = {}
    if "expires" in wanted:
        found["expires"] = passwords.days_of(wanted["expires"])
    if "password_min_age" in wanted:
        found["minimum"] = str(wanted["password_min_age"])
    if "password_max_age" in wanted:
        days = wanted["password_max_age"]
        found["maximum"] = "" if days == -1 else str(days)
    return found


def _today() -> str:
    return str(int(time.time()) // _DAY)


def _password_line(user: str, ages: Mapping[str, str]) -> dict[str, str]:
    empty = dict.fromkeys(("minimum", "maximum", "warning", "inactive", "expires", "reserved"), "")
    return {"name": user, "password": "!", "changed": _today(), **empty, **ages}


def _add_password_line(accounts: Accounts, defaults: Defaults, spec: UserSpec) -> None:
    if accounts.table("shadow") is not None:
        ages = defaults.aging(system=spec.system)
        accounts.put("shadow", _password_line(spec.name, ages))


def _add_own_group(accounts: Accounts, defaults: Defaults, spec: UserSpec, uid: int) -> int:
    """Add the group of the user's own name, with the user's number where that is free."""
    used = {int(row["gid"]) for row in accounts.groups.values()}
    gid = defaults.free("GID", used, system=spec.system, preferred=uid)
    _add_group_lines(accounts, spec.name, gid)
    return gid


def _add_group_lines(accounts: Accounts, name: str, gid: int) -> None:
    accounts.put("group", {"name": name, "password": _IN_SHADOW, "gid": str(gid), "members": ""})
    if accounts.table("gshadow") is not None:
        line = {"name": name, "password": "!", "administrators": "", "members": ""}
        accounts.put("gshadow", line)


def _set_groups(accounts: Accounts, user: str, wanted: Mapping[str, Any]) -> None:
    if "groups" not in wanted:
        return
    for group, row in [*accounts.groups.items()]:
        members = names(row["members"])
        if (group in wanted["groups"]) != (user in members):
            kept = [member for member in members if member != user]
            accounts.set_members(group, kept if user in members else [*members, user])
