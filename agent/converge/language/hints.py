"""What to say about a word that converge does not know: ours for it, or one that is near.

Those who come from Puppet, Ansible or Chef write the words that they know.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from converge.errors import close_match

if TYPE_CHECKING:
    from collections.abc import Collection

_KINDS = {
    "apt": "package", "apt_package": "package", "apk": "package", "dnf": "package", "yum": "package",
    "template": "file", "copy": "file", "cookbook_file": "file", "remote_file": "download",
    "get_url": "download", "unarchive": "archive", "link": "symlink", "lineinfile": "line",
    "file_line": "line", "blockinfile": "block", "ini_file": "ini", "ini_setting": "ini",
    "shell": "command", "exec": "command", "execute": "command", "run": "command", "script": "command",
    "systemd": "service", "cron_d": "cron", "cron_job": "cron", "ssh_authorized_key": "authorized_key",
    "hosts": "host", "pam_limits": "limits", "useradd": "user", "dir": "directory",
}  # fmt: skip
_ATTRIBUTES = {
    "ensure": "in converge that is `state`",
    "action": "in converge that is `state`",
    "path": "the name comes after the kind: `- file: /etc/motd`",
    "dest": "the name comes after the kind: `- file: /etc/motd`",
    "src": "in converge that is `source`",
    "perms": "in converge that is `mode`",
    "permissions": "in converge that is `mode`",
    "loop": "in converge that is `for_each`",
    "with_items": "in converge that is `for_each`",
    "with_dict": "in converge that is `for_each`",
    "requires": "in converge that is `require`",
    "depends_on": "in converge that is `require`",
    "only_if": "in converge that is `when`",
    "onlyif": "in converge that is `when`",
    "not_if": "in converge that is `when`, with `not`",
    "notifies": "in converge that is `notify`",
    "become": "every resource is managed as the agent's own user; remove it",
    "sudo": "every resource is managed as the agent's own user; remove it",
    "register": "a resource gives no result; another follows it by `subscribe` or `require`",
    "ignore_errors": "see `on_unmanageable`, and `noop`",
}
_KEYS = {
    "variables": "vars", "tasks": "resources", "imports": "include", "includes": "include",
    "hierarchy": "layers", "asserts": "assert", "assertions": "assert", "name": "profile",
}  # fmt: skip


def kind(word: str, attributes: Collection[str], known: Collection[str]) -> str:
    """Return the remedy for an unknown kind with these attributes."""
    misplaced = [attribute for attribute in attributes if attribute in known]
    if misplaced:
        return f"the kind goes first: `- {misplaced[0]}: …`"
    ours = _KINDS.get(word.rpartition(".")[2])  # ansible.builtin.copy
    if ours in known:
        return f"in converge that is `{ours}`"
    return close_match(word, known) or "see `converge kinds`"


def attribute(word: str, kind: str, known: Collection[str]) -> str:
    """Return the remedy for an unknown attribute of a resource, which may have the `known` ones."""
    remedy = _ATTRIBUTES.get(word, "")
    ours = remedy.partition("that is `")[2].partition("`")[0]
    if remedy and (not ours or ours in known):
        return remedy
    return close_match(word, known) or f"see `converge kinds {kind}`"


def key(word: str, known: Collection[str]) -> str:
    """Return the remedy for an unknown key of a profile."""
    if word in _KEYS:
        return f"in converge that is `{_KEYS[word]}`"
    return close_match(word, known) or f"a profile has {', '.join(known)}"
