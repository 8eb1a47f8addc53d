"""The backend for Fedora, RHEL and their kin: rpm's database, dnf."""

from __future__ import annotations

from converge.errors import ApplyError, BatchError
from converge_resources.packages import NEWEST, Backend, Found, Order, matches
from converge_resources.packages.patience import MOST_WORDS, QUERY_TIMEOUT, find, patiently

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Collection, Sequence

    from converge.programs.process import Completed
    from converge.system import ReadOnlySystem, System

_INSTALLED = "%{NAME}\\t%{EPOCHNUM}:%{VERSION}-%{RELEASE}\\n"
_AVAILABLE = "%{name}\t%{epoch}:%{version}-%{release}\t%{arch}"
_LOCKED = ("transaction lock", "metadata lock", "download lock", "is locked by")
_POSSIBLE = "Operation aborted"  # what --assumeno says of a transaction that could be done


class Dnf(Backend):
    """Reads by one `rpm -qa`; changes by exact NEVRA (name, epoch, version, release, arch)."""

    name = "dnf"
    tool = "dnf"
    name_pattern = r"[A-Za-z0-9][A-Za-z0-9+._-]*"
    holds = False

    def read(self, system: ReadOnlySystem, names: Collection[str]) -> dict[str, Found]:
        """Return what rpm says of these. `version` is [epoch:]version-release."""
        argv = [find(system, "rpm"), "-qa", "--queryformat", _INSTALLED]
        lines = system.query(argv, timeout=QUERY_TIMEOUT).check().out.splitlines()
        pairs = (line.partition("\t")[::2] for line in lines)
        return {name: Found(version=evr.removeprefix("0:")) for name, evr in pairs if name in names}

    def outdated(self, system: ReadOnlySystem, names: Collection[str]) -> set[str]:
        """Return those that `dnf check-update` lists (exit 100: there are some; dnf(8))."""
        done = system.query(
            [find(system, "dnf"), "-q", "check-update", *names], timeout=QUERY_TIMEOUT
        )
        if done.code not in (0, 100):
            raise ApplyError(_words(done))
        listed = done.out.partition("Obsoleting Packages")[0].splitlines()
        return {line.rpartition(".")[0] for line in _first_words(listed)} & {*names}

    def change(self, system: System, orders: Sequence[Order]) -> None:
        """Install by one transaction, then remove by another."""
        from converge_resources.packages.selection import accepted, grouped

        errors: dict[str, Exception] = {}
        found = self.read(system, [order.name for order in orders])
        for group in grouped(accepted(self, orders, found, errors)):
            installs = [order for order in group if order.action == "install"]
            _Step(system, "install-nevra", _resolve(system, installs, errors), errors).run(installs)
            removes = [order for order in group if order.action != "install"]
            _Step(system, "remove-n", {o.name: o.name for o in removes}, errors).run(removes)
        if errors:
            raise BatchError(errors)


class _Step:
    """One dnf transaction."""

    def __init__(
        self, system: System, command: str, exact: dict[str, str], errors: dict[str, Exception]
    ) -> None:
        self._system = system
        self._command = command
        self._exact = exact  # name → what dnf is given
        self._errors = errors
        self._protected: str | None = None

    def run(self, orders: Sequence[Order]) -> None:
        from converge_resources.packages.selection import largest

        known = [order for order in orders if order.name in self._exact]
        if not known:
            return
        good, refused = largest(known, self._objection)
        self._errors.update({name: ApplyError(why) for name, why in refused.items()})
        if not good:
            return
        done = patiently(self._system, self._argv(good, "-y"), _LOCKED, _words)
        if done.code != 0:
            self._errors.update({order.name: ApplyError(_words(done)) for order in good})

    def _objection(self, orders: Sequence[Order]) -> str | None:
        argv = self._argv(orders, "--assumeno")
        done = self._system.query(argv, timeout=QUERY_TIMEOUT)
        possible = done.code == 0 or _POSSIBLE in done.out + done.err
        return None if possible else _words(done)

    def _argv(self, orders: Sequence[Order], answer: str) -> list[str]:
        """Let dnf itself refuse to remove what runs the agent, and nothing else go that is unused."""
        first = orders[0]
        if self._protected is None:
            self._protected = ",".join(sorted(_agents_own(self._system)))
        return [
            find(self._system, "dnf"), "-q", answer,
            f"--setopt=install_weak_deps={first.recommends}",
            "--setopt=clean_requirements_on_remove=False",
            "--setopt=exit_on_lock=True",
            *([f"--setopt=protected_packages={self._protected}"] if self._protected else []),
            *first.options, self._command, *(self._exact[order.name] for order in orders),
        ]  # fmt: skip


def _resolve(
    system: System, orders: Sequence[Order], errors: dict[str, Exception]
) -> dict[str, str]:
    """Return the newest NEVRA that each order allows, by name; refresh once if any is unknown."""
    exact: dict[str, str] = {}
    for fresh in ([], ["--refresh"]):
        missing = [order for order in orders if order.name not in exact]
        if missing:
            exact.update(_newest(system, missing, fresh))
    for order in orders:
        if order.name not in exact:
            wanted = f" with version {order.version!r}" if order.version else ""
            errors[order.name] = ApplyError(f"Unable to find a match: {order.name}{wanted}")
    return exact


def _newest(system: System, orders: Sequence[Order], fresh: Sequence[str]) -> dict[str, str]:
    import os

    asked = {order.name: order for order in orders}
    argv = [find(system, "dnf"), "-q", *fresh, *orders[0].options, "repoquery", "--latest-limit=1"]
    specs = [o.name if _any(o) else f"{o.name}-{o.version}" for o in orders]
    answer = system.query([*argv, "--queryformat", _AVAILABLE, *specs], timeout=QUERY_TIMEOUT)
    found: dict[str, str] = {}
    for line in answer.check().out.splitlines():
        name, evr, arch = [*line.split("\t"), "", ""][:3]
        order = asked.get(name)
        if order is None or not (_any(order) or _is(order.version or "", evr)):
            continue
        if name not in found or arch in ("noarch", os.uname().machine):
            found[name] = f"{name}-{evr}.{arch}"
    return found


def _any(order: Order) -> bool:
    return order.version is None or order.version == NEWEST


def _is(version: str, evr: str) -> bool:
    return matches(version, evr.removeprefix("0:"))


def _agents_own(system: System) -> set[str]:
    """Return the packages that own the running interpreter and its library."""
    import os
    import sys

    paths = [os.path.realpath(sys.executable), os.path.realpath(os.__file__)]
    argv = [find(system, "rpm"), "-qf", "--queryformat", "%{NAME}\\n", *paths]
    lines = system.query(argv, timeout=QUERY_TIMEOUT).out.splitlines()
    return {line for line in lines if line and " " not in line}  # a sentence: not owned


def _first_words(lines: Sequence[str]) -> list[str]:
    """Return the first word of each line that is `name.arch version repository`."""
    return [line.split()[0] for line in lines if len(line.split()) == 3]


def _words(done: Completed) -> str:
    return (done.err.strip() or done.out.strip())[-MOST_WORDS:] or f"exit {done.code}"
