"""Specifiers of tmpfiles.d(5) and sysusers.d(5), such as %m for the machine's id."""

from __future__ import annotations

import os
import platform
import re

from converge.facts.built_in import os_release

TYPE_CHECKING = False
if TYPE_CHECKING:
    from converge.read_only import ReadOnlySystem

_FIXED = {  # those of a system, not of a user
    "%": "%", "C": "/var/cache", "L": "/var/log", "S": "/var/lib", "t": "/run",
    "T": "/tmp", "V": "/var/tmp", "h": "/root", "u": "root", "g": "root", "U": "0", "G": "0",  # noqa: S108
}  # fmt: skip
_RELEASE = {
    "A": "IMAGE_VERSION", "B": "BUILD_ID", "M": "IMAGE_ID", "o": "ID", "w": "VERSION_ID",
    "W": "VARIANT_ID",
}  # fmt: skip
_MACHINES = {"x86_64": "x86-64", "aarch64": "arm64", "armv7l": "arm", "ppc64le": "ppc64-le"}
_MACHINE_ID = "/etc/machine-id"
_BOOT_ID = "/proc/sys/kernel/random/boot_id"


class Specifiers:
    """The values of one machine, each found when it is first asked for."""

    def __init__(self, system: ReadOnlySystem) -> None:
        self._system = system
        self._known = dict(_FIXED)

    def expand(self, text: str) -> str:
        """Return a text with its specifiers replaced. Raises ValueError for one that has no value."""
        return re.sub("%(.?)", lambda match: self._value(match[1]), text, flags=re.DOTALL)

    def _value(self, letter: str) -> str:
        if letter not in self._known:
            self._known[letter] = self._find(letter)
        return self._known[letter]

    def _find(self, letter: str) -> str:
        if letter in _RELEASE:
            return self._release().get(_RELEASE[letter], "")
        name = os.uname()
        host = self._system.text("/etc/hostname").strip() if self._system.prefixed else ""
        values = {
            "H": host or name.nodename, "l": (host or name.nodename).partition(".")[0],
            "v": name.release, "a": _MACHINES.get(platform.machine(), platform.machine()),
        }  # fmt: skip
        if letter in values:
            return values[letter]
        if letter == "m":
            found = self._system.text(_MACHINE_ID).strip()
        elif letter == "b":
            found = self._system.text(_BOOT_ID).strip().replace("-", "")
        else:
            raise ValueError(f"%{letter} is no specifier")
        if not re.fullmatch("[0-9a-f]{32}", found):
            what = "machine has no id" if letter == "m" else "boot's id is not to be seen"
            raise ValueError(f"%{letter}: this {what}")
        return found

    def _release(self) -> dict[str, str]:
        text = self._system.text("/etc/os-release") or self._system.text("/usr/lib/os-release")
        return os_release(text)
