"""Options of mounts, as mount(8) takes them and as /proc/self/mountinfo shows them."""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

# Flags that a mount has or has not; what is said here is what it means that one is not shown.
_FLAGS = ("nosuid", "nodev", "noexec", "noatime", "nodiratime", "relatime", "sync", "dirsync")
_UNSET = {
    "suid": "nosuid", "dev": "nodev", "exec": "noexec", "atime": "noatime",
    "diratime": "nodiratime", "async": "sync", "norelatime": "relatime",
}  # fmt: skip
# Words for mount(8) or for boot, which the kernel never sees.
_NOT_FOR_THE_KERNEL = {"defaults", "auto", "noauto", "nofail", "_netdev", "user", "users", "nouser"}
_BINDS = ("bind", "rbind")
_SUFFIXES = {"k": 1 << 10, "m": 1 << 20, "g": 1 << 30, "t": 1 << 40}
_TMPFS_DEFAULTS = {"mode": "1777", "uid": "0", "gid": "0"}


def binds(kind: str, options: Sequence[str]) -> bool:
    """Tell whether a mount shows a directory or file at a second place."""
    return kind in _BINDS or any(option in _BINDS for option in options)


def holding(declared: Sequence[str], live: Sequence[str], kind: str) -> bool:
    """Tell whether a mount has the declared options, as far as the kernel shows them."""
    return all(_holds(option, live, kind) for option in declared)


def _holds(option: str, live: Sequence[str], kind: str) -> bool:
    if option in ("ro", "rw"):
        return ("ro" in live) == (option == "ro")
    if option in _FLAGS:
        return option in live
    if option in _UNSET:
        return _UNSET[option] not in live
    key, equals, value = option.partition("=")
    if not equals or option in _NOT_FOR_THE_KERNEL or key.startswith("x-"):
        return True
    shown = [one.partition("=")[2] for one in live if one.startswith(f"{key}=")]
    if not shown:
        expected = _TMPFS_DEFAULTS.get(key, "") if kind == "tmpfs" else ""
        compared = kind == "tmpfs" and key in ("size", "nr_inodes", *_TMPFS_DEFAULTS)
        return not compared or (expected != "" and _same(key, value, expected))
    return any(_same(key, value, one) for one in shown)


def _same(key: str, first: str, second: str) -> bool:
    """Tell whether two spellings mean one value."""
    if first == second or first.endswith("%"):  # of the memory, which is shown as a number
        return True
    if key == "mode":
        return first.lstrip("0") == second.lstrip("0")
    numbers = _number(first), _number(second)
    return None not in numbers and numbers[0] == numbers[1]


def _number(text: str) -> int | None:
    """Return a size in bytes, or a number; None: it is none."""
    unit = _SUFFIXES.get(text[-1:].lower(), 1)
    digits = text if unit == 1 else text[:-1]
    return int(digits) * unit if digits.isascii() and digits.isdigit() else None
