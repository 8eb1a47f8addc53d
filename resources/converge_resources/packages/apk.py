"""The backend for Alpine: apk's database and /etc/apk/world (apk-world(5))."""

from __future__ import annotations

import re
import time

from converge.errors import ApplyError, BatchError
from converge_resources.packages import NEWEST, Backend, Found, Order, matches
from converge_resources.packages.patience import (
    LIST_AGE,
    LOCK_DEADLINE,
    MOST_WORDS,
    QUERY_TIMEOUT,
    find,
    patiently,
)

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Sequence

    from converge.programs.process import Completed
    from converge.system import ReadOnlySystem, System

WORLD = "/etc/apk/world"
CACHES = ("/var/cache/apk", "/etc/apk/cache")
_VITAL = frozenset({"alpine-baselayout", "apk-tools", "busybox", "musl"})
_UNHOLD = "declare `hold: false` or a `version` on it"
_LOCKED = ("Unable to lock database",)
_STEP = re.compile(r"^\(\d+/\d+\) (\w+) (\S+) \(", re.MULTILINE)


class Apk(Backend):
    """Reads the database without a program. A hold is a pin `name=version` in the world file."""

    name = "apk"
    tool = "apk"
    name_pattern = r"[A-Za-z0-9][A-Za-z0-9+._-]*"

    def read(self, system: ReadOnlySystem, names: Collection[str]) -> dict[str, Found]:
        """Return what the database says of these."""
        pinned = _pinned(system)
        return {
            name: Found(version=version, held=name in pinned)
            for name, version, _ in self._blocks(system)
            if name in names
        }

    def outdated(self, system: ReadOnlySystem, names: Collection[str]) -> set[str]:
        """Return those that an upgrade would touch, all where the indexes are too old to say."""
        if _indexes_are_old(system):
            return set(names)
        argv = [find(system, "apk"), "add", "--simulate", "--upgrade", *sorted(names)]
        done = system.query(argv, timeout=QUERY_TIMEOUT)
        if done.code != 0:
            raise ApplyError(_words(done))
        return {name for _, name in _STEP.findall(done.out)} & {*names}

    def change(self, system: System, orders: Sequence[Order]) -> None:
        """Install by one transaction, remove by another, then set or lift pins."""
        from converge_resources.packages.selection import accepted, grouped

        errors: dict[str, Exception] = {}
        found = self.read(system, [order.name for order in orders])
        left = accepted(self, orders, found, errors)
        for order in [o for o in left if found.get(o.name, Found()).held and not o.overrides_hold]:
            left.remove(order)
            errors[order.name] = ApplyError(f"{order.name} is pinned in {WORLD}", _UNHOLD)
        for group in grouped(left):
            self._install(system, [o for o in group if o.action == "install"], errors)
            self._remove(system, [o for o in group if o.action != "install"], errors)
        self._pin(system, [o for o in orders if o.hold is not None], errors)
        if errors:
            raise BatchError(errors)

    def _install(
        self, system: System, orders: Sequence[Order], errors: dict[str, Exception]
    ) -> None:
        failed: dict[str, Exception] = {}
        for fresh in (True,) if _indexes_are_old(system) else (False, True):
            if not orders:
                break
            if fresh:
                _run(system, ["update"])
            command = ["add", "--upgrade", *orders[0].options]
            failed = _carry_out(system, command, orders, _targets(system, orders))
            orders = [order for order in orders if order.name in failed]
        errors.update(failed)

    def _remove(
        self, system: System, orders: Sequence[Order], errors: dict[str, Exception]
    ) -> None:
        if not orders:
            return
        vital = _VITAL | self._agents_own(system)
        command = ["del", *(["--purge"] if any(o.action == "purge" for o in orders) else [])]
        exact = {order.name: order.name for order in orders}
        errors.update(_carry_out(system, command, orders, exact, vital))

    def _pin(self, system: System, orders: Sequence[Order], errors: dict[str, Exception]) -> None:
        found = self.read(system, [order.name for order in orders])
        for order in orders:
            if order.name in errors or order.name not in found:
                continue
            version = found[order.name].version
            done = _run(system, ["add", f"{order.name}={version}" if order.hold else order.name])
            if done.code != 0:
                errors[order.name] = ApplyError(_words(done))

    def _blocks(self, system: ReadOnlySystem) -> Iterator[tuple[str, str, str]]:
        """Yield name, version and the whole entry of every installed package."""
        for block in system.text(self.database(system) or "/").split("\n\n"):
            fields = {line[:2]: line[2:] for line in block.splitlines() if line[:2] in ("P:", "V:")}
            if "P:" in fields:
                yield fields["P:"], fields.get("V:", ""), block

    def _agents_own(self, system: ReadOnlySystem) -> set[str]:
        """Return the packages that own the running interpreter and its library."""
        import os
        import sys

        owners = set()
        paths = {os.path.realpath(sys.executable), os.path.realpath(os.__file__)}
        for path in paths:
            folder, _, file = path.lstrip("/").rpartition("/")
            for name, _, block in self._blocks(system):
                inside = block.partition(f"\nF:{folder}\n")[2].partition("\nF:")[0]
                if f"R:{file}\n" in inside + "\n":
                    owners.add(name)
        return owners


