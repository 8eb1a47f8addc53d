"""The backend for Alpine: apk's database, apk(8)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from converge.errors import ApplyError, BatchError
from converge_resources.packages import NEWEST, Backend, Found, Order
from converge_resources.packages.patience import QUERY_TIMEOUT, find, patiently
from converge_resources.packages.selection import accepted, grouped, largest

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence

    from converge.process import Completed
    from converge.system import ReadOnlySystem, System

INSTALLED = "/lib/apk/db/installed"
_LOCKED = ("Unable to lock database",)
_MINUTES = "1440"  # the index is fetched again when it is older than a day


class Apk(Backend):
    """Reads the database without a program; `apk del` exits 0 for what it keeps, so read again."""

    name = "apk"
    databases = (INSTALLED,)
    tool = "apk"
    name_pattern = r"[A-Za-z0-9][A-Za-z0-9+._-]*"
    holds = False

    def read(self, system: ReadOnlySystem, names: Collection[str]) -> dict[str, Found]:
        """Return the installed ones: stanzas of `P:name` and `V:version`."""
        found, name = {}, ""
        for line in system.text(INSTALLED).splitlines():
            if line.startswith("P:"):
                name = line[2:]
            elif line.startswith("V:") and name in names:
                found[name] = Found(version=line[2:])
        return found

    def outdated(self, system: ReadOnlySystem, names: Collection[str]) -> set[str]:
        """Return those that `apk list --upgradable` names: `… [upgradable from: name-1.0-r0]`."""
        argv = [find(system, "apk"), "list", "--upgradable"]
        lines = system.query(argv, timeout=QUERY_TIMEOUT).check().out.splitlines()
        marks = (line.partition("upgradable from: ")[2].rstrip("]") for line in lines)
        return {mark.rsplit("-", 2)[0] for mark in marks if mark} & {*names}

    def change(self, system: System, orders: Sequence[Order]) -> None:
        """Add together, then remove together."""
        errors: dict[str, Exception] = {}
        known = self.read(system, [order.name for order in orders])
        for group in grouped(accepted(self, orders, known, errors)):
            for verb, actions in (("add", ("install",)), ("del", ("remove", "purge"))):
                chosen = [order for order in group if order.action in actions]
                _run(system, verb, chosen, errors)
        for order in orders:
            if order.hold:
                errors[order.name] = ApplyError("apk holds no packages; declare a `version`")
        if errors:
            raise BatchError(errors)


def _argv(system: ReadOnlySystem, verb: str, orders: Sequence[Order], *more: str) -> list[str]:
    options = [*more, *(orders[0].options if orders else ())]
    if verb == "add":
        options += ["--cache-max-age", _MINUTES]
        options += ["--upgrade"] if any(order.version == NEWEST for order in orders) else []
    return [find(system, "apk"), verb, "--no-progress", *options, *map(_target, orders)]


def _target(order: Order) -> str:
    """Return `name`, `name=version`, or `name~1.2` for the glob `1.2*` (apk-world(5))."""
    if order.action != "install" or order.version in (None, NEWEST):
        return order.name
    if "*" in (order.version or ""):
        return f"{order.name}~{(order.version or '').rstrip('*.')}"
    return f"{order.name}={order.version}"


def _run(system: System, verb: str, orders: Sequence[Order], errors: dict[str, Exception]) -> None:
    def objection(some: Sequence[Order]) -> str | None:
        tried = system.query(_argv(system, verb, some, "--simulate"), timeout=QUERY_TIMEOUT)
        return _words(tried) if tried.code else None

    chosen, refused = largest(orders, objection)
    errors.update({name: ApplyError(why) for name, why in refused.items()})
    if not chosen:
        return
    done = patiently(system, _argv(system, verb, chosen), _LOCKED, _words)
    if done.code != 0:
        errors.update({order.name: ApplyError(f"apk: {_words(done)}") for order in chosen})


def _words(done: Completed) -> str:
    return (done.err.strip() or done.out.strip())[-2000:] or f"exit {done.code}"
