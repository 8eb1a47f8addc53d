"""A stand-in for apt and dpkg that edits the status file below a scratch root."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from fnmatch import fnmatchcase
from pathlib import Path

from converge.programs.process import Completed
from converge.testing import FakeSystem

DATA = Path(__file__).parent / "data/packages"
DPKG = (
    "Package: dpkg\nStatus: install ok installed\nArchitecture: amd64\nEssential: yes\nVersion: 1\n"
)


class FakeApt:
    """`archive` maps a name to its versions, newest first. `needs` maps a name to its dependency."""

    def __init__(
        self,
        root: Path,
        archive: Mapping[str, Sequence[str]],
        *,
        needs: Mapping[str, str] | None = None,
        fresh: bool = True,
    ) -> None:
        self.archive = archive
        self.needs = needs or {}
        self.vital: set[str] = set()
        self.status: dict[str, tuple[str, str]] = {}  # name → (status line, version)
        self.answers: list[Completed] = []  # what apt-get says first, before it does anything
        self.owners = ""
        self._file = root / "var/lib/dpkg/status"
        self.updates = root / "var/lib/dpkg/updates"
        self.lists = root / "var/lib/apt/lists"
        for folder in (self.updates, self.lists, root / "var/cache"):
            folder.mkdir(parents=True)
        if fresh:
            (self.lists / "srv_Packages").touch()
        self.save()
        programs = {
            "apt-get": self.get, "apt-cache": self.cache, "apt-mark": self.mark, "dpkg": self.dpkg,
        }  # fmt: skip
        self.system = FakeSystem(root, programs)

    def put(self, name: str, version: str, status: str = "install ok installed") -> None:
        """Set what the database says of a package."""
        self.status[name] = (status, version)
        self.save()

    def save(self) -> None:
        """Write the status file."""
        stanzas = [
            f"Package: {name}\nStatus: {status}\nArchitecture: all\nVersion: {version}\n"
            + ("Essential: yes\n" if name in self.vital else "")
            for name, (status, version) in self.status.items()
        ]
        self._file.write_text("\n".join([DPKG, *stanzas]))

    def ran(self, program: str) -> list[list[str]]:
        """Return the arguments of every run of a program that was no simulation."""
        return [
            [*argv[1:]]
            for argv in self.system.ran
            if argv[0].endswith("/" + program) and "-s" not in argv
        ]

    def installed(self) -> dict[str, str]:
        """Return what is installed, with versions."""
        return {n: version for n, (s, version) in self.status.items() if s.endswith(" installed")}

    def get(self, argv: Sequence[str], stdin: bytes) -> Completed:
        """As apt-get."""
        if self.answers and "-s" not in argv:
            answer = self.answers.pop(0)
            return answer.replace(argv=tuple(argv))
        if "update" in argv:
            (self.lists / "srv_Packages").touch()
            return done(argv)
        if "--reinstall" in argv or "-f" in argv:
            self._settle()
            return done(argv)
        names = argv[argv.index("--") + 1 :]
        purge = "--purge" in argv or "purge" in argv
        gone = [name.removesuffix("-") for name in names if name.endswith("-") or "purge" in argv]
        wanted = [name.partition("=") for name in names if "=" in name]
        missing = [n for n, _, _ in wanted if self.needs.get(n, n) not in self.archive]
        if missing:
            return done(argv, 100, err=f"E: Unmet dependencies of {missing[0]}.\n")
        gone += [n for n, d in self.needs.items() if d in gone and n in self.installed()]
        if "-s" in argv:
            steps = [f"Remv {name} [1]" for name in gone] + [
                f"Inst {n} ({v})" for n, _, v in wanted
            ]
            return done(argv, out="\n".join(steps))
        self._change(gone, wanted, purge)
        return done(argv)

    def _change(self, gone: list[str], wanted: list[tuple[str, str, str]], purge: bool) -> None:
        for name in gone:
            status, version = self.status.pop(name, ("", ""))
            if not purge and status:
                self.status[name] = ("deinstall ok config-files", version)
        for name, _, version in wanted:
            want = "hold" if self.status.get(name, ("",))[0].startswith("hold") else "install"
            self.status[name] = (f"{want} ok installed", version)
        self.save()

    def cache(self, argv: Sequence[str], stdin: bytes) -> str:
        """As apt-cache policy: names that are patterns match too, as apt's do."""
        given = argv[argv.index("--") + 1 :]
        asked = [*given, *(name.rstrip("+-") for name in given)]
        known = self.archive if any(self.lists.glob("*_*")) else {}
        lines = []
        for name, versions in known.items():
            if not any(fnmatchcase(name, one.replace(".", "?")) for one in asked):
                continue
            here = self.installed().get(name, "(none)")
            lines += [f"{name}:", f"  Installed: {here}", f"  Candidate: {versions[0]}"]
            lines += ["  Version table:"]
            for version in versions:
                mark = " *** " if version == here else "     "
                lines += [f"{mark}{version} 500", "        500 file:/srv ./ Packages"]
        return "\n".join(lines)

    def mark(self, argv: Sequence[str], stdin: bytes) -> Completed:
        """As apt-mark hold and unhold."""
        want = {"hold": "hold", "unhold": "install"}[argv[1]]
        for name in argv[argv.index("--") + 1 :]:
            status, version = self.status[name]
            self.status[name] = (re.sub(r"^\w+", want, status), version)
        self.save()
        return done(argv)

    def dpkg(self, argv: Sequence[str], stdin: bytes) -> Completed:
        """As dpkg -S and dpkg --configure -a, which leaves what is half-installed."""
        if "-S" in argv:
            return done(argv, 1, out=self.owners)
        for file in self.updates.iterdir():
            file.unlink()
        for name, (status, version) in self.status.items():
            if status.endswith(("unpacked", "half-configured")):
                self.status[name] = ("install ok installed", version)
        self.save()
        return done(argv)

    def _settle(self) -> None:
        self.status = {n: ("install ok installed", v) for n, (_, v) in self.status.items()}
        self.save()


def done(argv: Sequence[str], code: int = 0, out: str = "", err: str = "") -> Completed:
    """Return what a program answered."""
    return Completed(argv=tuple(argv), code=code, out=out, err=err)


def recorded(name: str) -> str:
    """Return a recorded output of the real tool."""
    return (DATA / name).read_text()
