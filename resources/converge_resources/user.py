"""The kind `user`: an account in /etc/passwd and /etc/shadow (passwd(5), shadow(5))."""

from __future__ import annotations

from converge.provider import Change, Provider, Spec, State, Unmanageable, each, reading
from converge_resources.accounts import passwords
from converge_resources.accounts.database import Accounts
from converge_resources.accounts.tables import FILES
from converge_resources.paths.owners import Owners

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence
    from typing import Annotated, ClassVar, Literal

    from pydantic import Field

    from converge.declared import Asked, Declared
    from converge.fields import AbsolutePath, AccountId, AccountName, Doc, Matching, Owner, Secret
    from converge.system import ReadOnlySystem, System

# What a field of passwd(5) may not hold: `:`, what ends a line somewhere, control characters
# (CVE-2011-0721).
PLAIN = r"[^:\x00-\x1f\x7f-\x9f\u2028\u2029]*"
NOT_PLAIN = "free of `:`, line breaks and control characters"
NO_HASH = (
    "this is no crypt(5) hash (a plain text is never taken); make one with `openssl passwd -6`, "
    "lock it by `locked: true`"
)


class UserSpec(Spec):
    """A user account."""

    name: Annotated[AccountName, Doc("Name of the user.")]
    state: Annotated[Literal["present", "absent"], Doc("Whether it exists.")] = "present"
    uid: Annotated[AccountId | None, Doc("Its number; without one, the next that is free.")] = None
    gid: Annotated[
        Owner | None,
        Doc("Name or number of the primary group; a new user's default: one of its own name."),
    ] = None
    comment: Annotated[
        Annotated[str, Matching(PLAIN, NOT_PLAIN)] | None, Doc("Full name, or what it is for.")
    ] = None
    home: Annotated[
        Annotated[AbsolutePath, Matching(PLAIN, NOT_PLAIN)] | None, Doc("Path of the home.")
    ] = None
    manage_home: Annotated[
        bool,
        Doc(
            "Make the home (with /etc/skel) where it is missing, move it, remove it with the user."
        ),
    ] = False
    shell: Annotated[
        Annotated[AbsolutePath, Matching(PLAIN, NOT_PLAIN)] | None, Doc("Path of the login shell.")
    ] = None
    system: Annotated[bool, Doc("Make a new user a system account: number below 1000.")] = False
    groups: Annotated[
        list[AccountName] | None, Doc("Groups that it is in, beside the primary one.")
    ] = None
    membership: Annotated[
        Literal["minimum", "inclusive"],
        Doc("minimum: it is in these `groups`, and may be in others; inclusive: in these alone."),
    ] = "minimum"
    password: Annotated[
        Secret | None, Doc("A crypt(5) hash, or `*` or `!` for none. Secret: never shown.")
    ] = None
    locked: Annotated[bool | None, Doc("Whether the password is locked (`!` before it).")] = None
    expires: Annotated[
        str | None, Doc("Day from which it cannot be used, YYYY-MM-DD, or `never`.")
    ] = None
    password_min_age: Annotated[
        Annotated[int, Field(ge=0, le=99999)] | None, Doc("Days before a new password.")
    ] = None
    password_max_age: Annotated[
        Annotated[int, Field(ge=-1, le=99999)] | None,
        Doc("Days after which the password must be changed; -1: never."),
    ] = None
    allow_duplicate_uid: Annotated[bool, Doc("Allow a `uid` that another user has.")] = False
    force: Annotated[bool, Doc("Change or remove it though processes of it are running.")] = False

    def problems(self) -> Iterable[tuple[str, str]]:
        """Values in their forms, no contradictions, and root protected. A password is never shown."""
        if isinstance(self.password, str) and not passwords.is_hash(self.password):
            yield "password", NO_HASH
        if self.locked is False and self.password in ("!", "!!"):
            yield "locked", "`!` is a locked password: leave `locked` out"
        if self.expires is not None and not _is_day(self.expires):
            yield "expires", "write a date after 1970-01-01 as YYYY-MM-DD in quotes, or `never`"
        if self.name == "root":
            yield from _root_problems(self)


def _is_day(text: str) -> bool:
    try:
        passwords.days_of(text)
    except ValueError:
        return False
    return True


def _root_problems(spec: UserSpec) -> Iterable[tuple[str, str]]:
    if spec.state == "absent":
        yield "state", "protected: root cannot be removed"
    if spec.uid not in (None, 0):
        yield "uid", "protected: root has the number 0"
    if spec.locked or spec.password in passwords.UNUSABLE:
        yield "locked" if spec.locked else "password", "protected: root is not locked out"
    if spec.expires not in (None, "never"):
        yield "expires", "protected: root does not expire"


