"""Parts of files, as they would be declared: names of /etc/hosts, limits, keys of users."""

from __future__ import annotations

import os

from converge.declared import Declared
from converge.errors import ConvergeError
from converge_resources.accounts.database import Accounts
from converge_resources.ssh import keys as ssh_keys

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

    from converge.declared import Asked
    from converge.system import ReadOnlySystem

_HOSTS = "/etc/hosts"
_ENGINES = ("localhost", "ip6-localhost", "ip6-loopback", "host.containers.internal",
    "host.docker.internal", "gateway.docker.internal", "ip6-localnet", "ip6-mcastprefix",
    "ip6-allnodes", "ip6-allrouters")  # fmt: skip
_LIMITS = ("/etc/security/limits.conf", "/etc/security/limits.d")


def hosts(asked: Asked, system: ReadOnlySystem) -> Iterator[Declared]:
    """Yield these names of /etc/hosts, or all but those that every engine writes itself."""
    lines = [line.partition("#")[0].split() for line in system.text(_HOSTS).split("\n")]
    found: dict[str, list[list[str]]] = {}
    for words in lines:
        if len(words) > 1:
            found.setdefault(words[1].lower(), []).append(words)
    own = "" if system.prefixed else os.uname().nodename.lower()
    all_ = [name for name in found if name not in _ENGINES and name != own]
    for name in asked.names or all_:
        rows = found.get(name.lower())
        if rows is None:
            reason = f"it is first in no line of {_HOSTS}"
            yield Declared(kind="host", name=name, reason=reason)
            continue
        aliases = rows[0][2:] if len({tuple(words[2:]) for words in rows}) == 1 else []
        yield Declared(
            kind="host", name=rows[0][1],
            attributes={
                "ip": [words[0].lower() for words in rows],
                **({"aliases": aliases} if aliases else {}),
            },
        )  # fmt: skip


def limits(asked: Asked, system: ReadOnlySystem) -> Iterator[Declared]:
    """Yield the limits of these domains, or all."""
    folder = _LIMITS[1]
    inside = [f"{folder}/{name}" for name in system.list(folder) if name.endswith(".conf")]
    rows = []
    for path in (_LIMITS[0], *inside):
        for line in system.text(path).split("\n"):
            words = line.partition("#")[0].split()
            if len(words) == 4:
                rows.append((path, words))
    for name in asked.names:
        if name not in {words[0] for _, words in rows}:
            yield Declared(kind="limits", name=name, reason="no limit is for this domain")
    seen: set[str] = set()
    for path, (domain, kind, item, value) in rows:
        if asked.names and domain not in asked.names:
            continue
        title = f"{domain} {kind} {item}"
        title = f"{title} in {path}" if title in seen else title
        seen.add(title)
        yield Declared(
            kind="limits", name=title,
            attributes={
                "path": path, "domain": domain, "type": kind, "item": item,
                "value": int(value) if value.isdigit() else value,
            },
        )  # fmt: skip


def keys(asked: Asked, system: ReadOnlySystem) -> Iterator[Declared]:
    """Yield the keys of these users, or of all."""
    from converge_resources.authorized_key import AuthorizedKeySpec
    from converge_resources.ssh.authorized_file import place_of, read

    accounts = Accounts(system)
    for user in asked.names or accounts.users:
        dummy = AuthorizedKeySpec(name=user, user=user, key=())
        try:
            place = place_of(dummy, accounts)
            text = None if place is None else read(place, system)
        except (OSError, ConvergeError) as error:
            if asked.names:
                yield Declared(kind="authorized_key", name=user, reason=str(error))
            continue
        entries = [ssh_keys.entry(line) for line in (text or "").split("\n")]
        there = [entry for entry in entries if entry is not None]
        if not there and asked.names:
            reason = "there is no such user" if place is None else "no key may be used"
            yield Declared(kind="authorized_key", name=user, reason=reason)
        for number, entry in enumerate(there, 1):
            yield _key(user, number, entry)


def _key(user: str, number: int, entry: ssh_keys.Entry) -> Declared:
    made = Declared(kind="authorized_key", name=f"{user}: {entry.key.comment or number}")
    if not entry.key.comment:
        return made.replace(reason="a key without a comment is given one by the first run")
    options = _options(entry.options)
    key = f"{entry.key.type} {entry.key.data} {entry.key.comment}"
    more = {"options": options} if options else {}
    return made.replace(attributes={"user": user, "key": key, **more})


def _options(text: str) -> list[str]:
    """Return the options of a line, which are parted by commas outside quotes."""
    found, quoted, before = [""], False, ""
    for letter in text:
        if letter == '"' and before != "\\":
            quoted = not quoted
        if letter == "," and not quoted:
            found.append("")
        else:
            found[-1] += letter
        before = letter
    return [option for option in found if option]
