"""The four account files together, read once and written whole."""

from __future__ import annotations

from converge_resources.accounts.tables import COLUMNS, Row, Table, names

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable

    from converge.system import ReadOnlySystem, System

# A passwd line says that a user exists, a group line that a group does: these are written last, so
# that what a kill interrupts is begun again.
_WRITTEN = ("gshadow", "shadow", "group", "passwd")


class Accounts:
    """One reading of /etc/passwd, group, shadow and gshadow, each when it is first needed."""

    def __init__(self, system: ReadOnlySystem) -> None:
        self._system = system
        self._tables: dict[str, Table | None] = {}
        self._read: dict[str, bytes | None] = {}

    def table(self, name: str) -> Table | None:
        """Return a table, None if the file is not there. Raises OSError."""
        if name not in self._tables:
            data = self._system.read(f"/etc/{name}")
            self._read[name] = data
            self._tables[name] = None if data is None else Table(data, COLUMNS[name])
        return self._tables[name]

    def needed(self, name: str) -> Table:
        """Return a table, an empty one if the file is not there. Raises OSError."""
        found = self.table(name)
        if found is None:
            found = self._tables[name] = Table(b"", COLUMNS[name])
        return found

    @property
    def users(self) -> dict[str, Row]:
        """The entries of passwd by name."""
        return self.needed("passwd").rows()

    @property
    def groups(self) -> dict[str, Row]:
        """The entries of group by name."""
        return self.needed("group").rows()

    def groups_of(self, user: str) -> list[str]:
        """Return the groups that list a user as a member, sorted."""
        return sorted(n for n, row in self.groups.items() if user in names(row["members"]))

    def shadow_of(self, user: str) -> Row | None:
        """Return a user's entry in shadow; None: there is none, or no such file."""
        table = self.table("shadow")
        return None if table is None else table.rows().get(user)

    def password_of(self, user: str) -> str:
        """Return the field that holds a user's password: in shadow, or in passwd without it."""
        row = self.shadow_of(user) or self.users.get(user)
        return row["password"] if row else ""

    def put(self, name: str, row: Row) -> None:
        """Replace or add an entry of a table that has to be there."""
        self.needed(name).put(row)

    def set_members(self, group: str, members: Iterable[str]) -> None:
        """Set the members of a group, in group and, where it has an entry, in gshadow."""
        field = ",".join(members)
        self.put("group", {**self.groups[group], "members": field})
        shadow = self.table("gshadow")
        if shadow is not None and group in shadow.rows():
            shadow.put({**shadow.rows()[group], "members": field})

    def remove(self, name: str, *tables: str) -> None:
        """Remove every entry of a name from these tables."""
        for table in map(self.table, tables):
            if table is not None:
                table.remove(name)

    def save(self, system: System) -> None:
        """Write the files that differ from what was read; owner and mode stay. Raises OSError."""
        for name in _WRITTEN:
            table = self._tables.get(name)
            data = b"" if table is None else table.serialise()
            if data != (self._read.get(name) or b""):
                system.write(f"/etc/{name}", data)
