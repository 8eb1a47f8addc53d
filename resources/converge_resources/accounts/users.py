"""Making the changes of a user: what is refused, the order of the steps, the home."""

from __future__ import annotations

from converge.errors import ApplyError
from converge_resources.accounts import guards, homes, passwords
from converge_resources.accounts.database import Accounts
from converge_resources.accounts.defaults import Defaults
from converge_resources.accounts.obstacles import Needs
from converge_resources.accounts.ways import way
from converge_resources.paths.owners import Owners

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from converge.provider import Change
    from converge.system import ReadOnlySystem, System
    from converge_resources.user import UserSpec, UserState

SHADOW_FIELDS = ("password", "locked", "expires", "password_min_age", "password_max_age")
_AGES = SHADOW_FIELDS[2:]
_PASSWD_FIELDS = ("uid", "gid", "comment", "home", "shell")


def apply(change: Change[UserSpec, UserState], system: System) -> None:
    """Add, change or remove a user. Raises OSError, ApplyError."""
    accounts = Accounts(system)
    if change.after is None:
        _remove(change.spec, accounts, system)
    elif change.before is None:
        _add(change, accounts, system)
    else:
        _change(change, accounts, system)


def needs(change: Change[UserSpec, UserState], system: ReadOnlySystem) -> Needs:
    """Return what a change writes."""
    spec = change.spec
    whole = change.before is None or change.after is None
    files = []
    if whole or any(map(change.wants, _PASSWD_FIELDS)):
        files.append("passwd")
    if whole or any(map(change.wants, SHADOW_FIELDS)):
        files.append("shadow" if system.lstat("/etc/shadow") else "passwd")
    own_group = change.before is None and spec.gid is None
    if change.after is None or own_group or change.wants("groups"):
        files += ["group", "gshadow"]
    home = None
    if change.wants("manage_home") or (spec.manage_home and change.wants("home")):
        home = spec.home or Defaults(system).home(spec.name)
    gives = home is not None or (change.before is not None and change.wants("uid"))
    return Needs(kind="user", files=tuple(files), home=home, gives=gives)


def _remove(spec: UserSpec, accounts: Accounts, system: System) -> None:
    uid = int(accounts.users[spec.name]["uid"])
    guards.not_protected(system, "the removal", uid)
    busy = _busy(spec, uid, system)
    if spec.manage_home:  # first: a home without a user would never be found again
        homes.remove(system, spec.name, accounts.users)
    way(system, force=busy).remove_user(spec.name)


def _add(change: Change[UserSpec, UserState], accounts: Accounts, system: System) -> None:
    spec, wanted = change.spec, _wanted(change, accounts)
    _check(change, accounts, "!")
    gid = _primary(spec, accounts, system)
    way(system).add_user(spec, gid, wanted)
    if spec.manage_home:
        _make_home(spec.name, system)


def _change(change: Change[UserSpec, UserState], accounts: Accounts, system: System) -> None:
    spec, wanted = change.spec, _wanted(change, accounts)
    row = accounts.users[spec.name]
    old = (int(row["uid"]), int(row["gid"]))
    if "uid" in wanted:
        guards.not_protected(system, "the number", old[0])
    _check(change, accounts, accounts.password_of(spec.name))
    gid = _primary(spec, accounts, system) if "gid" in wanted else None
    new = (wanted.get("uid", old[0]), old[1] if gid is None else gid)
    busy = ("uid" in wanted or "home" in wanted) and _busy(spec, old[0], system)
    if new != old:
        homes.give(system, homes.path_of(row), old, new)
    moves = spec.manage_home and "home" in wanted
    copied = moves and homes.move(system, spec.name, accounts.users, wanted["home"], new[0])
    way(system, force=busy).change_user(spec, gid, wanted)
    if copied:
        system.remove_tree(homes.path_of(row), backup=False)
    if spec.manage_home:
        _make_home(spec.name, system)


def _wanted(change: Change[UserSpec, UserState], accounts: Accounts) -> dict[str, Any]:
    """Return the attributes to be set: those that differ, and `groups` as they shall be in all."""
    wanted = {field.field: field.after for field in change.fields}
    if change.after is not None and ("password" in wanted or "locked" in wanted):
        wanted["password"], wanted["locked"] = change.after.password, change.after.locked
    if "groups" in wanted and change.spec.membership == "minimum":
        held = accounts.groups_of(change.spec.name)
        wanted["groups"] = tuple(sorted({*held, *wanted["groups"]}))
    return wanted


def _check(change: Change[UserSpec, UserState], accounts: Accounts, password: str) -> None:
    """Refuse what cannot be, before anything is changed; `password` is the live field."""
    spec, after = change.spec, change.after
    if change.wants("uid") and spec.uid is not None and not spec.allow_duplicate_uid:
        guards.free_uid(accounts, spec.name, spec.uid)
    if change.wants("groups"):
        guards.known_groups(accounts, spec.groups or ())
    if after is not None and (change.wants("password") or change.wants("locked")):
        passwords.combine(password, after.password, after.locked)
    if any(map(change.wants, _AGES)) and accounts.table("shadow") is None:
        raise ApplyError("there is no /etc/shadow, which holds dates and ages", "run pwconv")


def _busy(spec: UserSpec, uid: int, system: System) -> bool:
    """Tell whether processes of the user run and that is no hindrance. Raises ApplyError if it is."""
    if not spec.force:
        guards.idle(system, uid)
    return any(guards.processes(system, uid))


def _primary(spec: UserSpec, accounts: Accounts, system: System) -> int | None:
    """Return the primary group's id; None: the user's own group is to be made. Raises ApplyError."""
    if spec.gid is None:
        own = accounts.groups.get(spec.name)
        return None if own is None else int(own["gid"])
    if spec.gid.isdigit():
        if int(spec.gid) not in {int(row["gid"]) for row in accounts.groups.values()}:
            raise ApplyError(f"there is no group {spec.gid}", "declare it as a `group` resource")
        return int(spec.gid)
    return Owners(system).ids(None, spec.gid)[1]


def _make_home(user: str, system: System) -> None:
    defaults = Defaults(system)
    row = Accounts(system).users[user]
    ids = int(row["uid"]), int(row["gid"])
    homes.make(system, homes.path_of(row), defaults.skeleton, *ids, defaults.home_mode)
