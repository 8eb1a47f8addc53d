"""A bundle that kills the run itself, as a container that it crashes and that is restarted does."""

from __future__ import annotations

import json
import subprocess
import time

import pytest

from converge.bundle import minisign
from faults import tracing
from unit.bundles import stated
from unit.web_server import Server, reply

KEY = minisign.generate()
FUTURE = int(time.time()) + 86400
KILLED = -9
CRASH = {"command": "crash", "argv": ["sh", "-c", "kill -9 $PPID"], "always": True}


@pytest.fixture
def site(tmp_path):
    """A server, and how to converge with what it has."""
    for name in ("state", "run"):
        (tmp_path / name).mkdir(mode=0o700)
    with Server() as server:
        yield Site(tmp_path, server)


class Site:
    """One profile from afar, for a file and what else is said."""

    def __init__(self, folder, server):
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

    def once(self):
        argv = [
            *tracing.PYTHON, "-m", "converge", "--once", "--json", "--profile",
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
        assert site.once().returncode == KILLED
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
        assert site.once().returncode == KILLED
