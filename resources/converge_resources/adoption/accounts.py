"""Users and groups, as they would be declared; the hash of a password is never among it."""

from __future__ import annotations

from converge.declared import Declared
from converge_resources.accounts import passwords
from converge_resources.accounts.database import Accounts
from converge_resources.accounts.tables import names
from converge_resources.paths.owners import Owners

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Collection, Iterator
    from typing import Any

    from converge.declared import Asked
    from converge.system import ReadOnlySystem
    from converge_resources.accounts.tables import Row

_NO_RULE = {"minimum": ("", "0"), "maximum": ("", "-1", "99999")}
_ATTRIBUTES = {"minimum": "password_min_age", "maximum": "password_max_age"}


def users(asked: Asked, system: ReadOnlySystem) -> Iterator[Declared]:
    """Yield these users, or all."""
    accounts, owners = Accounts(system), Owners(system)
    for name in _chosen(asked, "passwd", accounts.users, system):
        row = accounts.users.get(name)
        if row is None:
            yield Declared(kind="user", name=name, reason="there is no such user")
            continue
        attributes: dict[str, Any] = {
            "uid": int(row["uid"]), "gid": owners.spelled("group", None, int(row["gid"])),
            "comment": row["comment"], "home": row["home"], "shell": row["shell"],
        }  # fmt: skip
        given = {key: value for key, value in attributes.items() if value != ""}
        groups = accounts.groups_of(name)
        more, comments = _shadow(name, accounts)
        yield Declared(
            kind="user", name=name, comments=comments,
            attributes={**given, **({"groups": groups} if groups else {}), **more},
        )  # fmt: skip


def _shadow(name: str, accounts: Accounts) -> tuple[dict[str, Any], tuple[str, ...]]:
    """Return what shadow(5) tells, and what stands for a hash."""
    try:
        row = accounts.shadow_of(name)
        password, locked = passwords.split(accounts.password_of(name))
    except OSError as error:
        return {}, (f"/etc/shadow cannot be read: {error.strerror}",)
    found: dict[str, Any] = {"locked": True} if locked and name != "root" else {}
    comments: tuple[str, ...] = ()
    if password not in ("", "*", "x"):
        comments = (
            "it has a password, whose hash is not written here; to have it managed, refer to it:",
            f"password: {{ file: /run/secrets/{name} }}",
        )
    if row is None:
        return found, comments
    expires = passwords.date_of(row["expires"])
    if expires != "never":
        found["expires"] = expires
    for column, usual in _NO_RULE.items():
        if row[column] not in usual and row[column].isdigit():
            found[_ATTRIBUTES[column]] = int(row[column])
    return found, comments


def groups(asked: Asked, system: ReadOnlySystem) -> Iterator[Declared]:
    """Yield these groups, or all."""
    accounts = Accounts(system)
    for name in _chosen(asked, "group", accounts.groups, system):
        row = accounts.groups.get(name)
        if row is None:
            yield Declared(kind="group", name=name, reason="there is no such group")
            continue
        members = names(row["members"])
        more = {"members": members} if members else {}
        yield Declared(kind="group", name=name, attributes={"gid": int(row["gid"]), **more})


def _chosen(
    asked: Asked, table: str, rows: Collection[str] | dict[str, Row], system: ReadOnlySystem
) -> list[str]:
    if asked.names:
        return list(asked.names)
    if not asked.changed:
        return list(rows)
    from converge_resources.adoption import additions

    return additions.added(table, list(rows), system)
