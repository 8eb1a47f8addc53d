"""What to say about a word that converge does not know: ours for it, or one that is near.

Those who come from Puppet, Ansible or Chef write the words that they know.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from converge.errors import close_match

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence
    from typing import Any

STOCK = "/etc/converge/profiles"  # in the base image
_KINDS = {
    "apt": "package", "apt_package": "package", "apk": "package", "dnf": "package", "yum": "package",
    "template": "file", "copy": "file", "cookbook_file": "file", "remote_file": "download",
    "get_url": "download", "unarchive": "archive", "link": "symlink", "lineinfile": "line",
    "file_line": "line", "blockinfile": "block", "ini_file": "ini", "ini_setting": "ini",
    "shell": "command", "exec": "command", "execute": "command", "run": "command", "script": "command",
    "systemd": "service", "cron_d": "cron", "cron_job": "cron", "ssh_authorized_key": "authorized_key",
    "hosts": "host", "pam_limits": "limits", "useradd": "user", "dir": "directory",
}  # fmt: skip
_ATTRIBUTES = {  # of these, the first that the kind has
    "ensure": "state", "action": "state", "perms": "mode", "permissions": "mode", "chmod": "mode",
    "loop": "for_each", "with_items": "for_each", "with_dict": "for_each",
    "requires": "require", "depends_on": "require", "notifies": "notify",
    "only_if": "when", "onlyif": "only_if when",
    "src": "source target url", "source": "target url", "to": "target", "fstype": "type",
    "device": "source", "checksum": "digest", "sha256": "digest", "sha256sum": "digest",
    "strip_components": "strip", "option": "key", "setting": "key", "line": "content",
    "block": "content", "match": "regexp", "after": "insertafter", "group": "gid",
    "create_home": "manage_home", "createhome": "manage_home", "managehome": "manage_home",
    "gecos": "comment", "append": "membership", "address": "ip", "ipaddress": "ip",
    "cmd": "argv", "chdir": "cwd", "environment": "env", "env": "environment",
    "refreshonly": "refresh_only", "retries": "tries", "job": "command",
    "special_time": "schedule", "monthday": "day", "patterns": "matches",
}  # fmt: skip
_THE_NAME = "the name comes after the kind: `- file: /etc/motd`"
_OWN_USER = "every resource is managed as the agent's own user; remove it"
_ENABLED = "whether it starts with the container is not managed: the run at a start starts it"
_SAID = {
    "path": _THE_NAME,
    "dest": _THE_NAME,
    "not_if": "in converge that is `when`, with `not`",
    "become": _OWN_USER,
    "sudo": _OWN_USER,
    "enabled": _ENABLED,
    "enable": _ENABLED,
    "register": "a resource gives no result; another follows it by `subscribe` or `require`",
    "ignore_errors": "see `on_unmanageable`, and `noop`",
    "validate_certs": "a server's certificate is always checked; see `ca`",
}
_KEYS = {
    "variables": "vars", "tasks": "resources", "imports": "include", "includes": "include",
    "hierarchy": "layers", "asserts": "assert", "assertions": "assert", "name": "profile",
}  # fmt: skip


def kind(word: str, attributes: Collection[str], known: Collection[str]) -> str:
    """Return the remedy for an unknown kind with these attributes."""
    for attribute in attributes:
        misplaced = _ours(attribute, known)
        if misplaced:
            return f"the kind goes first: `- {misplaced}: …`"
    ours = _ours(word, known)
    if ours:
        return f"in converge that is `{ours}`"
    return close_match(word, known) or "see `converge kinds`"


def _ours(word: str, known: Collection[str]) -> str:
    """Return what another system's kind, as `ansible.builtin.copy`, is called here, or ""."""
    last = word.rpartition(".")[2]
    return next((kind for kind in (last, _KINDS.get(last, "")) if kind in known), "")


def attribute(word: str, kind: str, known: Collection[str]) -> str:
    """Return the remedy for an unknown attribute of a resource, which may have the `known` ones."""
    ours = [one for one in _ATTRIBUTES.get(word, "").split() if one in known]
    if ours:
        return f"in converge that is `{ours[0]}`"
    return _SAID.get(word) or close_match(word, known) or f"see `converge kinds {kind}`"


def include(name: str) -> str:
    """Return the remedy for an include that cannot be had, "" if it is none of the stock profiles."""
    if not os.path.isfile(f"{STOCK}/{os.path.basename(name)}"):
        return ""
    return f"to include stock profiles, link {STOCK} to `profiles` beside this profile"


def value(
    message: str,
    where: Sequence[str | int],
    kind: str,
    known: Collection[str],
    given: Mapping[str, Any],
) -> tuple[str, str]:
    """Return message and remedy for what is wrong with a value at a place of what was `given`."""
    if "unknown attribute" in message and len(where) == 1:
        return message, attribute(str(where[0]), kind, known)
    raw: Any = given
    for part in where:
        raw = raw.get(part) if isinstance(raw, dict) else None
    if not isinstance(raw, str) or "{{" not in raw:
        return message, ""
    what, number, _ = message.partition("; quote it")  # it is quoted, but a single expression
    if number:
        return what, "a single expression keeps its type: end it with `| string`"
    what, text, rest = message.partition("; write ")
    if text and rest.endswith("without quotes"):
        return what, "a single expression keeps its type: end it with `| int`"
    return message, ""


def key(word: str, known: Collection[str]) -> str:
    """Return the remedy for an unknown key of a profile."""
    if word in _KEYS:
        return f"in converge that is `{_KEYS[word]}`"
    return close_match(word, known) or f"a profile has {', '.join(known)}"
