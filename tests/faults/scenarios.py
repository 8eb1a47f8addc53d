"""Changes that are killed half-way: what is there before, what is done, what may be seen.

Every scenario lives in FOLDER: `root/` is the agent's root prefix, `state/` its state.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

from converge.files.backup import Backups
from converge.files.journal import Journal
from converge.files.together import Together
from converge.system import System

ROOT = os.geteuid() == 0
OLD_OWNER = 1234 if ROOT else os.geteuid()
NEW_OWNER = 4321 if ROOT else os.geteuid()
OLD = b"old " * 3000
NEW = b"new " * 2000  # shorter: a torn write in place shows in its tail
TARGET = "/etc/target"


class Scenario(NamedTuple):
    """A name, what is there before (under root/etc/target) and the change."""

    prepare: Callable[[Path], None]
    change: Callable[[System], None]
    keeps: bool = True  # the old content must be in the backups once it has gone


def _file(mode: int, content: bytes = OLD) -> Callable[[Path], None]:
    def prepare(target: Path) -> None:
        target.write_bytes(content)
        os.chown(target, OLD_OWNER, OLD_OWNER if ROOT else -1)
        target.chmod(mode)
        if ROOT:
            os.setxattr(target, "trusted.converge-test", b"kept")

    return prepare


def _replace(mode: int) -> Callable[[System], None]:
    return lambda system: system.write(TARGET, NEW, uid=NEW_OWNER, mode=mode)


def _write_together(system: System) -> None:
    together = Together(system)
    for path in ("/etc/before", TARGET, "/etc/after"):
        together.owner = path
        system.write(path, NEW, uid=NEW_OWNER, mode=0o600, together=together)
    together.finish()
    for error in together.errors.values():
        raise error
    assert system.read("/etc/before") == system.read("/etc/after") == NEW


def _make_directory(system: System) -> None:
    if system.lstat(TARGET) is None:
        system.make_directory(TARGET, uid=NEW_OWNER, mode=0o2750)


def _need_content(system: System) -> None:
    assert system.read(TARGET) == OLD


def _remove_tree(system: System) -> None:
    if system.lstat(TARGET) is not None:
        system.remove_tree(TARGET)


def _tree(target: Path) -> None:
    (target / "inner").mkdir(parents=True)
    (target / "inner/file").write_bytes(OLD)
    (target / "link").symlink_to("inner")


SCENARIOS = {
    "replace": Scenario(_file(0o640), _replace(0o600)),
    "together": Scenario(_file(0o640), _write_together),
    "set-user-id": Scenario(_file(0o4755), _replace(0o4711)),
    "create": Scenario(lambda target: None, _replace(0o640), keeps=False),
    "attributes": Scenario(
        _file(0o4755),
        lambda system: system.set_attributes(TARGET, uid=NEW_OWNER, mode=0o4711),
        keeps=False,
    ),
    "directory": Scenario(lambda target: None, _make_directory, keeps=False),
    "symlink": Scenario(
        lambda target: target.symlink_to("old"),
        lambda system: system.make_symlink(TARGET, "new", uid=NEW_OWNER),
        keeps=False,
    ),
    "remove": Scenario(_file(0o640), lambda system: system.remove(TARGET)),
    "remove-tree": Scenario(_tree, _remove_tree),
    "read": Scenario(_file(0o640), _need_content, keeps=False),
    "in-place": Scenario(_file(0o640), _replace(0o600)),
}


def target_of(folder: Path) -> Path:
    """Return where the target really is."""
    return folder / "root" / TARGET[1:]


def prepare(name: str, folder: Path) -> None:
    """Lay out a scenario in an empty directory."""
    (folder / "state").mkdir(parents=True, mode=0o700)
    target = target_of(folder)
    target.parent.mkdir(parents=True)
    SCENARIOS[name].prepare(target)


def backups(folder: Path) -> Backups:
    """Return the backups of a scenario."""
    return Backups(str(folder / "state/backups"))


def system_of(folder: Path) -> System:
    """Return the agent's door to a scenario."""
    journal = Journal(str(folder / "state/journal"))
    return System(str(folder / "root"), backups=backups(folder), journal=journal)


def run(name: str, folder: Path) -> list[str]:
    """Do what a run of the agent does; return the paths that it recovered."""
    system = system_of(folder)
    recovered = system.recover()
    system.sweep("/etc")
    assert system.journal is not None
    assert system.journal.pending == []
    SCENARIOS[name].change(system)
    return recovered


def recover(folder: Path) -> list[str]:
    """Do only what a run does first."""
    return system_of(folder).recover()


def observe(path: Path) -> tuple[object, ...]:
    """Return all that matters of a path and what is below it."""
    try:
        found = os.lstat(path)
    except FileNotFoundError:
        return ("absent",)
    whole: tuple[object, ...] = (found.st_mode, found.st_uid, found.st_gid)
    if stat.S_ISLNK(found.st_mode):
        return (*whole, os.readlink(path))
    xattrs = tuple((name, os.getxattr(path, name)) for name in sorted(os.listxattr(path)))
    if stat.S_ISREG(found.st_mode):
        return (*whole, xattrs, path.read_bytes())
    names = sorted(os.listdir(path))
    return (*whole, xattrs, *((name, observe(path / name)) for name in names))


def staged(folder: Path) -> list[Path]:
    """Return every temporary file below the scenario."""
    return list(folder.rglob(".converge-*"))
