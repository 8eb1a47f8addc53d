"""SIGKILL before any call of a whole run that changes something: the next one heals and owes nothing."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from faults import tracing
from faults.needs import need_strace
from faults.tracing import KILLED, Point

NAMING = ("rename", "unlink")
MARKED = "import os; os.chdir('/'); from converge.cli import main; raise SystemExit(main())"


class Place:
    """A profile whose file notifies a command, and state of its own."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.file, self.told = folder / "app", folder / "told"
        for name in ("state", "run"):
            (folder / name).mkdir(mode=0o700)
        self.profile("old")
        assert self.run().returncode == 0
        self.told.unlink(missing_ok=True)
        self.profile("new")

    def profile(self, text: str) -> None:
        argv = ["sh", "-c", f"echo {text} >>{self.told}"]
        resources = [
            {"file": str(self.file), "content": text, "notify": "command:reload"},
            {"directory": f"{self.folder}/app.d", "mode": "0750"},
            {"command": "reload", "argv": argv, "always": True},
        ]
        (self.folder / "p.yaml").write_text(json.dumps({"resources": resources}))

    def run(self, head: list[str] | None = None):
        argv = [
            *tracing.PYTHON, "-c", MARKED, "--once", "--json", "--profile", f"{self.folder}/p.yaml",
            "--state-dir", f"{self.folder}/state", "--runtime-dir", f"{self.folder}/run",
        ]  # fmt: skip
        return tracing.run([*(head or []), *argv])

    def leftovers(self) -> set[Path]:
        """Return the directories in which something staged was left."""
        return {path.parent for path in self.folder.rglob(".converge-*")}

    def an_hour_later(self) -> None:
        """Let what was staged be old, and something be drifted."""
        for path in self.folder.rglob(".converge-*"):
            os.utime(path, (0, 0))
        self.file.write_text("drift")


def points(folder: Path) -> list[Point]:
    """Return the calls of the run's own process, but what it prints."""
    log = folder / "log"
    assert Place(folder).run(tracing.tracer(log)).returncode == 0
    lines = log.read_text().splitlines()
    own = [line for line in lines if line.split()[0] == lines[0].split()[0]]
    return [p for p in tracing.points("\n".join(own)) if not p.arguments.startswith(("1, ", "2, "))]


@pytest.mark.parametrize(
    "every", [pytest.param(6, id="some"), pytest.param(1, id="all", marks=pytest.mark.slow)]
)
def test_f1_a_run_that_is_killed_anywhere_is_healed_by_the_next(every, tmp_path):
    need_strace()
    (tmp_path / "reference").mkdir()
    found = points(tmp_path / "reference")
    chosen = [
        p
        for i, p in enumerate(found)
        if i % every == 0 or (every < 6 and p.call.startswith(NAMING))
    ]
    assert len(chosen) > 10
    for point in chosen:
        folder = tmp_path / f"{point.call}-{point.nth}"
        folder.mkdir()
        place = Place(folder)
        assert place.run(tracing.killer(point)).returncode in KILLED, point
        assert place.file.read_text() in ("old", "new"), point
        told = place.run()
        assert told.returncode == 0, (point, told)
        report = json.loads(told.stdout)
        assert place.file.read_text() == "new", point
        assert place.told.exists(), (point, "the notification was lost")
        assert report["pending"] == {}, point
        assert not list(folder.rglob("*.corrupt-*")), point
        assert not os.path.lexists(folder / "state/running.json"), point
        assert place.leftovers() <= {folder / "state", folder / "state/reports"}, point
        place.an_hour_later()
        assert place.run().returncode == 0
        assert place.leftovers() == set(), point
