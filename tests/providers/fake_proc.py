"""A fake /proc below a fake root, with processes that start, end and are signalled."""

from __future__ import annotations

import os
import shutil
import signal
from pathlib import Path
from typing import Any

from converge.testing import FakeSystem

HANDLED = (signal.SIGHUP, signal.SIGTERM, signal.SIGUSR1)


class FakeProc:
    """Processes below a fake root. Programs are added to `system` with `daemon`."""

    def __init__(self, root: Path, **options: Any) -> None:
        self.root = root
        (root / "proc").mkdir(parents=True)
        self.system = FakeSystem(root, **options)
        self.system.on_signal = self._on_signal
        self.deaf: set[int] = set()
        self._next = 100
        self.add(1, ["tini", "--", "app"], parent=0)
        self.add(7, ["app"])

    def add(
        self,
        pid: int,
        argv: list[str],
        *,
        name: str = "",
        parent: int = 1,
        uid: int | None = None,
        started: int | None = None,
        state: str = "S",
    ) -> int:
        """Add a process that handles HUP, TERM and USR1; return its id."""
        folder = self.root / "proc" / str(pid)
        folder.mkdir(parents=True)
        uid = os.geteuid() if uid is None else uid
        name = name or os.path.basename(argv[0])[:15]
        caught = sum(1 << (number - 1) for number in HANDLED)
        middle = " ".join(["0"] * 17)
        started = pid if started is None else started
        (folder / "stat").write_text(f"{pid} ({name}) {state} {parent} {middle} {started} 0 0\n")
        (folder / "cmdline").write_bytes(b"".join(word.encode() + b"\0" for word in argv))
        (folder / "status").write_text(
            f"Name:\t{name}\nUid:\t{uid}\t{uid}\t{uid}\t{uid}\n"
            f"SigIgn:\t0000000000000000\nSigCgt:\t{caught:016x}\n"
        )
        return pid

    def remove(self, pid: int) -> None:
        """End a process."""
        shutil.rmtree(self.root / "proc" / str(pid))

    def alive(self) -> list[int]:
        """Return the ids of what runs, but for the two that are there from the beginning."""
        found = (int(path.name) for path in (self.root / "proc").iterdir())
        return sorted(pid for pid in found if pid not in (1, 7))

    def daemon(self, program: str, argv: list[str] | None = None, pidfile: str = "") -> None:
        """Add a program that becomes a process when it is started, and writes a pid file."""

        def start(words: Any, stdin: bytes) -> str:
            self._next += 1
            self.add(self._next, argv or list(words))
            if pidfile:
                path = self.root / pidfile.lstrip("/")
                path.parent.mkdir(parents=True, exist_ok=True)
                path.parent.chmod(0o755)
                path.write_text(f"{self._next}\n")
            return ""

        self.system.programs[program] = start

    def _on_signal(self, pid: int, number: int) -> None:
        ends = number == signal.SIGKILL or (number != signal.SIGHUP and pid not in self.deaf)
        if ends:
            self.remove(pid)
