"""Running apt and dpkg: fixed flags, patience with locks, fresh lists, repair of interruptions."""

from __future__ import annotations

import time

from converge.probe import CAP_SETGID, CAP_SETUID
from converge_resources.packages.dpkg import Database
from converge_resources.packages.patience import (
    LIST_AGE,
    LOCK_DEADLINE,
    MOST_WORDS,
    find,
    patiently,
)

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

    from converge.programs.process import Completed
    from converge.system import ReadOnlySystem, System

LISTS = "/var/lib/apt/lists"
STAMP = "/var/lib/apt/converge-refreshed"  # apt leaves the folder's time alone if all is current
_LOCKED = ("Could not get lock", "Unable to lock", "Unable to acquire", "locked by another process")
_NOISE = ("debconf: ", "(Reading database", "W: ")
_ENVIRONMENT = {"APT_LISTCHANGES_FRONTEND": "none", "NEEDRESTART_SUSPEND": "1"}


class AptTool:
    """apt-get, apt-mark and dpkg of one system, for one batch."""

    def __init__(self, system: System) -> None:
        self.system = system
        self.refreshed = False
        self.refresh_error = ""

    def get(self, arguments: Sequence[str], *, conffiles: str = "keep") -> Completed:
        """Run apt-get for a change, waiting for locks."""
        return self.patiently([*self.prefix(conffiles), *arguments])

    def prefix(self, conffiles: str = "keep") -> list[str]:
        """Return how every apt-get that changes something begins."""
        argv = [find(self.system, "apt-get"), "-q", "-y"]
        argv += ["-o", f"DPkg::Lock::Timeout={LOCK_DEADLINE:.0f}", "-o", "Dpkg::Use-Pty=0"]
        for force in conffile_flags(conffiles):
            argv += ["-o", f"Dpkg::Options::={force}"]
        if not (self.system.capable(CAP_SETUID) and self.system.capable(CAP_SETGID)):
            argv += ["-o", "APT::Sandbox::User=root"]  # it cannot become _apt here
        return argv

    def patiently(self, argv: Sequence[str]) -> Completed:
        """Run a program, waiting for locks: apt's own time-out covers lock-frontend alone."""
        return patiently(self.system, argv, _LOCKED, words, _ENVIRONMENT)

    def refresh(self) -> None:
        """Fetch the package lists once per batch; keep what went wrong in `refresh_error`.

        Without Error-Mode=any apt-get update exits 0 with no network at all (apt-get(8)).
        """
        if self.refreshed:
            return
        self.refreshed = True
        done = self.get(["-o", "APT::Update::Error-Mode=any", "update"])
        if done.code == 0:
            self.system.write(STAMP, b"", backup=False)
        else:
            self.refresh_error = f"; the package lists could not be refreshed: {words(done)}"

    def refresh_if_old(self) -> None:
        """Fetch the package lists if there are none or they are old."""
        if lists_are_old(self.system):
            self.refresh()

    def heal(self) -> None:
        """Finish what an interrupted dpkg left. What stays broken is for the transaction to report.

        `dpkg --configure -a` repairs what was being configured. It exits 0 and leaves what was being
        unpacked, and so does `apt-get -f install`: that must be fetched again by `--reinstall`.
        """
        if not self.configure():
            return
        self.refresh_if_old()
        keep = ["--no-install-recommends", "--no-remove"]
        torn = Database(self.system).torn()
        if torn:
            again = [*keep, "--reinstall", "install", "--"]
            exact = [f"{name}={version}" if version else name for name, version in torn.items()]
            if self.get([*again, *exact]).code != 0 or Database(self.system).torn():
                self.get([*again, *torn])  # an archive may hold a newer version alone
        if Database(self.system).unfinished():
            self.get([*keep, "-f", "install"])

    def configure(self) -> bool:
        """Configure what is unpacked, if anything is; tell whether something stays unfinished."""
        database = Database(self.system)
        if database.journal or database.unfinished():
            dpkg = find(self.system, "dpkg")
            self.patiently([dpkg, *conffile_flags("keep"), "--configure", "-a"])
            database = Database(self.system)
        return bool(database.unfinished())


def conffile_flags(conffiles: str) -> list[str]:
    """Return dpkg's flags for a configuration file that was changed here (dpkg(1), --force-conf)."""
    if conffiles == "replace":
        return ["--force-confnew"]
    return ["--force-confdef", "--force-confold"]


def lists_are_old(system: ReadOnlySystem) -> bool:
    """Tell whether there are no package lists, or only old ones."""
    if not any("_" in name for name in system.list(LISTS)):
        return True
    times = [found.st_mtime for path in (LISTS, STAMP) if (found := system.lstat(path))]
    return time.time() - max(times) > LIST_AGE


def words(done: Completed) -> str:
    """Return what apt or dpkg said went wrong, without its usual chatter."""
    _, unmet, why = done.out.partition("unmet dependencies:")
    lines = [line for line in done.err.splitlines() if line and not line.startswith(_NOISE)]
    text = "\n".join([*lines, *([unmet + why.rstrip()] if unmet else [])])
    return text[:MOST_WORDS] or f"exit {done.code}"
