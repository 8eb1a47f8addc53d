"""Containers of LXC, driven by the commands that its users drive.

They have the settings that Debian ships for LXC (common.conf: fewer capabilities, seccomp, /proc/sys
read-only but for net), a root file system exported from an image, and no network.
"""

from __future__ import annotations

import os
import re
import shutil
import signal
import subprocess
import tempfile
import time
import uuid
from collections.abc import Callable
from pathlib import Path
from typing import Any

from container.engine import Container, Engine, Result

HOW_TO = (
    "no LXC can be used here: become root, install the package lxc, and see that /var/tmp can hold "
    "root file systems (`apt-get install --no-install-recommends lxc`)"
)
SHIPPED = "/usr/share/lxc/config"
PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
SETTINGS = f"""\
lxc.include = {SHIPPED}/common.conf
lxc.net.0.type = empty
lxc.console.path = none
lxc.pty.max = 16
lxc.tty.max = 0
lxc.environment = PATH={PATH}
"""
# Ids from 100000 on, and a root file system whose ids the kernel maps at the mount.
UNPRIVILEGED = f"""\
lxc.include = {SHIPPED}/userns.conf
lxc.idmap = u 0 100000 65536
lxc.idmap = g 0 100000 65536
lxc.rootfs.options = idmap=container
"""
_ENDED = re.compile(r"Child <\d+> ended on (error|signal) \w*\((\d+)\)")


def works() -> bool:
    """Tell whether containers can be started here."""
    return shutil.which("lxc-execute") is not None and os.geteuid() == 0


def export(engine: Engine, image: str, folder: Path) -> Path:
    """Write the root file system of an image below a folder and return where it is."""
    name = f"converge-test-{uuid.uuid4().hex[:12]}"
    engine.must("create", "--name", name, image)
    try:
        engine.must("export", "--output", str(folder / "tar"), name)
    finally:
        engine.call("rm", name)
    root = folder / "rootfs"
    root.mkdir()
    _must("tar", "-xf", folder / "tar", "-C", root, "--numeric-owner")
    (folder / "tar").unlink()
    return root


def scratch(name: str) -> Path:
    """Make a folder where another user may pass (as root inside may be), unlike pytest's own."""
    folder = Path(tempfile.mkdtemp(prefix=f"{name}-", dir="/var/tmp"))
    folder.chmod(0o755)
    return folder


