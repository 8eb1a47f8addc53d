"""A container engine and its containers, driven by the command line that users drive.

Everything works with podman and with docker; only what both understand is used.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import uuid
from pathlib import Path
from typing import Any, NamedTuple

from container import strace

REPOSITORY = Path(__file__).resolve().parents[2]
LABEL = "converge.test"
HOW_TO = (
    "no container engine can be used here (tried podman and docker): install one of them, start "
    "its daemon if it has one, and see that `podman run --rm debian:bookworm-slim true` works"
)


class Result(NamedTuple):
    """What a program left: its exit code and what it printed."""

    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        """Stdout, parsed."""
        return json.loads(self.out)


class Engine:
    """podman or docker."""

    def __init__(self, program: str) -> None:
        self.program = program

    def call(self, *arguments: str, stdin: str = "", timeout: float = 600) -> Result:
        """Run the engine and return what it left, whatever the exit code."""
        done = subprocess.run(
            [self.program, *arguments], input=stdin, capture_output=True, text=True, timeout=timeout
        )
        return Result(done.returncode, done.stdout, done.stderr)

    def must(self, *arguments: str, stdin: str = "") -> str:
        """Run the engine and return its stdout without white space around it; it has to succeed."""
        done = self.call(*arguments, stdin=stdin)
        assert done.code == 0, f"{self.program} {' '.join(arguments)}\n{done.out}\n{done.err}"
        return done.out.strip()

    def build(self, *arguments: str, stdin: str = "") -> str:
        """Build an image, from layers of earlier builds where nothing changed; return its id.

        It is kept for the next time, with a label by which `make clean` finds it.
        """
        argv = ("build", "--quiet", f"--label={LABEL}", *arguments)
        return self.must(*argv, stdin=stdin).splitlines()[-1]

    def works(self) -> bool:
        """Tell whether this engine is installed and answers."""
        return shutil.which(self.program) is not None and self.call("info").code == 0


def find() -> Engine | None:
    """Return the engine to test with: podman, else docker, else None."""
    wanted = os.environ.get("CONVERGE_TEST_ENGINE")
    for program in [wanted] if wanted else ["podman", "docker"]:
        engine = Engine(program)
        if engine.works():
            return engine
    return None


class Container:
    """A container that runs until it is removed."""

    def __init__(self, engine: Engine, profile: Path) -> None:
        self.engine = engine
        self.name = f"converge-test-{uuid.uuid4().hex[:12]}"
        self._profile = profile

    def profile(self, profile: Any) -> None:
        """Put a profile (YAML text, or plain data) in place of the one there, as a mount may be."""
        text = profile if isinstance(profile, str) else json.dumps(profile)
        self._profile.write_text(text)
        self._profile.chmod(0o644)

    def exec(self, *argv: str, user: str = "", stdin: str = "", env: Any = None) -> Result:
        """Run a program inside and wait for it."""
        options = ["--interactive"]
        if user:
            options += ["--user", user]
        for name, value in (env or {}).items():
            options += ["--env", f"{name}={value}"]
        return self.engine.call("exec", *options, self.name, *argv, stdin=stdin)

    def converge(self, *arguments: str, **options: Any) -> Result:
        """Run `converge` inside."""
        return self.exec("converge", *arguments, **options)

    def report(self, *arguments: str, **options: Any) -> dict[str, Any]:
        """Run `converge ARGUMENTS --json` inside and return its report, exit code included."""
        done = self.converge(*arguments, "--json", **options)
        try:
            report: dict[str, Any] = done.json
        except ValueError:
            raise AssertionError(f"no report (exit {done.code})\n{done.out}\n{done.err}") from None
        assert report["exit_code"] == done.code
        return report

    def strace(self, *argv: str, user: str = "") -> tuple[Result, list[strace.Call]]:
        """Run a program under strace (see the fixture `strace_image`) and return its calls."""
        log = f"/dev/shm/strace-{uuid.uuid4().hex}"
        done = self.exec(*strace.command(log), *argv, user=user)
        return done, strace.parse(self.read(log))

    def read(self, path: str) -> str:
        """Return the content of a file inside."""
        done = self.exec("cat", path)
        assert done.code == 0, done.err
        return done.out

    def write(self, path: str, text: str) -> None:
        """Write a file inside as root, in place."""
        done = self.exec("sh", "-c", 'cat > "$1"', "sh", path, stdin=text, user="0")
        assert done.code == 0, done.err

    def stat(self, path: str, what: str = "%a %U:%G") -> str:
        """Return what stat(1) says of a path inside."""
        done = self.exec("stat", "-c", what, path)
        assert done.code == 0, done.err
        return done.out.strip()

    def wait(self) -> int:
        """Wait for the container's command to end and return its exit code."""
        return int(self.engine.must("wait", self.name))

    def logs(self) -> Result:
        """Return what the container's command has printed so far."""
        return self.engine.call("logs", self.name)

    def remove(self) -> None:
        """End and remove it."""
        self.engine.call("rm", "--force", "--volumes", self.name)
