"""What runs, read from /proc (proc(5)): ids, parents, names, command lines, users."""

from __future__ import annotations

import os

from converge.probe import CAP_SYS_PTRACE
from converge.provider import Unmanageable
from converge.record import Record

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from converge.system import ReadOnlySystem

_NAME_BYTES = 15  # of a program's name that the kernel keeps (TASK_COMM_LEN)
_SHOWING = ("hidepid=0", "hidepid=off")
# Programs that are PID 1 only to reap and to hand signals on, and that end with their child.
_SMALL_INITS = frozenset(("catatonit", "docker-init", "dumb-init", "podman-init", "tini"))


class Process(Record):
    """One process. `started`: ticks since boot; `argv` is empty where the command line is hidden."""

    pid: int
    parent: int
    started: int
    name: str
    argv: tuple[str, ...]


class Processes:
    """One reading of /proc. Zombies and kernel threads are left out."""

    def __init__(self, system: ReadOnlySystem) -> None:
        self._system = system
        self._all: dict[int, Process] | None = None

    @property
    def all(self) -> dict[int, Process]:
        """Every process, by id."""
        if self._all is None:
            pids = sorted(int(name) for name in self._system.list("/proc") if name.isdigit())
            read = (self._read(pid) for pid in pids)
            self._all = {one.pid: one for one in read if one is not None}
        return self._all

    def one(self, pid: int) -> Process | None:
        """Return one process; None: it has ended, or is hidden."""
        return self._read(pid) if self._all is None else self._all.get(pid)

    def hidden(self, uid: int) -> Unmanageable | None:
        """Say why /proc does not show what a user runs; None: it does."""
        try:
            first = self._system.read("/proc/1/stat")
        except OSError:
            first = None
        if first is None and self._system.prefixed:
            return Unmanageable(
                reason=f"no process can be seen below --root {self._system.root}",
                remedy="run converge inside the container",
            )
        if first is None and self._system.lstat("/proc/self/stat") is None:
            return Unmanageable(reason="/proc is not mounted", remedy="mount it")
        if uid == self._system.uid or self._system.capable(CAP_SYS_PTRACE):
            return None
        proc = self._system.mounts().get("/proc")
        hiding = proc is not None and any(
            option.startswith("hidepid=") and option not in _SHOWING for option in proc.options
        )
        if first is not None and not hiding:
            return None
        return Unmanageable(
            reason=f"/proc hides the processes of uid {uid} (hidepid)",
            remedy="mount /proc without hidepid, add CAP_SYS_PTRACE, or run as that user",
        )

    def user(self, pid: int) -> int | None:
        """Return the effective user id of a process; None: it has ended."""
        words = self._status(pid, "Uid")
        return int(words[1]) if len(words) > 1 else None

    def catches(self, pid: int, number: int) -> bool:
        """Tell whether a process handles or ignores a signal, so that it does not end by it."""
        masks = [int((self._status(pid, key) or ["0"])[0], 16) for key in ("SigCgt", "SigIgn")]
        return bool((masks[0] | masks[1]) >> (number - 1) & 1)

    def program(self, pid: int) -> str:
        """Return the path of the program that a process runs; empty: it may not be seen."""
        try:
            return (self._system.readlink(f"/proc/{pid}/exe") or "").removesuffix(" (deleted)")
        except OSError:
            return ""

    def own(self) -> set[int]:
        """Return the agent's own process and those above it, but for PID 1."""
        found: set[int] = set()
        pid = os.getpid()
        while pid > 1 and pid not in found:
            found.add(pid)
            above = self.all.get(pid)
            pid = above.parent if above else 0
        return found

    def main(self) -> int:
        """Return the container's main process: PID 1, or the child that a small init waits for."""
        first = self.all.get(1)
        children = [one for one in self.all.values() if one.parent == 1]
        if first is None or first.name not in _SMALL_INITS or not children:
            return 1
        return min(children, key=lambda one: one.started).pid

    def matching(self, wanted: str | Sequence[str]) -> Iterator[Process]:
        """Yield the processes that `wanted` describes (see `matches`), none of the agent's own."""
        own = self.own()
        for one in self.all.values():
            if one.pid not in own and self.matches(one, wanted):
                yield one

    def matches(self, one: Process, wanted: str | Sequence[str]) -> bool:
        """Tell whether a process is what `wanted` describes.

        A word is the program's name, with a slash its path; a list is the first words of the
        command line, each a pattern of fnmatch(3).
        """
        if not isinstance(wanted, str):
            from fnmatch import fnmatchcase

            pairs = zip(one.argv, wanted, strict=False)
            return len(one.argv) >= len(wanted) and all(fnmatchcase(*pair) for pair in pairs)
        first = one.argv[0] if one.argv else ""
        if wanted.startswith("/"):
            return first == wanted or self.program(one.pid) == wanted
        name = os.fsencode(wanted)[:_NAME_BYTES].decode(errors="replace")
        return one.name == name or os.path.basename(first) == wanted

    def _read(self, pid: int) -> Process | None:
        try:
            stat = self._system.text(f"/proc/{pid}/stat", follow=False)
            line = self._system.text(f"/proc/{pid}/cmdline", follow=False)
        except OSError:
            return None  # it has ended, or is hidden
        head, _, tail = stat.rpartition(") ")
        words = tail.split()
        if len(words) < 20 or words[0] in "ZXx" or (not line and 2 in (pid, int(words[1]))):
            return None  # the kernel's own threads are below process 2
        return Process(
            pid=pid,
            parent=int(words[1]),
            started=int(words[19]),
            name=head.partition(" (")[2],
            argv=tuple(line.rstrip("\0").split("\0")) if line else (),
        )

    def _status(self, pid: int, key: str) -> list[str]:
        try:
            text = self._system.text(f"/proc/{pid}/status", follow=False)
        except OSError:
            return []
        for line in text.split("\n"):
            name, _, rest = line.partition(":")
            if name == key:
                return rest.split()
        return []
