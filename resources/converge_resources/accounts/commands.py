"""Changing accounts by shadow-utils: useradd(8), usermod(8), chpasswd(8), chage(1) and the like."""

from __future__ import annotations

import time

from converge import probe
from converge_resources.accounts import passwords
from converge_resources.accounts.database import Accounts
from converge_resources.accounts.lock import clear_stale
from converge_resources.accounts.own import aging

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Any

    from converge.system import System
    from converge_resources.group import GroupSpec
    from converge_resources.user import UserSpec

PROGRAMS = (
    "useradd", "usermod", "userdel", "groupadd", "groupmod", "groupdel", "chpasswd", "chage",
)  # fmt: skip
_AGES = {"expires": "-E", "minimum": "-m", "maximum": "-M"}
_TRIES = 3
_PAUSE = 1.0  # seconds between tries; each waits 15 s for the lock itself
_PLAIN = {"uid": "-u", "comment": "-c", "home": "-d", "shell": "-s"}


class ShadowUtils:
    """Changes accounts by programs. Every method may raise OSError, ApplyError."""

    def __init__(self, system: System) -> None:
        self._system = system

    def add_user(self, spec: UserSpec, gid: int | None, wanted: Mapping[str, Any]) -> None:
        """Add a user. `gid`: of the primary group, None: a new one of the user's own name."""
        options = ["-M", *_plain(wanted), *(["-U"] if gid is None else ["-g", str(gid)])]
        options += ["-r"] if spec.system else []
        options += _duplicate(wanted, spec.allow_duplicate_uid)
        if wanted.get("groups"):
            options += ["-G", ",".join(wanted["groups"])]
        self._run("useradd", *options, "--", spec.name)
        self._set_passwords(spec.name, wanted)

    def change_user(self, spec: UserSpec, gid: int | None, wanted: Mapping[str, Any]) -> None:
        """Change the wanted attributes of a user; `gid`: the primary group's if that is wanted."""
        options = _plain(wanted) + _duplicate(wanted, spec.allow_duplicate_uid)
        if gid is not None and "gid" in wanted:
            options += ["-g", str(gid)]
        if "groups" in wanted:
            options += ["-G", ",".join(wanted["groups"])]
        if options:
            self._run("usermod", *options, "--", spec.name)
        self._set_passwords(spec.name, wanted)

    def remove_user(self, name: str) -> None:
        """Remove a user; userdel takes its memberships and its own group with it."""
        self._run("userdel", "--", name)

    def add_group(self, spec: GroupSpec) -> None:
        """Add a group without members."""
        options = [] if spec.gid is None else ["-g", str(spec.gid)]
        options += ["-o"] if spec.allow_duplicate_gid and options else []
        self._run("groupadd", *options, *(["-r"] if spec.system else []), "--", spec.name)

    def change_group(self, spec: GroupSpec, gid: int) -> None:
        """Change a group's id; groupmod changes the primary group of its users too."""
        duplicate = ["-o"] if spec.allow_duplicate_gid else []
        self._run("groupmod", "-g", str(gid), *duplicate, "--", spec.name)

    def remove_group(self, name: str) -> None:
        """Remove a group that is nobody's primary group."""
        self._run("groupdel", "--", name)

    def _set_passwords(self, user: str, wanted: Mapping[str, Any]) -> None:
        password, locked = wanted.get("password"), wanted.get("locked")
        if password is not None or locked is not None:
            live = Accounts(self._system).password_of(user)
            field = passwords.combine(live, password, locked)
            if field != live:
                self._set_field(user, live, field)
        ages = aging(wanted)
        options = [part for c, days in ages.items() for part in (_AGES[c], days or "-1")]
        if options:
            self._run("chage", *options, "--", user)

    def _set_field(self, user: str, live: str, field: str) -> None:
        """Set the password field. It is a secret: it goes by stdin, never in an argument."""
        if field == f"!{live}":
            self._run("usermod", "-L", "--", user)
        elif live == f"!{field}":
            self._run("usermod", "-U", "--", user)
        else:
            self._run("chpasswd", "-e", stdin=f"{user}:{field}\n".encode())

    def _run(self, program: str, *arguments: str, stdin: bytes = b"") -> None:
        """Run a program; "try again later" is believed only where the file can be written at all."""
        path = self._system.which(program) or program
        clear_stale(self._system)
        for left in range(_TRIES)[::-1]:
            done = self._system.run([path, *arguments], stdin=stdin, timeout=120)
            busy = done.code != 0 and "try again later" in done.err
            if not busy or not left or probe.writable(self._system, "/etc/passwd"):
                break
            time.sleep(_PAUSE)
        done.check()


def _plain(wanted: Mapping[str, Any]) -> list[str]:
    found = ((option, wanted[name]) for name, option in _PLAIN.items() if name in wanted)
    return [part for option, value in found for part in (option, str(value))]


def _duplicate(wanted: Mapping[str, Any], allowed: bool) -> list[str]:
    return ["-o"] if allowed and "uid" in wanted else []
