"""An image that was converged when it was built, and containers of it that have little left to do."""

from __future__ import annotations

import json

import pytest

from container.resident import is_idle, until
from container.strace import mutations

BIG = "x" * (200 << 10)
PROFILE = """
profile: shop
vars: { greeting: hello }
resources:
  - package: hostname
  - user: shop
    uid: 2000
  - directory: /srv/shop
    owner: shop
  - file: /srv/shop/conf
    content: "{{ greeting }}\\n"
    mode: "0640"
    owner: shop
  - file: /srv/shop/big
    source: big
  - file: /etc/hosts
    content: "127.0.0.1 localhost\\n"
  - command: make the index
    argv: [sh, -c, "echo index > /srv/shop/index"]
    creates: /srv/shop/index
    phase: bake
  - sysctl: net.core.somaxconn
    value: 4096
  - file: /run/started
    content: "started\\n"
    phase: [start, run]
  - command: once a start
    argv: [sh, -c, "echo start >> /srv/starts"]
    always: true
    phase: start
"""
DOCKERFILE = """
FROM {image}
RUN apt-get update && apt-get install -y --no-install-recommends strace
COPY profile.yaml big /etc/converge/site/
ENV CONVERGE_PROFILE=/etc/converge/site/profile.yaml
RUN converge bake --json > /baked.json
"""
SOMAXCONN = "--sysctl=net.core.somaxconn=4096"
COMPILED = """import sys, converge.cli as c; c.main(sys.argv[1:])
print('converge.language.compile' in sys.modules)"""


@pytest.fixture(scope="module")
def baked(engine, image, tmp_path_factory):
    """An image of which `converge bake` was the last step."""
    folder = tmp_path_factory.mktemp("shop")
    for name, text in (("profile.yaml", PROFILE), ("big", BIG)):
        (folder / name).write_text(text)
        (folder / name).chmod(0o755)
    (folder / "Dockerfile").write_text(DOCKERFILE.format(image=image))
    return engine.build(str(folder))


def outcomes(report):
    return {one["id"]: one["outcome"] for one in report["resources"]}


def test_a_start_has_only_what_is_of_the_start_to_do(container, engine, baked):
    box = container(SOMAXCONN, "--cap-add=SYS_PTRACE", image=baked)
    build = json.loads(box.read("/baked.json"))
    assert build["exit_code"] == 0
    assert build["phase"] == "bake"
    assert set(build["left"]) == {
        "sysctl:net.core.somaxconn", "file:/run/started", "command:once a start",
    }  # fmt: skip
    assert outcomes(build) == {
        "user:shop": "changed", "directory:/srv/shop": "changed", "file:/srv/shop/conf": "changed",
        "file:/srv/shop/big": "changed", "command:make the index": "changed",
        "file:/etc/hosts": "skipped",
    }  # fmt: skip
    reasons = {one["id"]: one["reason"] for one in build["resources"]}
    assert reasons["file:/etc/hosts"] == "/etc/hosts is a mount, which is not part of the image"
    assert box.exec("ls", "/var/lib/converge").out.split() == ["baked.json", "catalog.json"]
    record = json.loads(box.read("/var/lib/converge/baked.json").partition("\n")[2])
    assert record["files"].keys() == {"/srv/shop/conf", "/srv/shop/big"}

    log = "/dev/shm/calls"
    traced = ("strace", "-f", "-qq", "-y", "-o", log, "-e", "trace=?open,openat,openat2")
    start = box.exec(*traced, "/opt/converge/bin/python", "-Ic", COMPILED, "--once", "--json")
    *report, compiled = start.out.splitlines()
    told = json.loads("\n".join(report))
    assert outcomes(told) == {"file:/etc/hosts": "changed", "file:/run/started": "changed"}
    assert told["phase"] == "start"
    assert told["left"] == ["command:make the index"]
    assert told["refreshed"] == ["command:once a start"]
    assert compiled == "False"
    opened = box.read(log)
    assert "</srv/shop/conf>" in opened
    assert "</srv/shop/big>" not in opened  # it looks as it did when the image was made

    second, calls = box.strace("/opt/converge/bin/converge", "--once", "--tags", "none")
    assert second.code == 0
    assert mutations(calls, ("/var/lib/converge", "/run/converge", "/dev/shm")) == []
    touched = [line.split()[1] for line in engine.must("diff", box.name).splitlines()]
    assert [path for path in touched if path.startswith(("/srv/shop", "/etc/passwd", "/usr"))] == []


def test_what_changed_since_the_image_was_made_is_put_right_at_the_start(container, baked):
    box = container(SOMAXCONN, "--env=CONVERGE_VAR_greeting=goodbye", image=baked)
    box.exec("sh", "-c", "printf y | dd of=/srv/shop/big conv=notrunc bs=1 2>/dev/null")
    report = box.report("--once")
    assert outcomes(report) == {
        "file:/etc/hosts": "changed", "file:/run/started": "changed",
        "file:/srv/shop/conf": "changed", "file:/srv/shop/big": "changed",
    }  # fmt: skip
    assert box.read("/srv/shop/conf") == "goodbye\n"
    assert box.read("/srv/shop/big") == BIG


def test_a_read_only_root_reads_the_catalog_in_the_image(container, baked):
    box = container(SOMAXCONN, "--read-only", "--tmpfs=/run", "--tmpfs=/tmp", image=baked)
    done = box.exec("/opt/converge/bin/python", "-Ic", COMPILED, "--once", "--quiet")
    assert done.out.splitlines()[-1] == "False"
    assert box.read("/run/started") == "started\n"


def test_the_agent_starts_once_and_then_runs(container, baked):
    box = container(
        SOMAXCONN, "--env=CONVERGE_RESIDENT=1", "--env=CONVERGE_ON_FAILURE=continue",
        image=baked, entrypoint="",
    )  # fmt: skip
    until(lambda: is_idle(box), "the end of the start")
    assert box.read("/srv/starts") == "start\n"
    box.exec("sh", "-c", "dpkg --purge --force-all hostname; rm /srv/shop/conf")
    until(lambda: box.exec("cat", "/srv/shop/conf").code == 0, "the repair")
    until(lambda: is_idle(box), "the end of the repair")
    report = box.report("trigger", "--wait")
    assert report["phase"] == "run"
    assert set(report["left"]) == {"command:make the index", "command:once a start"}
    (package,) = report["resources"]
    assert (package["id"], package["outcome"]) == ("package:hostname", "unmanageable")
    assert package["reason"] == "packages are not changed while the application runs"
    assert report["exit_code"] == 0
    assert box.converge("health").code == 0
    assert box.read("/srv/starts") == "start\n"
