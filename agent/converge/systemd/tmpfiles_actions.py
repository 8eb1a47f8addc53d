"""What a line of tmpfiles.d declares, by its type and by what is at its path now."""

from __future__ import annotations

import os
import stat

from converge.systemd import paths

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from converge.read_only import ReadOnlySystem
    from converge.systemd.files import Line
    from converge.systemd.found import Found, Item
    from converge.systemd.tmpfiles import Rule

_FACTORY = "/usr/share/factory"
_PROC_SYS = "/proc/sys/"
_KERNELS = ("/proc/", "/sys/", "/dev/")
_MOST_COPIED = 100  # files of one `C`
_MOST_TEXT = 64 << 10
_SHARED = {"tags": ["system:tmpfiles"]}


class Actions:
    """Adds resources to what was found; those that adjust come after those that make."""

    def __init__(self, system: ReadOnlySystem, found: Found) -> None:
        self._system, self._found = system, found
        self._adjusted: list[tuple[Rule, str]] = []
        self._parents: dict[str, Line] = {}

    def act(self, rule: Rule) -> None:
        """Do one line. Raises ValueError, OSError."""
        if rule.type in "dDvqQ":
            self._directory(rule)
        elif rule.type in "fF":
            self._file(rule)
        elif rule.type == "w":
            self._write(rule)
        elif rule.type == "L":
            self._link(rule)
        elif rule.type == "C":
            self._copy(rule)
        else:
            self._adjusted += [(rule, path) for path in paths.matching(rule.path, self._system)]

    def finish(self) -> None:
        """Add what was to be adjusted, and directories that are not there yet."""
        for rule, path in self._adjusted:
            try:
                self._adjust(rule, path)
            except ValueError as error:
                self._found.note(rule.line, str(error))
        for path, line in self._parents.items():
            if f"directory:{path}" not in self._found.items and not self._type(path):
                self._found.add(line, "directory", path, {"parents": True, **_SHARED})

    def _directory(self, rule: Rule) -> None:
        if rule.type == "D":
            self._found.note(rule.line, f"what is in {rule.path} is not removed (`D`)")
        if self._fits(rule, "directory"):
            self._add(rule, "directory", {"parents": True, **self._permissions(rule, rule.path)})

    def _file(self, rule: Rule) -> None:
        if not self._fits(rule, "file"):
            return
        truncates = rule.type == "F" or "+" in rule.modifiers
        content = {"content": rule.argument} if rule.argument or truncates else {}
        kept = {} if truncates or not content else {"replace": False}
        self._needs_parent(rule)
        self._add(rule, "file", {**content, **kept, **self._permissions(rule, rule.path)})

    def _write(self, rule: Rule) -> None:
        if not rule.path.startswith(_PROC_SYS) or "+" in rule.modifiers or not rule.argument:
            raise ValueError("`w` is supported for values below /proc/sys alone")
        for path in paths.matching(rule.path, self._system):
            attributes = {"value": rule.argument, "persist": False, "ignore_missing": True}
            key = path.removeprefix(_PROC_SYS)
            more = {"on_unmanageable": "warn", **_SHARED}
            self._found.add(rule.line, "sysctl", key, {**attributes, **more})

    def _link(self, rule: Rule) -> None:
        target = rule.argument or f"{_FACTORY}{rule.path}"
        if "?" in rule.modifiers and not self._type(
            paths.normal(os.path.join(os.path.dirname(rule.path), target))
        ):
            return
        there = self._type(rule.path)
        forced = "+" in rule.modifiers or ("=" in rule.modifiers and there not in ("", "symlink"))
        if there and not forced and self._system.readlink(rule.path) != target:
            return  # `L` leaves what is there
        self._needs_parent(rule)
        self._add(rule, "symlink", {"target": target, **({"force": True} if forced else {})})

    def _copy(self, rule: Rule) -> None:
        source = rule.argument or f"{_FACTORY}{rule.path}"
        there = self._type(rule.path)
        if there and (there != "directory" or self._system.list(rule.path)):
            return  # as `C` does where something is there
        todo, copied = [(paths.normal(source), rule.path)], 0
        self._needs_parent(rule)
        while todo:
            (old, new), copied = todo.pop(0), copied + 1
            if copied > _MOST_COPIED:
                raise ValueError(f"{source} has more than {_MOST_COPIED} files: not copied whole")
            todo += self._copy_one(rule, old, new)

    def _copy_one(self, rule: Rule, old: str, new: str) -> list[tuple[str, str]]:
        """Copy one file, link or directory; return what is in it."""
        kind = self._type(old)
        found = self._system.lstat(old) if kind else None
        if found is None:
            return []
        own = self._permissions(rule, new)
        if rule.path != new:
            own.pop("mode", None)  # that of the top alone
        mode = {"mode": f"{stat.S_IMODE(found.st_mode):04o}", **own}
        owner = {key: value for key, value in own.items() if key != "mode"}
        rule = rule.replace(path=new)
        if kind == "directory":
            self._add(rule, "directory", mode)
            return [(f"{old}/{name}", f"{new}/{name}") for name in self._system.list(old)]
        if kind == "symlink":
            self._add(rule, "symlink", {"target": self._system.readlink(old), **owner})
        elif kind == "file":
            data = (
                self._system.read(old, limit=_MOST_TEXT) if found.st_size <= _MOST_TEXT else b"\0"
            )
            try:
                text = (data or b"").decode()
            except UnicodeDecodeError:
                text = "\0"
            if "\0" in text:
                raise ValueError(f"{old} is no small text: not copied (`C`)")
            self._add(rule, "file", {"content": text, "replace": False, **mode})
        return []

    def _adjust(self, rule: Rule, path: str) -> None:
        known = self._declared(path)
        kind = known.kind if known else self._type(path)
        if rule.type == "e" and kind != "directory":
            return
        if kind not in ("file", "directory", "symlink"):
            raise ValueError(f"{path} is neither a file nor a directory: it is left alone")
        wanted = self._permissions(rule, path)
        if kind == "symlink":
            wanted.pop("mode", None)  # a link has none
        if rule.type == "Z" and kind == "directory" and wanted:
            mode = wanted.get("mode")
            if mode and rule.mode.startswith("~"):
                self._found.note(rule.line, f"the mode {rule.mode} is set on {path} alone (`Z`)")
            elif mode:
                wanted |= {"file_mode": mode, "directory_mode": mode}
            wanted["recurse"] = True
        if known is not None:
            known.attributes.update(wanted)
        elif wanted:
            target = {"target": self._system.readlink(path)} if kind == "symlink" else {}
            wanted = {**target, **wanted}
            self._add(rule.replace(path=path), kind, wanted)

    def _fits(self, rule: Rule, kind: str) -> bool:
        """Tell whether nothing else is at the path, or it may be replaced."""
        there = self._type(rule.path)
        if there in ("", kind) or "=" in rule.modifiers:
            return True
        self._found.note(rule.line, f"{rule.path} is no {kind}, but a {there}: it is left alone")
        return False

    def _permissions(self, rule: Rule, path: str) -> dict[str, Any]:
        """Return mode, owner and group as they are declared for what is, or is not yet, there."""
        live = self._system.lstat(path) if self._type(path) else None
        found: dict[str, Any] = {}
        for name, text in (("owner", rule.user), ("group", rule.group)):
            if text and not (text.startswith(":") and live):
                found[name] = text.removeprefix(":")
        mode = rule.mode
        if mode and not (":" in mode and live):
            bits = mode.lstrip(":~")
            if not bits or len(bits) > 5 or bits.strip("01234567"):
                raise ValueError(f"{mode!r} is no mode")
            number = int(bits, 8)
            if "~" in mode and live is not None:
                number = _masked(number, live.st_mode)
            found = {"mode": f"{number:04o}", **found}
        return found

    def _needs_parent(self, rule: Rule) -> None:
        self._parents.setdefault(os.path.dirname(rule.path), rule.line)

    def _add(self, rule: Rule, kind: str, attributes: dict[str, Any]) -> None:
        more: dict[str, Any] = dict(_SHARED)
        if "!" in rule.modifiers:
            more["phase"] = ["bake", "start"]
        if "-" in rule.modifiers or rule.path.startswith(_KERNELS):
            more["on_unmanageable"] = "warn"
        if "=" in rule.modifiers and self._type(rule.path) not in ("", kind):
            more["force"] = True
        known = self._declared(rule.path)
        if known is None:
            self._found.add(rule.line, kind, rule.path, {**attributes, **more})
        elif (known.kind, known.attributes) != (kind, {**attributes, **more}):
            first = f"{known.line.file}:{known.line.number}"
            self._found.note(rule.line, f"{rule.path} is declared at {first}, which counts")

    def _declared(self, path: str) -> Item | None:
        ids = [f"{kind}:{path}" for kind in ("file", "directory", "symlink")]
        return next((self._found.items[one] for one in ids if one in self._found.items), None)

    def _type(self, path: str) -> str:
        return paths.type_of(path, self._system)


def _masked(mode: int, live: int) -> int:
    """Return a mode without the kinds of access that nobody has now (`~`)."""
    for bits in (0o111, 0o222, 0o444):
        if not live & bits:
            mode &= ~bits
    return mode if stat.S_ISDIR(live) else mode & 0o777
