"""sysctl.d(5) as `sysctl` resources: live values, as systemd-sysctl(8) would set them."""

from __future__ import annotations

from fnmatch import fnmatchcase

from converge.systemd import files, paths

TYPE_CHECKING = False
if TYPE_CHECKING:
    from converge.read_only import ReadOnlySystem
    from converge.systemd.files import Line
    from converge.systemd.found import Found

_PROC = "/proc/sys/"
_SPECIAL = ("*", "?", "[")


def read(system: ReadOnlySystem, found: Found) -> None:
    """Add each key once, with the value of the last line that sets it; then those of patterns."""
    plain: dict[str, tuple[Line, str, bool]] = {}
    globs: dict[str, tuple[Line, str, bool]] = {}
    excluded: list[str] = []
    for line in files.lines("sysctl", system, found):
        key, equals, value = line.text.partition("=")
        key, optional = key.strip(), key.strip().startswith("-")
        path = _path(key.removeprefix("-").strip())
        if not equals and optional:
            excluded.append(path)
        elif not equals or not path or not value.strip():
            found.note(line, f"{line.text!r} sets no key to a value")
        elif any(sign in path for sign in _SPECIAL):
            globs[path] = line, value.strip(), optional
        else:
            plain.pop(path, None)  # it goes to its place in the order
            plain[path] = line, value.strip(), optional
    for pattern, entry in globs.items():
        for path in _matching(pattern, entry[0], system, found):
            if path not in plain and not any(fnmatchcase(path, one) for one in excluded):
                plain[path] = entry
    for path, (line, value, optional) in plain.items():
        attributes = {
            "value": value, "persist": False, "ignore_missing": True,
            "on_unmanageable": "skip" if optional else "warn", "tags": ["system:sysctl"],
        }  # fmt: skip
        found.add(line, "sysctl", path, attributes)


def _path(key: str) -> str:
    """Return a key with slashes between its parts: what separates first is what separates."""
    first = next((letter for letter in key if letter in "./"), "")
    if first == "/":
        return key
    return key.translate(str.maketrans("./", "/."))


def _matching(pattern: str, line: Line, system: ReadOnlySystem, found: Found) -> list[str]:
    try:
        there = paths.matching(_PROC + pattern, system)
    except ValueError as error:
        found.note(line, str(error))
        return []
    return [path.removeprefix(_PROC) for path in there if paths.type_of(path, system) == "file"]
