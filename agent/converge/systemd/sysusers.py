"""sysusers.d(5) as `user` and `group` resources. What is there already stays as it is."""

from __future__ import annotations

from converge.systemd import files, words
from converge.systemd.specifiers import Specifiers

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from converge.read_only import ReadOnlySystem
    from converge.systemd.files import Line
    from converge.systemd.found import Found

_FIELDS = 6  # type, name, id, GECOS, home, shell
_LAST_SYSTEM = 999  # Debian Policy, 9.2.2
_NOLOGIN = "/usr/sbin/nologin"


def read(system: ReadOnlySystem, found: Found) -> None:
    """Add the groups, then the users with the groups that they are members of."""
    reading = _Reading(system, found)
    for line in files.lines("sysusers", system, found):
        try:
            reading.take(line)
        except ValueError as error:
            found.note(line, str(error))
    reading.finish()


class _Reading:
    def __init__(self, system: ReadOnlySystem, found: Found) -> None:
        self._system, self._found = system, found
        self._specifiers = Specifiers(system)
        self._there = {"user": _ids(system, "passwd"), "group": _ids(system, "group")}
        self._taken = {kind: {*ids.values()} for kind, ids in self._there.items()}
        self._users: dict[str, tuple[Line, list[str]]] = {}
        self._groups: dict[str, tuple[Line, str]] = {}
        self._members: dict[str, tuple[Line, list[str]]] = {}

    def take(self, line: Line) -> None:
        """Read one line. Raises ValueError."""
        fields, rest = words.split(line.text, _FIELDS)
        if rest:
            raise ValueError(f"there is more than {_FIELDS} fields: {rest[:40]!r}")
        fields = [self._specifiers.expand(field) for field in fields]
        kind, name, *more = fields
        number, *about = [*("" if one == "-" else one for one in more), "", "", "", ""][:4]
        if kind in ("u", "u!"):
            self._once(self._users, name, (line, [number, *about]), line)
        elif kind == "g":
            self._once(self._groups, name, (line, number), line)
        elif kind == "m" and number:
            self._members.setdefault(name, (line, []))[1].append(number)
        elif kind == "r":
            raise ValueError("a range of ids is not followed: login.defs(5) says it")
        else:
            raise ValueError(f"{line.text!r} is no line of sysusers.d(5)")

    def _once(self, table: dict[str, Any], name: str, entry: Any, line: Line) -> None:
        if table.setdefault(name, entry)[1:] != entry[1:]:
            first = table[name][0]
            self._found.note(
                line, f"{name} is declared at {first.file}:{first.number}, which counts"
            )

    def finish(self) -> None:
        """Add the resources."""
        for user, (line, groups) in self._members.items():
            self._users.setdefault(user, (line, ["", "", "", ""]))
            for group in groups:
                self._groups.setdefault(group, (line, ""))
        made = {name: self._user(name, *entry) for name, entry in self._users.items()}
        for name, (line, number) in self._groups.items():
            self._group(name, line, number)
        for name, attributes in made.items():
            groups = self._members.get(name, (None, []))[1]
            more = {"groups": list(dict.fromkeys(groups))} if groups else {}
            line = self._users[name][0]
            self._found.add(line, "user", name, {**attributes, **more, "tags": ["system:sysusers"]})

    def _user(self, name: str, line: Line, fields: list[str]) -> dict[str, Any]:
        if name in self._there["user"]:
            return {}
        number, comment, home, shell = fields
        number, colon, group = number.partition(":")
        uid = self._number("user", "" if number == "-" else number, line)
        if not colon:
            group = name
            self._groups.setdefault(name, (line, number))
        return {
            "system": True, "gid": group, "home": home or "/",
            "shell": shell or ("/bin/sh" if uid == 0 else _NOLOGIN),
            **({"comment": comment} if comment else {}), **({} if uid is None else {"uid": uid}),
        }  # fmt: skip

    def _group(self, name: str, line: Line, number: str) -> None:
        attributes: dict[str, Any] = {"tags": ["system:sysusers"]}
        if name not in self._there["group"]:
            attributes["system"] = True
            gid = self._number("group", number, line)
            if gid is not None:
                attributes["gid"] = gid
        self._found.add(line, "group", name, attributes)

    def _number(self, kind: str, text: str, line: Line) -> int | None:
        """Return the id of a new account; None: any that is free."""
        number = self._owner(kind, text) if text.startswith("/") else text
        if not number:
            return None
        if not (number.isascii() and number.isdigit()):
            self._found.note(line, f"{number!r} is no id: the next that is free is taken")
            return None
        if int(number) in self._taken[kind]:
            self._found.note(line, f"the id {number} is another {kind}'s: the next is taken")
            return None
        self._taken[kind].add(int(number))
        return int(number)

    def _owner(self, kind: str, path: str) -> str:
        found = self._system.lstat(path)
        if found is None:
            return ""
        number = found.st_uid if kind == "user" else found.st_gid
        return str(number) if 0 < number <= _LAST_SYSTEM else ""


def _ids(system: ReadOnlySystem, table: str) -> dict[str, int]:
    rows = [line.split(":") for line in system.text(f"/etc/{table}").split("\n")]
    return {row[0]: int(row[2]) for row in rows if len(row) > 2 and row[2].isdigit()}
