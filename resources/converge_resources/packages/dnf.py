"""The backend for Fedora, RHEL and their kin: rpm's database, dnf."""

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

_FOLDERS = ("/var/lib/rpm", "/usr/lib/sysimage/rpm")
_EVR = "%{NAME}\\t%{EPOCHNUM}:%{VERSION}-%{RELEASE}\\n"
_LOCKED = ("Waiting for process", "can't create transaction lock")
_ABORTED = "Operation aborted"  # what --assumeno says of a transaction that could be done


class Dnf(Backend):
    """Reads by one `rpm -qa`; changes by name or name-version."""

    name = "dnf"
    databases = tuple(
        f"{folder}/{file}" for folder in _FOLDERS for file in ("rpmdb.sqlite", "Packages")
    )
    tool = "dnf"
    reader = "rpm"
    name_pattern = r"[A-Za-z0-9][A-Za-z0-9+._-]*"
    holds = False

    def read(self, system: ReadOnlySystem, names: Collection[str]) -> dict[str, Found]:
        """Return what rpm says of these, of several versions (kernels) the last installed."""
        argv = [find(system, "rpm"), "-qa", "--queryformat", _EVR, "--", *names]
        lines = system.query(argv, timeout=QUERY_TIMEOUT).check().out.splitlines()
        pairs = (line.partition("\t")[::2] for line in lines)
        return {name: Found(version=evr.removeprefix("0:")) for name, evr in pairs if name in names}

    def outdated(self, system: ReadOnlySystem, names: Collection[str]) -> set[str]:
        """Return those that `dnf check-update` lists (exit 100: there are some; dnf(8))."""
        argv = [find(system, "dnf"), "-q", "check-update", *names]
        done = system.query(argv, timeout=QUERY_TIMEOUT)
        if done.code != 100:
            done.check()
        listed = done.out.partition("Obsoleting Packages")[0].splitlines()
        return {line.split()[0].rpartition(".")[0] for line in listed if len(line.split()) == 3} & {
            *names
        }

    def change(self, system: System, orders: Sequence[Order]) -> None:
        """Install, upgrade and remove, each together."""
        errors: dict[str, Exception] = {}
        known = self.read(system, [order.name for order in orders])
        for group in grouped(accepted(self, orders, known, errors)):
            installs = [order for order in group if order.action == "install"]
            newer = [o for o in installs if o.version == NEWEST and o.name in known]
            fresh = [order for order in installs if order not in newer]
            gone = [order for order in group if order.action in ("remove", "purge")]
            for verb, chosen in (("install", fresh), ("upgrade", newer), ("remove", gone)):
                _run(system, verb, chosen, errors)
            lower = [o for o in fresh if o.version and o.name in known and o.name not in errors]
            late = self.read(system, [order.name for order in lower]) if lower else {}
            _run(
                system, "downgrade", [o for o in lower if not o.satisfied(late.get(o.name))], errors
            )
        for order in orders:
            if order.hold:
                errors[order.name] = ApplyError("dnf holds no packages; declare a `version`")
        if errors:
            raise BatchError(errors)


def _argv(system: ReadOnlySystem, verb: str, orders: Sequence[Order], answer: str) -> list[str]:
    weak = "True" if orders[0].recommends else "False"
    flags = ["-q", answer, f"--setopt=install_weak_deps={weak}", *orders[0].options]
    return [find(system, "dnf"), *flags, verb, *map(_target, orders)]


def _target(order: Order) -> str:
    plain = order.action != "install" or order.version in (None, NEWEST)
    return order.name if plain else f"{order.name}-{order.version}"


def _run(system: System, verb: str, orders: Sequence[Order], errors: dict[str, Exception]) -> None:
    def objection(some: Sequence[Order]) -> str | None:
        tried = system.query(_argv(system, verb, some, "--assumeno"), timeout=QUERY_TIMEOUT)
        return None if tried.code == 0 or _ABORTED in tried.err + tried.out else _words(tried)

    chosen, refused = largest(orders, objection)
    errors.update({name: ApplyError(why) for name, why in refused.items()})
    if not chosen:
        return
    done = patiently(system, _argv(system, verb, chosen, "-y"), _LOCKED, _words)
    if done.code != 0:
        errors.update({order.name: ApplyError(f"dnf: {_words(done)}") for order in chosen})


def _words(done: Completed) -> str:
    return (done.err.strip() or done.out.strip())[-2000:] or f"exit {done.code}"
