"""The resident process alone, with a worker of the test's own making, asked over its socket."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import converge.daemon
from converge import config
from converge.daemon.options import dump, memory_file

PROFILE = """\
resources:
  - directory: /etc
  - file: /etc/motd
    content: "welcome\\n"
  - file: /etc/issue
    content: "declared\\n"
"""
PATIENCE = 30.0  # seconds; nothing here takes as long
DAEMON = os.path.dirname(converge.daemon.__file__)
FAKED = os.path.join(os.path.dirname(__file__), "faked.py")
# A worker that finds nothing to do. It notes that it was there, so that runs can be counted.
FINE = r"""#!/bin/sh
echo run >>runs
printf '0\0id\0whole\0\0end\0' >&3
"""
# A worker that does what the file `order` says, in Python, in the shortest start that Python has.
ORDERED = f"""#!{sys.executable} -ISB
import os, sys
open("runs", "a").write("run\\n")
request = sys.stdin.buffer.read()
exec(open("order").read())
"""


def until(what: Callable[[], object]) -> None:
    """Wait until something is so."""
    end = time.monotonic() + PATIENCE
    while not what():
        assert time.monotonic() < end, "it did not come to pass"
        time.sleep(0.01)


class Supervisor:
    """`folder` is its working directory too; `start` starts it with options of converge.daemon."""

    def __init__(self, folder: Path, worker: str = FINE, **options: object) -> None:
        self.folder = folder
        self.run_directory, self.state = folder / "run", folder / "state"
        for made in (self.run_directory, self.state):
            made.mkdir(mode=0o700, exist_ok=True)
        self.worker = folder / "worker"
        self.worker.write_text(worker)
        self.worker.chmod(0o755)
        self.options: dict[str, object] = {
            "runtime": self.run_directory, "state": self.state, "program": self.worker,
            "events": "off", "interval": 3600, **options,
        }  # fmt: skip
        self.settings = b"{}"
        self.flags: dict[str, object] = {}
        self.process: subprocess.Popen[bytes] | None = None

    def real(self, profile: str = PROFILE, **flags: object) -> Supervisor:
        """Let the workers be converge's own, over a scratch root, for this profile."""
        (self.folder / "root").mkdir(exist_ok=True)
        (self.folder / "p.yaml").write_text(profile)
        given = {
            "root": f"{self.folder}/root", "profile": f"{self.folder}/p.yaml",
            "state_dir": str(self.state), "runtime_dir": str(self.run_directory), **flags,
        }  # fmt: skip
        self.flags = given
        settings = config.load(given, {})
        self.settings = json.dumps({"settings": settings.as_dict(), "flags": given}).encode()
        self.worker.write_text(f'#!/bin/sh\nexec {sys.executable} "$@"\n')
        return self

    def call(self, *words: str) -> int:
        """Run a command of converge's with the same settings; return its exit code."""
        flags = [f"--{name.replace('_', '-')}={value}" for name, value in self.flags.items()]
        argv = [sys.executable, "-I", "-m", "converge", *words, *flags]
        with open(self.folder / "log", "ab") as log:
            return subprocess.run(argv, stdout=log, stderr=log, timeout=PATIENCE).returncode

    @property
    def socket(self) -> str:
        return str(self.run_directory / "control.sock")

    @property
    def pid(self) -> int:
        assert self.process
        return self.process.pid

    def spawn(self, ready: int = -1, **popen: Any) -> subprocess.Popen[bytes]:
        """Start one, without waiting for anything. `ready` is a descriptor that it inherits."""
        fd = memory_file(dump(self.options, self.settings))
        program = f"{DAEMON}/__main__.py" if "LD_PRELOAD" not in os.environ else FAKED
        argv = [sys.executable, "-ISB", program, str(fd), os.path.dirname(os.path.dirname(DAEMON))]
        with open(self.folder / "log", "ab") as log:
            process = subprocess.Popen(
                argv, cwd=self.folder, stdin=subprocess.DEVNULL, stdout=log, stderr=log,
                pass_fds=[fd, *[ready] * (ready >= 0)], **popen,
            )  # fmt: skip
        os.close(fd)
        return process

    def start(self, **popen: Any) -> Supervisor:
        """Start it and wait until it answers."""
        self.process = self.spawn(**popen)
        until(self.answers)
        return self

    def answers(self) -> bool:
        try:
            return bool(self.status())
        except OSError:
            return False

    @contextmanager
    def connection(self) -> Iterator[socket.socket]:
        with socket.socket(socket.AF_UNIX) as found:
            found.connect(self.socket)
            found.settimeout(PATIENCE)
            yield found

    def ask(self, request: bytes) -> bytes:
        """Return the reply to raw bytes, empty if it hangs up."""
        with self.connection() as connection:
            try:
                connection.sendall(request)
                return b"".join(iter(lambda: connection.recv(65536), b""))
            except (BrokenPipeError, ConnectionResetError):
                return b""

    def fields(self, request: bytes) -> dict[str, str]:
        """Return the fields of a reply that is `ok`."""
        first, *lines = self.ask(request + b"\n").decode().splitlines()
        assert first == "ok", lines
        return dict(line.partition("=")[::2] for line in lines)

    def status(self) -> dict[str, str]:
        return self.fields(b"status")

    def idle(self) -> bool:
        """Tell whether the first run, at least, has ended, and none is under way."""
        told = self.status()
        return int(told["runs"]) > 0 and not told["busy"]

    def stopping(self) -> bool:
        """Tell whether it has been asked to stop, and has heard it."""
        return b"about to stop" in self.ask(b"trigger\n")

    def trigger(self) -> int:
        """Let it run once more, and return the run's exit code."""
        return int(self.fields(b"trigger wait")["code"])

    def order(self, code: str) -> int:
        """Let an ORDERED worker do this, and return the run's exit code."""
        (self.folder / "order").write_text(code)
        return self.trigger()

    def runs(self) -> int:
        """Return how many workers were started."""
        file = self.folder / "runs"
        return len(file.read_text().splitlines()) if file.exists() else 0

    def signal(self, number: int) -> None:
        assert self.process
        self.process.send_signal(number)

    def log(self) -> str:
        return (self.folder / "log").read_text(errors="replace")

    def end(self, timeout: float = PATIENCE) -> int:
        assert self.process
        self.process.terminate()
        return self.process.wait(timeout)

    def kill(self) -> None:
        """End it and its workers, now."""
        assert self.process
        family = children(self.pid)
        self.process.kill()
        self.process.wait()
        for pid in family:
            with suppress(ProcessLookupError):
                os.killpg(pid, signal.SIGKILL)


class Held:
    """What a process holds: descriptors, children that nobody has waited for, KiB of memory."""

    def __init__(self, pid: int) -> None:
        self.pid = pid
        self.descriptors = len(os.listdir(f"/proc/{pid}/fd"))
        self.resident, self.anonymous = (_kib(pid, name) for name in ("VmRSS", "RssAnon"))
        self.children = children(pid)
        self.zombies = sum(state_of(child) == "Z" for child in self.children)

    def since(self, before: Held) -> str:
        """Return, in words, what it holds more than before."""
        return (
            f"descriptors {self.descriptors - before.descriptors:+d}, zombies {self.zombies:+d}, "
            f"RSS {before.resident} → {self.resident} KiB, "
            f"anonymous {before.anonymous} → {self.anonymous} KiB"
        )


def children(pid: int) -> list[int]:
    """Return the ids of a process's children."""
    return [int(word) for word in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


def state_of(pid: int) -> str:
    """Return R, S, Z, …; empty if there is no such process."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except (FileNotFoundError, ProcessLookupError):
        return ""


def alive(pid: int) -> bool:
    return state_of(pid) not in ("", "Z")


def _kib(pid: int, name: str) -> int:
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith(f"{name}:"))
