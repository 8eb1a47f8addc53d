"""A bundle that kills the run itself, as a container that it crashes and that is restarted does."""

from __future__ import annotations

import json
import subprocess
import time

import pytest

from converge.bundle import minisign
from faults import tracing
from faults.needs import need_strace
from faults.tracing import KILLED
from unit.bundles import stated
from unit.web_server import Server, reply

KEY = minisign.generate()
FUTURE = int(time.time()) + 86400
MARKED = "import os; os.chdir('/'); from converge.cli import main; raise SystemExit(main())"
CRASH = {"command": "crash", "argv": ["sh", "-c", "kill -9 $PPID"], "always": True}


@pytest.fixture
def server():
    with Server() as found:
        yield found


@pytest.fixture
def site(tmp_path, server):
    """A server, and how to converge with what it has."""
    return Site(tmp_path, server)


class Site:
    """One profile from afar, for a file and what else is said."""

    def __init__(self, folder, server):
        for name in ("state", "run"):
            (folder / name).mkdir(mode=0o700, parents=True)
        self.folder, self.server = folder, server
        self.file = folder / "file"
        self.sequence = 0

    def offer(self, text, *more):
        self.sequence += 1
        resources = [{"file": str(self.file), "content": text}, *more]
        body = json.dumps({"resources": resources}).encode()
        signature = minisign.sign(KEY, body, str(stated("web", self.sequence, FUTURE))).encode()
        answers = {"/web.yaml": body, "/web.yaml.minisig": signature}
        self.server.answer = lambda seen: (
            reply(answers[seen.target]) if seen.target in answers else reply(b"", status="404 No")
        )

    def once(self, head=()):
        argv = [
            *head, *tracing.PYTHON, "-c", MARKED, "--once", "--json", "--profile",
            f"{self.server.url}/web.yaml", "--state-dir", f"{self.folder}/state",
            "--runtime-dir", f"{self.folder}/run",
        ]  # fmt: skip
        environment = {"CONVERGE_KEYS": KEY.public.text}
        return subprocess.run(argv, capture_output=True, text=True, env=environment, timeout=60)


def test_f52_after_three_starts_the_last_good_bundle_is_in_force(site):
    site.offer("one")
    assert site.once().returncode == 0
    site.offer("two", {**CRASH, "require": f"file:{site.file}"})
    for _ in range(3):
        assert site.once().returncode in KILLED
        assert site.file.read_text() == "two"
    told = site.once()
    assert told.returncode == 4, told.stderr
    assert "3 runs with it began, and none ended" in json.loads(told.stdout)["error"]
    assert site.file.read_text() == "one"
    assert site.once().returncode == 0
    site.offer("three")
    assert site.once().returncode == 0
    assert site.file.read_text() == "three"


def test_f52_the_first_bundle_of_all_is_tried_for_ever(site):
    """There is nothing that would be better."""
    site.offer("one", CRASH)
    for _ in range(5):
        assert site.once().returncode in KILLED


def with_news(folder, server):
    """Return a site whose second bundle has come."""
    made = Site(folder, server)
    made.offer("one")
    assert made.once().returncode == 0
    made.offer("two")
    return made


@pytest.mark.parametrize(
    "every", [pytest.param(16, id="some"), pytest.param(1, id="all", marks=pytest.mark.slow)]
)
def test_f1_killed_while_a_new_bundle_is_taken_it_has_the_old_or_the_new(every, tmp_path, server):
    """Whatever the kill left: without its source it converges, and then it follows."""
    need_strace()
    log = tmp_path / "log"
    assert with_news(tmp_path / "reference", server).once(tracing.tracer(log)).returncode == 0
    lines = log.read_text().splitlines()
    own = "\n".join(line for line in lines if line.split()[0] == lines[0].split()[0])
    for number, point in enumerate(tracing.points(own)[::every]):
        if point.arguments.startswith("1, "):
            continue  # what it prints
        site = with_news(tmp_path / str(number), server)
        assert site.once(tracing.killer(point)).returncode in KILLED, point
        answer, server.answer = server.answer, lambda seen: b""
        assert site.once().returncode == 0, point
        assert site.file.read_text() in ("one", "two"), point
        server.answer = answer
        told = json.loads(site.once().stdout)
        assert (told["exit_code"], told["bundle"]["refused"]) == (0, {}), point
        assert site.file.read_text() == "two", point
        assert not list(site.folder.rglob("*.corrupt-*")), point
