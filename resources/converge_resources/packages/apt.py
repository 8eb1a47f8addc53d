"""The backend for Debian and its kin: dpkg's database, apt-get, apt-mark."""

from __future__ import annotations

from converge.errors import ApplyError, BatchError
from converge_resources.packages import NEWEST, Backend, Order
from converge_resources.packages.dpkg import Database

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Collection, Sequence

    from converge.programs.process import Completed
    from converge.system import ReadOnlySystem, System
    from converge_resources.packages import Found
    from converge_resources.packages.apt_tool import AptTool


class Apt(Backend):
    """Reads dpkg's database without a program; changes everything in one apt-get if it can."""

    name = "apt"
    tool = "apt-get"
    name_pattern = r"[a-z0-9][a-z0-9+.-]+(:[a-z0-9-]+)?"  # deb-control(5), Package
    keeps_conffiles_only = False

    def read(self, system: ReadOnlySystem, names: Collection[str]) -> dict[str, Found]:
        """Return what the database says of these."""
        return Database(system).find(names)

    def outdated(self, system: ReadOnlySystem, names: Collection[str]) -> set[str]:
        """Return those that are not the candidate, all of them where the lists are too old to say."""
        from converge_resources.packages.apt_policy import policies
        from converge_resources.packages.apt_tool import lists_are_old

        if lists_are_old(system):
            return set(names)
        known = policies(system, names)
        return {n for n in names if n in known and known[n].installed != known[n].candidate}

    def change(self, system: System, orders: Sequence[Order]) -> None:
        """Heal what was interrupted, then install, remove and purge together, then set holds."""
        from converge_resources.packages.apt_tool import AptTool
        from converge_resources.packages.selection import accepted, grouped

        tool = AptTool(system)
        errors: dict[str, Exception] = {}
        tool.heal()
        found = Database(system).find([order.name for order in orders])
        for group in grouped(accepted(self, orders, found, errors)):
            _Transaction(tool, group, errors).run()
        for hold in (True, False):
            chosen = [o for o in orders if o.hold is hold and o.name not in errors]
            _mark(tool, "hold" if hold else "unhold", chosen, errors)
        if errors:
            raise BatchError(errors)


def _mark(tool: AptTool, word: str, orders: Sequence[Order], errors: dict[str, Exception]) -> None:
    from converge_resources.packages.apt_tool import words
    from converge_resources.packages.patience import find

    if not orders:
        return
    argv = [find(tool.system, "apt-mark"), word, "--", *(order.name for order in orders)]
    done = tool.patiently(argv)
    if done.code != 0:
        for order in orders:
            errors[order.name] = ApplyError(f"apt-mark {word}: {words(done)}")