class LxcContainer(Container):
    """A container with a root file system of its own: `run`, or `start` and `exec`.

    `image` is what `export` returned, `settings` are further lines of the configuration. What is
    inside is seen below `root`. An `unprivileged` one has a user namespace.
    """

    def __init__(self, image: Path, settings: str = "", *, unprivileged: bool = False) -> None:
        self.name = f"converge-test-{uuid.uuid4().hex[:12]}"
        self._folder = scratch(self.name)
        self.root = self._folder / "rootfs"
        self._profile = self.root / "etc/converge/profile.yaml"
        self._process: subprocess.Popen[bytes] | None = None
        if unprivileged:  # an overlay cannot be mounted with other ids
            _must("cp", "-a", image, self.root)
        else:
            self._overlay(image)
        own = f"lxc.uts.name = web\nlxc.rootfs.path = dir:{self.root}\n"
        user = UNPRIVILEGED if unprivileged else ""
        config = self._folder / self.name / "config"  # where lxc-stop and others look
        config.parent.mkdir()
        config.write_text(SETTINGS + user + own + settings + "\n")

    def run(self, *argv: str) -> Result:
        """Run a program by lxc-execute, below its small init, and wait until all have ended.

        That init forwards most signals, but not SIGHUP; SIGTERM and SIGPWR end the container with
        a SIGTERM for every process and, one second later, SIGKILL.
        """
        self._launch("lxc-execute", argv)
        return self._result()

    def start(self, *argv: str, program: str = "lxc-start") -> None:
        """Start a program in the background and return when it runs; it is PID 1.

        With the program lxc-execute it runs below that init instead (see `run`).
        """
        self._launch(program, argv, "-F" if program == "lxc-start" else "")
        until(lambda: self.state() == "RUNNING" or self._ended(), "to run")

    def exec(self, *argv: str, user: str = "", stdin: str = "", env: Any = None) -> Result:
        """Run a program beside it by lxc-attach and wait for it; `user` is a number."""
        options = ["--clear-env", f"--set-var=PATH={PATH}"]
        options += [f"--set-var={name}={value}" for name, value in (env or {}).items()]
        options += [f"--uid={user}"] if user else []
        command = self._command("lxc-attach", *options, "--", "/usr/bin/env", "--", *argv)
        done = subprocess.run(command, input=stdin, capture_output=True, text=True, timeout=600)
        return Result(done.returncode, done.stdout, done.stderr)

    def state(self) -> str:
        """Return STOPPED, STARTING, RUNNING, …; empty: there is none of this name."""
        return self._info("-s")

    @property
    def pid(self) -> int:
        """Return the pid of its PID 1, as seen from here."""
        return int(self._info("-p"))

    def signal(self, name: str) -> None:
        """Send PID 1 a signal (TERM, HUP, USR1, …) as the host does, which is never ignored."""
        os.kill(self.pid, signal.Signals[f"SIG{name}"])

    def stop(self, seconds: int = 10) -> None:
        """Stop it as lxc-stop does: lxc.signal.halt (SIGPWR if not set), SIGKILL in the end."""
        _must(*self._command("lxc-stop", "-t", str(seconds)))

    def processes(self) -> dict[int, tuple[str, str]]:
        """Return what runs inside: by its pid there, the name and the state (R, S, Z, …)."""
        found = {}
        for file in Path(f"/proc/{self.pid}/root/proc").glob("[0-9]*/stat"):
            try:
                number, rest = file.read_text().split(" (", 1)
            except (FileNotFoundError, ProcessLookupError):
                continue  # it has ended since
            name, fields = rest.rsplit(") ", 1)
            found[int(number)] = (name, fields[0])
        return found

    def zombies(self) -> int:
        """Return how many processes have ended that nobody has waited for."""
        return sum(state == "Z" for _, state in self.processes().values())

    def wait(self) -> int:
        """Wait for what was started to end; return its exit code, or 128 + the signal's number."""
        return self._result().code

    def logs(self) -> Result:
        """Return what it has printed so far; the code means nothing."""
        return Result(0, self._file("out").read_text(), self._file("err").read_text())

    def remove(self) -> None:
        """End and remove it."""
        if self._process is not None and not self._ended():
            subprocess.run(self._command("lxc-stop", "--kill"), capture_output=True, timeout=60)
            self._process.wait(60)
        if self.root.is_mount():
            _must("umount", self.root)
        shutil.rmtree(self._folder)

    def _overlay(self, image: Path) -> None:
        upper, work = self._folder / "upper", self._folder / "work"
        for folder in (upper, work, self.root):
            folder.mkdir()
        layers = f"lowerdir={image},upperdir={upper},workdir={work}"
        _must("mount", "-t", "overlay", "overlay", "-o", layers, self.root)

    def _launch(self, program: str, argv: tuple[str, ...], *options: str) -> None:
        self._file("log").unlink(missing_ok=True)
        log = ("-o", str(self._file("log")), "-l", "INFO")
        command = self._command(program, *filter(None, options), *log, "--", *argv)
        # Where it finds newuidmap, LXC asks it even as root, and that asks for lines in /etc/subuid.
        env = {"PATH": "/usr/sbin:/sbin"}
        with self._file("out").open("wb") as out, self._file("err").open("wb") as err:
            self._process = subprocess.Popen(
                command, stdin=subprocess.DEVNULL, stdout=out, stderr=err, env=env
            )

    def _result(self) -> Result:
        assert self._process is not None
        code = self._process.wait(600)
        ended = _ENDED.search(self._file("log").read_text())  # lxc-start itself gives 0
        if ended:
            code = int(ended[2]) + (128 if ended[1] == "signal" else 0)
        return self.logs()._replace(code=code)

    def _ended(self) -> bool:
        return self._process is None or self._process.poll() is not None

    def _info(self, *what: str) -> str:
        done = subprocess.run(
            self._command("lxc-info", "-H", *what), capture_output=True, text=True
        )
        return done.stdout.strip()

    def _command(self, program: str, *arguments: str) -> list[str]:
        found = shutil.which(program) or program
        return [found, "-n", self.name, "-P", str(self._folder), *arguments]

    def _file(self, name: str) -> Path:
        return self._folder / name


def _must(*argv: str | Path) -> None:
    subprocess.run(argv, check=True, timeout=60)


def until(condition: Callable[[], bool], what: str) -> None:
    """Wait for a condition, a minute at most."""
    for _ in range(1200):
        if condition():
            return
        time.sleep(0.05)
    raise AssertionError(f"it did not come {what} in a minute")
