"""What of accounts and packages is the image's own, and what was added to it (Debian)."""

from __future__ import annotations

import re

from converge_resources.accounts.database import Accounts

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Collection, Iterable

    from converge.system import ReadOnlySystem

_MASTERS = "/usr/share/base-passwd"  # what every Debian has (base-passwd(8))
_INFO = "/var/lib/dpkg/info"
_SYSUSERS = "/usr/lib/sysusers.d"
_IDS = {"passwd": "uid", "group": "gid"}
_FIRST, _LAST = 1000, 59999  # ids of people (Debian Policy, 9.2.2)
_STATUS = "/var/lib/dpkg/status"
_BASE = ("required", "important")
_MADE = re.compile(r"adduser|addgroup|useradd|groupadd|sysuser")


def added(table: str, names: list[str], system: ReadOnlySystem) -> list[str]:
    """Return the accounts that neither base-passwd nor the script of a package makes."""
    accounts = Accounts(system)
    rows = accounts.users if table == "passwd" else accounts.groups
    master = system.text(f"{_MASTERS}/{table}.master").split("\n")
    known = {line.partition(":")[0] for line in master}
    left = [name for name in names if name not in known]
    people = [n for n in left if _FIRST <= int(rows[n][_IDS[table]]) <= _LAST]
    made = _made_by_packages({*left} - {*people}, system)
    return [name for name in left if name not in made]


def _made_by_packages(names: Collection[str], system: ReadOnlySystem) -> set[str]:
    """Return those of the names that a package's script, or its sysusers.d, speaks of."""
    found: set[str] = set()
    scripts = [f"{_INFO}/{n}" for n in system.list(_INFO) if n.endswith((".postinst", ".preinst"))]
    tables = [f"{_SYSUSERS}/{name}" for name in system.list(_SYSUSERS)]
    for path in [*scripts, *tables] if names else ():
        text = system.text(path)
        if path in tables or _MADE.search(text):
            found |= {n for n in names if re.search(rf"(?<![\w-]){re.escape(n)}(?![\w-])", text)}
    return found


def without(names: Iterable[str], system: ReadOnlySystem) -> list[str]:
    """Return the packages that are no part of every Debian, nor needed by what is one."""
    stanzas = _stanzas(system.text(_STATUS))
    todo = [n for n, one in stanzas.items() if _is_base(one)]
    base: set[str] = set()
    while todo:
        name = todo.pop()
        if name in base or name not in stanzas:
            continue
        base.add(name)
        needs = f"{stanzas[name].get('Depends', '')},{stanzas[name].get('Pre-Depends', '')}"
        todo += re.findall(r"(?:^|[,|])\s*([a-z0-9][a-z0-9+.-]+)", needs)
    return [name for name in names if name not in base]


def _is_base(stanza: dict[str, str]) -> bool:
    essential = "yes" in (stanza.get("Essential"), stanza.get("Important"), stanza.get("Protected"))
    return essential or stanza.get("Priority") in _BASE


def _stanzas(text: str) -> dict[str, dict[str, str]]:
    found = {}
    for chunk in text.split("\n\n"):
        fields = dict(
            line.split(": ", 1) for line in chunk.split("\n") if re.match(r"\w[\w-]*: ", line)
        )
        if "Package" in fields:
            found[fields["Package"]] = fields
    return found
