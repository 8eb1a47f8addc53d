"""Names and ids of owners, from /etc/passwd and /etc/group below the root prefix.

Where the root is the machine's own, the C library's other sources (LDAP, extrausers) are asked too.
A name that is not known yet is no error here: its user may be made in an earlier wave.
"""

from __future__ import annotations

from converge.errors import ApplyError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from converge.read_only import ReadOnlySystem

FILES = {"user": "/etc/passwd", "group": "/etc/group"}


class Owners:
    """One reading of the account files. Make a new one for each inspect or apply."""

    def __init__(self, system: ReadOnlySystem) -> None:
        self._system = system
        self._ids: dict[str, dict[str, int]] = {}
        self._names: dict[str, dict[int, str]] = {}
        self._asked: dict[tuple[str, str], int | None] = {}

    def uid(self, owner: str) -> int | None:
        """Return the user id of a name or a number in a string; None: there is no such user."""
        return self._id("user", owner)

    def gid(self, group: str) -> int | None:
        """Return the group id of a name or a number in a string; None: there is no such group."""
        return self._id("group", group)

    def known(self, owner: str | None, group: str | None) -> tuple[int | None, int | None]:
        """Return (uid, gid) of what is declared; None: not declared, or not known yet."""
        uid = self.uid(owner) if owner is not None else None
        return uid, self.gid(group) if group is not None else None

    def ids(self, owner: str | None, group: str | None) -> tuple[int | None, int | None]:
        """Return (uid, gid) of what is declared. Raises ApplyError for a name that is unknown."""
        uid, gid = self.known(owner, group)
        if owner and uid is None:
            raise ApplyError(f"there is no user {owner!r}", "declare it as a `user` resource")
        if group and gid is None:
            raise ApplyError(f"there is no group {group!r}", "declare it as a `group` resource")
        return uid, gid

    def spelled(self, what: str, wanted: str | None, live: int) -> str:
        """Return the live id as `wanted` spells it if it is that, else its name, else its number."""
        if wanted is not None and self._id(what, wanted) == live:
            return wanted
        if what not in self._names:
            pairs = reversed(self._table(what).items())  # of several names the first counts
            self._names[what] = {number: name for name, number in pairs}
        return self._names[what].get(live, str(live))

    def _id(self, what: str, name: str) -> int | None:
        if name.isdigit():
            return int(name)
        found = self._table(what).get(name)
        return self._foreign(what, name) if found is None else found

    def _foreign(self, what: str, name: str) -> int | None:
        if self._system.prefixed:
            return None
        if (what, name) not in self._asked:
            import grp
            import pwd

            try:
                found = pwd.getpwnam(name).pw_uid if what == "user" else grp.getgrnam(name).gr_gid
            except KeyError:
                found = None
            self._asked[what, name] = found
        return self._asked[what, name]

    def _table(self, what: str) -> dict[str, int]:
        if what not in self._ids:
            self._ids[what] = {}
            for line in self._system.text(FILES[what]).split("\n"):  # U+2028 ends no line
                name, _, rest = line.partition(":")
                number = rest.partition(":")[2].partition(":")[0]
                if number.isdigit():
                    self._ids[what].setdefault(name, int(number))
        return self._ids[what]
