"""`converge --once` under what OpenShift, Cloud Foundry and Kubernetes impose."""

from __future__ import annotations

import json
import time
from pathlib import Path

import pytest

from container.platforms import PLATFORMS, empty_dir, swap

SEEN = "id=$(id -u):$(id -g) caps=$(grep CapEff /proc/self/status | cut -f2)"
READY = "trap 'echo stopped; exit 0' TERM; echo \"port $PORT\"; while :; do sleep 0.1; done"


def profile(writable, text="x\n"):
    """One file where the user may write, and three things that none of these users may change."""
    forbidden = [
        {"file": "/etc/motd", "content": "x\n"},
        {"user": "deploy", "uid": 2345},
        {"sysctl": "net.core.somaxconn", "value": 1234},
    ]
    resources = [{**one, "on_unmanageable": "warn"} for one in forbidden]
    return {"resources": [{"file": f"{writable}/app.conf", "content": text}, *resources]}


@pytest.fixture
def start(container, engine, image, tmp_path):
    """A function that starts a container of a platform, with a ConfigMap volume /etc/converge."""

    def run(name, files, **options):
        platform = PLATFORMS[name]
        swap(tmp_path / "config", files)
        if platform.image:
            options["image"] = engine.build("-", stdin=f"FROM {image}\n{platform.image}\n")
        config = f"--volume={tmp_path}/config:/etc/converge:ro"
        return container(*platform.arguments(engine, tmp_path / "volumes"), config, **options)

    return run


@pytest.mark.parametrize("name", PLATFORMS)
def test_once_does_what_it_may_and_explains_the_rest(start, name):
    path = f"{PLATFORMS[name].writable}/app.conf"
    box = start(name, {"profile.yaml": json.dumps(profile(PLATFORMS[name].writable))})
    first = box.report("--once")
    assert first["exit_code"] == 0, first["resources"]
    told = {one["id"]: one for one in first["resources"]}
    assert told.pop(f"file:{path}")["outcome"] == "changed"
    assert box.read(path) == "x\n"
    assert sorted(told) == ["file:/etc/motd", "sysctl:net.core.somaxconn", "user:deploy"]
    for one in told.values():
        assert one["outcome"] == "unmanageable", one
        assert one["fatal"] is False
        assert one["reason"]
        assert one["remedy"]
    second = box.report("--once", "--detailed-exitcodes")
    assert second["exit_code"] == 0, second["resources"]
    assert {one["outcome"] for one in second["resources"]} == {"unmanageable"}


@pytest.mark.parametrize("name", ["openshift", "kubernetes-restricted"])
def test_a_new_version_of_the_config_map_is_what_the_next_run_follows(start, name, tmp_path):
    writable = PLATFORMS[name].writable
    include = {"profile": "web", "include": ["parts.yaml"]}
    files = {"profile.yaml": json.dumps(include), "parts.yaml": json.dumps(profile(writable))}
    box = start(name, files)
    assert box.report("--once")["exit_code"] == 0
    assert box.read(f"{writable}/app.conf") == "x\n"
    swap(tmp_path / "config", files | {"parts.yaml": json.dumps(profile(writable, "new\n"))})
    assert box.report("--once", "--detailed-exitcodes")["exit_code"] == 2
    assert box.read(f"{writable}/app.conf") == "new\n"
    swap(tmp_path / "config", files | {"profile.yaml": "resources:\n  - fiel: /x\n"})
    refused = box.converge("--once")
    assert refused.code == 1
    assert "did you mean `file`?" in refused.err
    assert box.read(f"{writable}/app.conf") == "new\n"


def test_what_the_rows_claim_is_what_the_container_has(start):
    seen = {}
    for name in ("openshift-read-only", "cloud-foundry", "kubernetes-restricted"):
        box = start(name, {"profile.yaml": "resources: []\n"})
        seen[name] = box.exec("sh", "-c", f'echo "{SEEN}"; touch /etc/x 2>&1').out
    for text in seen.values():
        assert "caps=0000000000000000" in text
    assert "id=1000680000:0 " in seen["openshift-read-only"]
    assert "Read-only file system" in seen["openshift-read-only"]
    assert "id=2000:2000 " in seen["cloud-foundry"]
    assert "Permission denied" in seen["cloud-foundry"]
    assert "Read-only file system" in seen["kubernetes-restricted"]


def test_the_command_of_a_cloud_foundry_app_has_its_port_and_stops_in_time(start, engine):
    platform = PLATFORMS["cloud-foundry"]
    files = {"profile.yaml": json.dumps(profile(platform.writable))}
    box = start("cloud-foundry", files, command=("sh", "-c", READY), entrypoint="")
    for _ in range(600):
        if "port" in box.logs().out:
            break
        time.sleep(0.1)
    engine.must("stop", "--time", str(platform.grace), box.name)
    assert box.wait() == 0
    assert box.logs().out == "port 8080\nstopped\n"


def test_a_config_map_that_the_container_may_write_is_refused(container, tmp_path):
    swap(tmp_path / "config", {"profile.yaml": "resources: []\n"})
    box = container(f"--volume={tmp_path}/config:/etc/converge")
    refused = box.converge("--once")
    assert refused.code == 1
    assert "/etc/converge can be changed by group and others" in refused.err


def test_a_volume_is_written_as_kubelet_writes_it(tmp_path):
    folder = tmp_path / "config"
    swap(folder, {"a": "1", "b": "2", "deep/c": "3"})
    first = (folder / "..data").readlink()
    assert (folder / "a").readlink() == Path("..data/a")
    assert (folder / "deep" / "c").read_text() == "3"
    assert str(first).startswith("..2")
    swap(folder, {"a": "1", "b": "2", "deep/c": "3"})
    assert (folder / "..data").readlink() == first
    link = (folder / "a").lstat().st_ino
    swap(folder, {"a": "new", "d": "4"})
    assert (folder / "..data").readlink() != first
    assert (folder / "a").lstat().st_ino == link
    assert (folder / "a").read_text() == "new"
    assert {path.name for path in folder.iterdir()} == {
        *("..data", "a", "d", str((folder / "..data").readlink()))
    }
    assert (folder / "a").stat().st_mode & 0o7777 == 0o644
    assert folder.stat().st_mode & 0o7777 == 0o777


def test_an_empty_dir_is_for_all_to_write(tmp_path):
    assert empty_dir(tmp_path / "plain").stat().st_mode & 0o7777 == 0o777
    assert empty_dir(tmp_path / "group", 1000680000).stat().st_mode & 0o7777 == 0o2777
