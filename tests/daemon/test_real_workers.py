"""Workers of converge's own that come to grief: the profile, the memory, a kill at any moment."""

from __future__ import annotations

import os
import shutil
import signal
import time
from concurrent.futures import ThreadPoolExecutor

import pytest

from daemon.supervisor import PROFILE, Held, alive, children, until

BAD_PROFILES = {
    "60 KB of [": "[" * 60_000,
    "60 KB of {": "{" * 60_000,
    "60 KB of - ": "- " * 30_000,
    "aliases": "a: &a [x]\n" + "".join(f"b{n}: &b{n} [*a, *a]\n" for n in range(5000)),
    "NUL": "\0" * 1000,
    "a tag": "resources: !!python/object/apply:os.abort []\n",
}


@pytest.fixture
def one(supervisor):
    return supervisor().real().start()


def test_profiles_that_end_other_parsers(one):
    until(one.idle)
    before = Held(one.pid)
    for text in BAD_PROFILES.values():
        (one.folder / "p.yaml").write_text(text)
        assert one.trigger() == 4  # the last good profile stays in force
    assert one.status()["crashes"] == "0"
    assert Held(one.pid).descriptors == before.descriptors
    (one.folder / "p.yaml").write_text(PROFILE)
    assert one.trigger() == 0


def test_too_little_memory(one):
    """`ulimit -v`, from too little to begin with up to enough: each is an end, none is ours."""
    text = one.worker.read_text()
    until(one.idle)
    for kib in range(8_000, 40_000, 4_000):
        one.worker.write_text(text.replace("exec", f"ulimit -v {kib}\nexec"))
        one.trigger()
    assert int(one.status()["crashes"]) >= 2
    one.worker.write_text(text)
    assert one.trigger() == 0
    assert one.status()["failures"] == "0"


def test_it_is_killed_at_any_moment(one, capsys):
    until(one.idle)
    motd = one.folder / "root/etc/motd"
    before = Held(one.pid)
    for number in range(40):
        motd.write_text("changed\n")
        one.signal(signal.SIGUSR1)
        until(lambda: children(one.pid))
        time.sleep(number * 0.0025)  # one that finds a difference takes about 0.1 s
        for child in children(one.pid):
            os.kill(child, (signal.SIGKILL, signal.SIGSEGV, signal.SIGABRT)[number % 3])
        until(lambda: not children(one.pid))
        assert motd.read_text() in ("changed\n", "welcome\n")
    after = Held(one.pid)
    with capsys.disabled():
        print(f"\n40 kills of real workers: {after.since(before)}")
    assert after.descriptors == before.descriptors
    assert after.resident < before.resident + 512
    assert one.trigger() == 0
    assert motd.read_text() == "welcome\n"


@pytest.mark.parametrize("name", ["state", "run"])
def test_its_own_directory_is_removed_under_it(one, name):
    """Somebody tidies /var/lib or /run: a signal still asks for a run, and the socket comes back."""
    until(one.idle)
    shutil.rmtree(one.folder / name)
    motd = one.folder / "root/etc/motd"
    motd.write_text("changed\n")
    one.signal(signal.SIGUSR1)
    until(lambda: motd.read_text() == "welcome\n")
    until(lambda: not children(one.pid))
    assert one.call("health") == 0
    until(one.answers)
    assert one.trigger() == 0


@pytest.fixture
def slow(supervisor):
    """Return a supervisor whose first run is at the first of two resources, and the files of both.

    It stays there until the file `go` is there.
    """
    found = supervisor()
    script, first, second = (found.folder / name for name in ("check", "first", "second"))
    script.write_text(
        "#!/bin/sh\ntouch here\nuntil test -e go; do sleep 0.05; done\n".replace(
            "here", f"{found.folder}/here"
        ).replace("go;", f"{found.folder}/go;")
    )
    script.chmod(0o755)
    found.real(
        f"resources:\n"
        f"  - file: {first}\n    content: x\n    validate: {script} %\n"
        f"  - file: {second}\n    content: x\n    require: file:{first}\n",
        root="/",
    ).start()
    until((found.folder / "here").exists)
    return found, first, second


def test_a_killed_supervisor_takes_its_worker_along(slow):
    one, first, _ = slow
    (worker,) = children(one.pid)
    one.process.kill()
    one.process.wait()
    (one.folder / "go").touch()
    until(lambda: not alive(worker))
    assert first.exists(), "the resource that it was at is finished"


def test_a_run_beside_it_is_refused_or_waits(slow):
    """`converge --once` by hand, while the agent is at a run: one changes something at a time."""
    one, first, second = slow
    assert one.call("--once") == 1
    assert "/lock: process " in one.log()
    assert not first.exists()
    with ThreadPoolExecutor() as pool:
        waiting = pool.submit(one.call, "--once", "--wait", "30")
        (one.folder / "go").touch()
        assert waiting.result() == 0
    until(one.idle)
    assert first.read_text() == second.read_text() == "x"
    assert one.status()["failures"] == one.status()["crashes"] == "0"


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGPWR])
def test_a_stop_finishes_the_resource_that_it_is_at(slow, number):
    one, first, second = slow
    one.signal(number)
    until(one.stopping)
    assert not first.exists()
    (one.folder / "go").touch()
    assert one.process.wait(10.0) == 0
    assert first.read_text() == "x"
    assert not second.exists()
    assert one.start().trigger() == 0
    assert second.read_text() == "x"


def test_the_second_request_ends_it_where_it_is(slow):
    one, first, second = slow
    family = [*children(one.pid), *children(children(one.pid)[0])]
    for _ in range(2):
        one.signal(signal.SIGTERM)
        until(lambda: not alive(one.pid) or one.stopping())
    assert one.process.wait(5.0) == 0
    assert not any(map(alive, family))
    assert not first.exists()
    (one.folder / "go").touch()
    assert one.start().trigger() == 0
    assert first.read_text() == second.read_text() == "x"
    assert not [path for path in one.folder.iterdir() if ".converge" in path.name]
