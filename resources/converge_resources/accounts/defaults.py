"""What useradd(8) takes from /etc/login.defs and /etc/default/useradd (login.defs(5))."""

from __future__ import annotations

from itertools import chain

from converge.errors import ApplyError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Collection

    from converge.system import ReadOnlySystem


class Defaults:
    """The settings of this machine, or shadow-utils' own where it has none."""

    def __init__(self, system: ReadOnlySystem) -> None:
        lines = system.text("/etc/login.defs").split("\n")
        pairs = [line.split(None, 1) for line in lines if not line.lstrip().startswith("#")]
        self._login = {pair[0]: pair[1].strip() for pair in pairs if len(pair) == 2}
        lines = system.text("/etc/default/useradd").split("\n")
        self._useradd = dict(line.strip().split("=", 1) for line in lines if "=" in line)

    def number(self, name: str, default: int) -> int:
        """Return a number of login.defs, octal after a leading 0, hexadecimal after 0x (strtol)."""
        text = self._login.get(name, "")
        try:
            return int(text, 8 if text.startswith("0") and text.isdigit() else 0)
        except ValueError:
            return default

    @property
    def user_groups(self) -> bool:
        """Whether a user's own group goes with the user (USERGROUPS_ENAB)."""
        return self._login.get("USERGROUPS_ENAB", "").lower() == "yes"

    @property
    def shell(self) -> str:
        """The shell of a user that declares none."""
        return self._useradd.get("SHELL", "/bin/sh")

    @property
    def skeleton(self) -> str:
        """The directory whose content a new home gets."""
        return self._useradd.get("SKEL", "/etc/skel")

    def home(self, user: str) -> str:
        """Return the home of a user that declares none."""
        return f"{self._useradd.get('HOME', '/home')}/{user}"

    @property
    def home_mode(self) -> int:
        """The mode of a new home: HOME_MODE, else by UMASK, else 0700."""
        return self.number("HOME_MODE", 0o777 & ~self.number("UMASK", 0o077)) & 0o7777

    def aging(self, *, system: bool) -> dict[str, str]:
        """Return the fields of a new line in shadow; a system account's password does not age."""
        if system:
            return {"minimum": "", "maximum": "", "warning": ""}
        return {
            "minimum": str(self.number("PASS_MIN_DAYS", 0)),
            "maximum": str(self.number("PASS_MAX_DAYS", 99999)),
            "warning": str(self.number("PASS_WARN_AGE", 7)),
        }

    def free(
        self, kind: str, used: Collection[int], *, system: bool, preferred: int | None = None
    ) -> int:
        """Return a free id as useradd(8) chooses it: above the highest, of the system's below the
        lowest; where that leaves the range, the first gap.

        `kind` is UID or GID; `preferred` is taken where it is free and in range. Raises ApplyError.
        """
        first, last = self._range(kind, system=system)
        if preferred is not None and first <= preferred <= last and preferred not in used:
            return preferred
        inside = [number for number in used if first <= number <= last]
        if system:
            tries = range(min(inside, default=last + 1) - 1, first - 1, -1)
            again = range(last, first - 1, -1)
        else:
            tries = range(max(inside, default=first - 1) + 1, last + 1)
            again = range(first, last + 1)
        for number in chain(tries[:1], again):
            if number not in used:
                return number
        raise ApplyError(f"no {kind} from {first} to {last} is free", "see /etc/login.defs")

    def _range(self, kind: str, *, system: bool) -> tuple[int, int]:
        first = self.number(f"{kind}_MIN", 1000)
        if system:
            return self.number(f"SYS_{kind}_MIN", 101), self.number(f"SYS_{kind}_MAX", first - 1)
        return first, self.number(f"{kind}_MAX", 60000)