def _carry_out(
    system: System,
    command: Sequence[str],
    orders: Sequence[Order],
    exact: dict[str, str],
    vital: Collection[str] = (),
) -> dict[str, Exception]:
    """Simulate, leave out what would fail, do the rest; return what failed, by name.

    `apk del` of what others need exits 0 and does nothing.
    """
    from converge_resources.packages.selection import largest

    def objection(chosen: Sequence[Order]) -> str | None:
        argv = [find(system, "apk"), command[0], "--simulate", *command[1:]]
        done = system.query([*argv, *(exact[o.name] for o in chosen)], timeout=QUERY_TIMEOUT)
        if done.code != 0 or "not removed due to" in done.out:
            return _words(done)
        lost = sorted({n for verb, n in _STEP.findall(done.out) if verb == "Purging"} & {*vital})
        return f"this would remove {', '.join(lost)}, which the system needs" if lost else None

    good, refused = largest(orders, objection)
    errors: dict[str, Exception] = {name: ApplyError(why) for name, why in refused.items()}
    if good:
        done = _run(system, [*command, *(exact[order.name] for order in good)])
        if done.code != 0:
            errors.update({order.name: ApplyError(_words(done)) for order in good})
    return errors


def _targets(system: System, orders: Sequence[Order]) -> dict[str, str]:
    """Return what apk add is given for each name; a glob becomes the newest version it matches."""
    exact = {order.name: order.name for order in orders}
    versioned = [o for o in orders if o.version is not None and o.version != NEWEST]
    if not versioned:
        return exact
    argv = [find(system, "apk"), "policy", *(order.name for order in versioned)]
    known = policy(system.query(argv, timeout=QUERY_TIMEOUT).out)
    for order in versioned:
        wanted = order.version or ""
        fitting = [v for v in known.get(order.name, ()) if matches(wanted, v)]
        exact[order.name] += f"={max(fitting, key=_rank) if fitting else wanted}"
    return exact


def policy(text: str) -> dict[str, list[str]]:
    """Read the answer of `apk policy`: the versions known of each name."""
    found: dict[str, list[str]] = {}
    versions: list[str] = []
    for line in text.splitlines():
        if line.endswith(" policy:"):
            versions = found.setdefault(line.removesuffix(" policy:"), [])
        elif re.fullmatch(r"  \S+:", line):
            versions.append(line.strip()[:-1])
    return found


def _rank(version: str) -> list[int]:
    """Order versions by their numbers; good enough among those that one glob matches."""
    return [int(number) for number in re.findall(r"\d+", version)]


def _pinned(system: ReadOnlySystem) -> set[str]:
    tokens = system.text(WORLD).split()
    return {token.partition("=")[0] for token in tokens if "=" in token and token[0] != "!"}


def _indexes_are_old(system: ReadOnlySystem) -> bool:
    times = [
        found.st_mtime
        for folder in CACHES
        for name in system.list(folder)
        if name.startswith("APKINDEX") and (found := system.lstat(f"{folder}/{name}"))
    ]
    return not times or time.time() - max(times) > LIST_AGE


def _run(system: System, arguments: Sequence[str]) -> Completed:
    argv = [find(system, "apk"), "--no-progress", "--wait", f"{LOCK_DEADLINE:.0f}", *arguments]
    return patiently(system, argv, _LOCKED, _words)


def _words(done: Completed) -> str:
    return "\n".join(part for part in (done.err.strip(), done.out.strip()) if part)[-MOST_WORDS:]
