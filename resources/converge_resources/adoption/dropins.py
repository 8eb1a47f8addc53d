"""Jobs of cron and rules of sudo, as they would be declared: a file of another form as a `file`."""

from __future__ import annotations

from converge.declared import Declared
from converge_resources import cron_schedule
from converge_resources.adoption import files
from converge_resources.cron import declared_command
from converge_resources.paths.owners import Owners

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from typing import Any

    from converge.declared import Asked
    from converge.system import ReadOnlySystem

CRON, SUDOERS = "/etc/cron.d", "/etc/sudoers.d"
_MARK = "# Managed by converge."
_NOT_READ = (".placeholder", "README")


def cron(asked: Asked, system: ReadOnlySystem) -> Iterator[Declared]:
    """Yield these jobs of /etc/cron.d, or all."""
    return _declare("cron", CRON, _job, asked, system)


def sudoers(asked: Asked, system: ReadOnlySystem) -> Iterator[Declared]:
    """Yield these files of /etc/sudoers.d, or all."""
    return _declare("sudoers", SUDOERS, lambda text: {"content": text}, asked, system)


def _declare(
    kind: str, folder: str, parse: Callable[[str], dict[str, Any] | None],
    asked: Asked, system: ReadOnlySystem,
) -> Iterator[Declared]:  # fmt: skip
    owners = Owners(system)
    there = [name for name in system.list(folder) if name not in _NOT_READ]
    for name in asked.names or there:
        path = f"{folder}/{name}"
        if "/" in name or name not in there:
            yield Declared(kind=kind, name=name, reason=f"there is no {path}")
            continue
        as_file = files.of("file", path, system, owners)
        text = as_file.attributes.get("content")
        mode = "0644" if kind == "cron" else "0440"
        found = system.lstat(path)
        ours = found is not None and found.st_uid == system.uid
        ours = ours and as_file.attributes.get("mode") == mode
        attributes = parse(text) if ours and isinstance(text, str) else None
        if attributes is None:
            yield as_file
        else:
            yield Declared(kind=kind, name=name, attributes=attributes)


def _job(text: str) -> dict[str, Any] | None:
    """Return what a file that the kind `cron` wrote declares; None: it has another form."""
    lines = text.split("\n")
    if lines[0] != _MARK or lines[-1] or len(lines) < 3:
        return None
    environment = {}
    for line in lines[1:-2]:
        key, equals, value = line.partition("=")
        if not equals or value[:1] not in ("'", '"'):
            return None
        environment[key] = value[1:-1]
    words = lines[-2].split(" ")
    fields = 1 if words[0].startswith("@") else len(cron_schedule.FIELDS)
    if len(words) < fields + 2:
        return None
    return {
        "schedule": " ".join(words[:fields]), "user": words[fields],
        "command": declared_command(" ".join(words[fields + 1 :])),
        **({"environment": environment} if environment else {}),
    }  # fmt: skip
