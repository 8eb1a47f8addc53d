"""The resident agent as users start it, over a scratch root, with real workers."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

from daemon.supervisor import PATIENCE, PROFILE, until


class Agent:
    """A resident agent over a scratch root."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.motd = folder / "root/etc/motd"
        self.profile = folder / "p.yaml"
        self.profile.write_text(PROFILE)
        (folder / "root").mkdir()
        for name in ("state", "run"):
            (folder / name).mkdir(mode=0o700)
        self.wrapper: list[str] = []  # a program that starts the agent
        self.process: subprocess.Popen[bytes] | None = None

    def argv(self, *words: str) -> list[str]:
        return [
            sys.executable, "-I", "-m", "converge", *words, "--root", f"{self.folder}/root",
            "--profile", str(self.profile), "--state-dir", f"{self.folder}/state",
            "--runtime-dir", f"{self.folder}/run",
        ]  # fmt: skip

    def start(self, *words: str) -> None:
        with open(self.folder / "log", "ab") as log:
            argv = [*self.wrapper, *self.argv(*words)]
            self.process = subprocess.Popen(argv, stdout=log, stderr=log)
        until(lambda: self.status().get("agent") and self.status()["agent"]["runs"] > 0)

    def call(self, *words: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            self.argv(*words), capture_output=True, text=True, timeout=PATIENCE, check=False
        )

    def status(self) -> dict:
        answer = self.call("status", "--json")
        return json.loads(answer.stdout) if answer.returncode == 0 else {}

    def log(self) -> str:
        return (self.folder / "log").read_text()

    def signal(self, number: int) -> None:
        assert self.process
        self.process.send_signal(number)

    def end(self) -> int:
        assert self.process
        self.process.terminate()
        return self.process.wait(PATIENCE)