class _Transaction:
    """Orders that share their command-line flags."""

    def __init__(
        self, tool: AptTool, orders: Sequence[Order], errors: dict[str, Exception]
    ) -> None:
        from converge_resources.packages.apt_safety import Guard

        self.tool = tool
        self.orders = list(orders)
        self.errors = errors
        self.exact: dict[str, str] = {}  # name → the version to install
        self.database = Database(tool.system)
        self.guard = Guard(tool.system, self.database)

    def run(self) -> None:
        """Carry out what can be, and note errors for the rest."""
        self._resolve()
        self._narrow()
        if not self.orders:
            return
        if self._targets(self.orders):
            self._install()
        self._purge_leftovers()

    def _resolve(self) -> None:
        """Pick exact versions, with fresh lists if any is not known; refuse what has none."""
        installs = [order for order in self.orders if order.action == "install"]
        if not installs:
            return
        self.tool.refresh_if_old()
        if not self._pick(installs):
            self.tool.refresh()
            self._pick(installs)
        for order in installs:
            if order.name not in self.exact:
                self._refuse(order, _unknown(order) + self.tool.refresh_error)
            elif order.version == NEWEST and self.tool.refresh_error:
                self.errors[order.name] = ApplyError(
                    "whether it is the newest cannot be told" + self.tool.refresh_error
                )

    def _pick(self, installs: Sequence[Order]) -> bool:
        from converge_resources.packages.apt_policy import policies

        names = [order.name for order in installs]
        known = policies(self.tool.system, names, installs[0].release)
        for order in installs:
            version = known[order.name].pick(order.version) if order.name in known else None
            if version is not None:
                self.exact[order.name] = version
        return all(name in self.exact for name in names)

    def _narrow(self) -> None:
        """Leave out, with the reason, what would be harmful or would fail the others."""
        from converge_resources.packages.selection import largest

        self.orders, refused = largest(self.orders, self._objection)
        for name, why in refused.items():
            self.errors[name] = ApplyError(why)

    def _objection(self, orders: Sequence[Order]) -> str | None:
        from converge_resources.packages.patience import QUERY_TIMEOUT, find

        targets = self._targets(orders)
        if not targets:
            return None
        argv = [find(self.tool.system, "apt-get"), "-s", *self._flags(orders), "install", "--"]
        simulated = self.tool.system.query([*argv, *targets], timeout=QUERY_TIMEOUT)
        return self.guard.objection(simulated, orders)

    def _install(self) -> None:
        from converge_resources.packages.apt_tool import words

        done = self._attempt()
        if done.code != 0 and "Unable to fetch some archives" in done.err:
            self.tool.refresh()  # the lists name a version that the mirror no longer has
            self._pick([order for order in self.orders if order.action == "install"])
            self._narrow()
            done = self._attempt() if self.orders else done
        if done.code != 0:
            self.tool.configure()  # one failed script leaves its neighbours unpacked
            self._note(self.orders, words(done))

    def _attempt(self) -> Completed:
        argv = [*self._flags(self.orders), "install", "--", *self._targets(self.orders)]
        return self.tool.get(argv, conffiles=self.orders[0].conffiles)

    def _purge_leftovers(self) -> None:
        """Purge what is removed but has its configuration left: apt-get purge alone does that."""
        from converge_resources.packages.apt_tool import words

        names = [order.name for order in self.orders if order.action == "purge"]
        found = Database(self.tool.system).find(names) if names else {}
        left = [n for n in names if n in found and found[n].status == "config-files"]
        if not left:
            return
        done = self.tool.get(["purge", "--", *left])
        if done.code != 0:
            self._note([order for order in self.orders if order.name in left], words(done))

    def _flags(self, orders: Sequence[Order]) -> list[str]:
        first, actions = orders[0], {order.action for order in orders}
        flags = ["--install-recommends" if first.recommends else "--no-install-recommends"]
        if first.release:
            flags += ["-t", first.release]
        if any(order.version not in (None, NEWEST) for order in orders):
            flags.append("--allow-downgrades")
        if any(order.overrides_hold for order in orders):
            flags.append("--allow-change-held-packages")
        if "purge" in actions and "remove" not in actions:
            flags.append("--purge")
        return [*flags, *first.options]

    def _targets(self, orders: Sequence[Order]) -> list[str]:
        """Return what apt-get install is given: `name=version` to install, `name-` to remove."""
        names = [order.name for order in orders if order.action in ("remove", "purge")]
        found = self.database.find(names) if names else {}
        installs = [f"{o.name}={self.exact[o.name]}" for o in orders if o.action == "install"]
        gone = ("config-files", "not-installed")
        return installs + [f"{n}-" for n in names if n in found and found[n].status not in gone]

    def _refuse(self, order: Order, why: str) -> None:
        self.orders.remove(order)
        self.errors[order.name] = ApplyError(why)

    def _note(self, orders: Sequence[Order], why: str) -> None:
        """Note a failure of those orders that were not carried out all the same."""
        found = Database(self.tool.system).find([order.name for order in orders])
        for order in orders:
            if not order.satisfied(found.get(order.name)):
                self.errors[order.name] = ApplyError(f"apt-get: {why}")


def _unknown(order: Order) -> str:
    if order.version in (None, NEWEST):
        return f"Unable to locate package {order.name}"
    return f"Version {order.version!r} for {order.name!r} was not found"
