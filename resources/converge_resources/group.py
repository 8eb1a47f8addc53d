"""The kind `group`: a group of users in /etc/group (group(5), gshadow(5))."""

from __future__ import annotations

from converge.errors import ApplyError
from converge.provider import Change, Provider, Spec, State, Unmanageable, each, reading
from converge_resources.accounts import guards
from converge_resources.accounts.database import Accounts
from converge_resources.accounts.obstacles import Needs, obstacle
from converge_resources.accounts.tables import FILES, names

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence
    from typing import Annotated, Literal

    from converge.declared import Asked, Declared
    from converge.fields import AccountId, AccountName, Doc
    from converge.system import ReadOnlySystem, System


class GroupSpec(Spec):
    """A group of users."""

    name: Annotated[AccountName, Doc("Name of the group.")]
    state: Annotated[Literal["present", "absent"], Doc("Whether it exists.")] = "present"
    gid: Annotated[AccountId | None, Doc("Its number; without one, the next that is free.")] = None
    system: Annotated[
        bool, Doc("Choose the number of a new group from the range of system groups.")
    ] = False
    members: Annotated[
        list[AccountName] | None, Doc("Users in it, beside those whose primary group it is.")
    ] = None
    membership: Annotated[
        Literal["minimum", "inclusive"],
        Doc("minimum: `members` belong to it, others may; inclusive: they alone."),
    ] = "minimum"
    allow_duplicate_gid: Annotated[bool, Doc("Allow a `gid` that another group has.")] = False

    def problems(self) -> Iterable[tuple[str, str]]:
        """The group of root is protected, and 0 is its number alone."""
        if self.name == "root" and self.state == "absent":
            yield "state", "protected: the group root cannot be removed"
        if self.name == "root" and self.gid not in (None, 0):
            yield "gid", "protected: the group root has the number 0"


class GroupState(State):
    """A group: `members` sorted."""

    gid: int | None = None
    members: tuple[str, ...] | None = None


class GroupProvider(Provider[GroupSpec, GroupState]):
    """Reads and changes groups."""

    kind = "group"
    spec = GroupSpec

    def watches(self, spec: GroupSpec) -> Iterable[str]:
        """A group is what the tables say."""
        return FILES

    def desired(self, spec: GroupSpec) -> GroupState | None:
        """Return the group that is declared."""
        if spec.state == "absent":
            return None
        members = None if spec.members is None else tuple(sorted({*spec.members}))
        return GroupState(gid=spec.gid, members=members)

    def inspect(
        self, specs: Sequence[GroupSpec], system: ReadOnlySystem
    ) -> Mapping[str, GroupState | Unmanageable]:
        """Read the groups from /etc/group."""
        accounts = Accounts(system)

        def read(spec: GroupSpec) -> GroupState | None:
            row = accounts.groups.get(spec.name)
            if row is None:
                return None
            members = names(row["members"])
            held = spec.membership == "minimum" and {*(spec.members or ())} <= {*members}
            found = (spec.members or ()) if held and spec.members is not None else members
            return GroupState(gid=int(row["gid"]), members=tuple(sorted({*found})))

        return reading(specs, read)

    def rests_on(self, spec: GroupSpec) -> Iterable[str]:
        """All that is read of a group is in one file."""
        return ("/etc/group",)

    def apply(self, changes: Sequence[Change[GroupSpec, GroupState]], system: System) -> None:
        """Add, change or remove each group."""
        each(changes, lambda change: _apply(change, system))

    def obstacles(
        self, changes: Sequence[Change[GroupSpec, GroupState]], system: ReadOnlySystem
    ) -> Mapping[str, Unmanageable]:
        """Say which groups this container does not let us change."""
        found = {change.spec.name: obstacle(system, _needs(change)) for change in changes}
        return {name: reason for name, reason in found.items() if reason}

    def declare(self, asked: Asked, system: ReadOnlySystem) -> Iterable[Declared]:
        """Tell of groups."""
        from converge_resources.adoption import accounts

        return accounts.groups(asked, system)


def _needs(change: Change[GroupSpec, GroupState]) -> Needs:
    files = ["group", "gshadow"]
    if change.before is not None and change.wants("gid"):
        files.append("passwd")
    return Needs(kind="group", files=tuple(files))


def _apply(change: Change[GroupSpec, GroupState], system: System) -> None:
    from converge_resources.accounts.own import set_members
    from converge_resources.accounts.ways import way

    spec, before, after = change.spec, change.before, change.after
    accounts = Accounts(system)
    _check(change, accounts)
    if after is None:
        way(system).remove_group(spec.name)
        return
    if before is None:
        way(system).add_group(spec)
    elif change.wants("gid") and spec.gid is not None:
        way(system).change_group(spec, spec.gid)
    if after.members is not None and (before is None or change.wants("members")):
        found = [] if before is None else names(accounts.groups[spec.name]["members"])
        kept = [n for n in found if spec.membership == "minimum" or n in after.members]
        set_members(system, spec.name, (*kept, *(n for n in after.members if n not in kept)))


def _check(change: Change[GroupSpec, GroupState], accounts: Accounts) -> None:
    """Refuse what must not be. Raises ApplyError."""
    spec, before = change.spec, change.before
    removed = change.after is None
    if before is not None and before.gid == 0 and (removed or change.wants("gid")):
        raise ApplyError("protected: the group with gid 0 is neither removed nor renumbered")
    if removed:
        guards.nobodys_primary(accounts, spec.name)
    elif change.wants("gid") and spec.gid is not None and not spec.allow_duplicate_gid:
        guards.free_gid(accounts, spec.name, spec.gid)