class UserState(State):
    """A user. `gid` as declared; `groups` sorted; `password` without the lock's `!`.

    `manage_home`: whether something is at the home's path.
    """

    secret: ClassVar[frozenset[str]] = frozenset({"password"})

    uid: int | None = None
    gid: str | None = None
    comment: str | None = None
    home: str | None = None
    shell: str | None = None
    manage_home: bool | None = None
    groups: tuple[str, ...] | None = None
    password: str | None = None
    locked: bool | None = None
    expires: str | None = None
    password_min_age: int | None = None
    password_max_age: int | None = None


class UserProvider(Provider[UserSpec, UserState]):
    """Reads and changes users."""

    kind = "user"
    spec = UserSpec

    def desired(self, spec: UserSpec) -> UserState | None:
        """Return the user that is declared."""
        if spec.state == "absent":
            return None
        password, locked = spec.password, spec.locked
        if password is not None and password.startswith("!"):
            password, locked = "", True
        return UserState(
            uid=spec.uid, gid=spec.gid, comment=spec.comment, home=spec.home, shell=spec.shell,
            manage_home=True if spec.manage_home else None,
            groups=None if spec.groups is None else tuple(sorted({*spec.groups})),
            password=password, locked=locked, expires=spec.expires,
            password_min_age=spec.password_min_age, password_max_age=spec.password_max_age,
        )  # fmt: skip

    def inspect(
        self, specs: Sequence[UserSpec], system: ReadOnlySystem
    ) -> Mapping[str, UserState | Unmanageable]:
        """Read the users from the account files; /etc/shadow only if something in it is declared."""
        accounts, owners = Accounts(system), Owners(system)
        return reading(specs, lambda spec: _read(spec, accounts, owners, system))

    def apply(self, changes: Sequence[Change[UserSpec, UserState]], system: System) -> None:
        """Add, change or remove each user."""
        from converge_resources.accounts import users

        each(changes, lambda change: users.apply(change, system))

    def obstacles(
        self, changes: Sequence[Change[UserSpec, UserState]], system: ReadOnlySystem
    ) -> Mapping[str, Unmanageable]:
        """Say which users this container does not let us change."""
        from converge_resources.accounts import users
        from converge_resources.accounts.obstacles import obstacle

        found = {c.spec.name: obstacle(system, users.needs(c, system)) for c in changes}
        return {name: reason for name, reason in found.items() if reason}

    def claims(self, spec: UserSpec) -> Iterable[str]:
        """A home that it manages, with all below, is not purged by a directory above it."""
        yield f"user:{spec.name}"
        home = (spec.home or f"/home/{spec.name}").rstrip("/")
        if spec.manage_home and spec.state == "present" and home:
            yield f"part:{home}/\0the home of {spec.name}"

    def watches(self, spec: UserSpec) -> Iterable[str]:
        """An account is what the tables say."""
        return FILES

    def depends(self, spec: UserSpec) -> Iterable[str]:
        """A user goes after its groups: the primary one, its own name's by default, the others."""
        primary = spec.name if spec.gid is None else spec.gid
        groups = [*([] if primary.isdigit() else [primary]), *(spec.groups or ())]
        return [f"group:{group}" for group in dict.fromkeys(groups)]

    def declare(self, asked: Asked, system: ReadOnlySystem) -> Iterable[Declared]:
        """Tell of users, without their passwords."""
        from converge_resources.adoption import accounts

        return accounts.users(asked, system)


def _read(
    spec: UserSpec, accounts: Accounts, owners: Owners, system: ReadOnlySystem
) -> UserState | None:
    from converge_resources.accounts import homes

    row = accounts.users.get(spec.name)
    if row is None:
        return None
    held = accounts.groups_of(spec.name)
    if spec.groups is not None and spec.membership == "minimum" and {*spec.groups} <= {*held}:
        held = sorted({*spec.groups})
    made = spec.manage_home and homes.is_made(system, spec.home or homes.path_of(row))
    state = UserState(
        uid=int(row["uid"]), gid=owners.spelled("group", spec.gid, int(row["gid"])),
        comment=row["comment"], home=row["home"], shell=row["shell"], groups=tuple(held),
        manage_home=made if spec.manage_home else None,
    )  # fmt: skip
    in_shadow = (
        spec.password, spec.locked, spec.expires, spec.password_min_age, spec.password_max_age,
    )  # fmt: skip
    if all(value is None for value in in_shadow):
        return state
    password, locked = passwords.split(accounts.password_of(spec.name))
    ages = accounts.shadow_of(spec.name) or {}
    return state.replace(
        password=password, locked=locked, expires=passwords.date_of(ages.get("expires", "")),
        password_min_age=_number(ages.get("minimum") or "0"),
        password_max_age=_number(ages.get("maximum") or "-1"),
    )  # fmt: skip


def _number(text: str) -> int | None:
    try:
        return int(text)
    except ValueError:
        return None
