"""What a run tells the supervisor to watch, and which resources an event touches."""

from __future__ import annotations

import os
import subprocess

import pytest

from converge import kinds, watching, worker
from converge.catalog import Catalog, Resource
from converge.config import Settings
from converge.daemon import prints, watches
from converge.inspection import Item
from converge.watching import Watching, steps, tree
from converge.worker import profile_watches

INPUTS = {"files": {}, "absent": [], "facts_files": []}


def resource(name, kind="file", *, after=(), phase=(), selected=True, **spec):
    return Resource(
        id=f"{kind}:{name}", kind=kind, spec={"name": name, **spec}, file="p.yaml", line=1,
        after=tuple(after), phase=tuple(phase), selected=selected,
    )  # fmt: skip


def catalog(*resources, secrets=None, **inputs):
    return Catalog(
        profile="p", source="/p", resources=resources, inputs={**INPUTS, **inputs},
        secrets=secrets or {},
    )  # fmt: skip


def items(*resources):
    found = []
    for one in resources:
        provider = kinds.load(one.kind)
        found.append(Item(resource=one, provider=provider, spec=provider.spec(**one.spec)))
    return found


def rows(records):
    """Return path → kind of records, each of which the supervisor understands."""
    assert all(map(watches.is_record, records))
    return {path: kind for kind, _, path in (record.split(" ", 2) for record in records)}


MOTD, ISSUE = resource("/etc/motd"), resource("/etc/issue")
TREE = resource("/srv", "directory", recurse=True)
LATER = resource("/etc/later", after=["file:/etc/motd"])
LAST = resource("/etc/last", after=["file:/etc/later"])
ALL = (MOTD, ISSUE, TREE, LATER, LAST)


@pytest.mark.parametrize(
    ("drifted", "touched"),
    [
        (["/etc/issue"], {"file:/etc/issue"}),
        (["/etc/motd"], {"file:/etc/motd", "file:/etc/later", "file:/etc/last"}),
        (["/etc/later"], {"file:/etc/later", "file:/etc/last"}),
        (["/srv"], {"directory:/srv"}),
        (["/srv/a/b"], {"directory:/srv"}),
        (["/srvx", "/etc", "/elsewhere"], set()),
    ],
)
@pytest.mark.parametrize("root", ["/", "/scratch", "/scratch/"])
def test_an_event_touches_whose_path_it_is_and_what_depends_on_it(drifted, touched, root):
    below = [os.path.normpath(f"{root}/{path}").replace("//", "/") for path in drifted]
    assert Watching(root, below).choose(catalog(*ALL)) == touched


def test_no_event_touches_all():
    assert Watching("/", []).choose(catalog(*ALL)) is None


def test_what_is_not_selected_is_not_touched():
    found = Watching("/", ["/a"]).choose(catalog(resource("/a", selected=False)))
    assert found == set()


def test_the_file_of_a_secret_touches_who_needs_it(tmp_path):
    (tmp_path / "data").mkdir()
    (tmp_path / "data/key").touch()
    (tmp_path / "key").symlink_to("data/key")
    secrets = {"file:/etc/motd": [{"file": f"{tmp_path}/key"}], "file:/etc/issue": [{"env": "X"}]}
    for path in (f"{tmp_path}/key", f"{tmp_path}/data/key"):
        found = Watching("/", [path]).choose(catalog(MOTD, ISSUE, secrets=secrets))
        assert found == {"file:/etc/motd"}


def test_the_files_of_the_profile_are_remembered():
    one = Watching("/", [])
    one.choose(catalog(files={"/p/a.yaml": "x"}, absent=["/p/b.yaml"], facts_files=["/f"]))
    assert one.files == ["/p/a.yaml", "/p/b.yaml", "/f"]


def test_what_was_read_is_to_be_watched_as_it_looked_before(tmp_path):
    (tmp_path / "etc").mkdir()
    motd = tmp_path / "etc/motd"
    motd.write_text("x")
    one = Watching(str(tmp_path), [])
    one.before_reading(items(MOTD, ISSUE))
    before = prints.of(str(motd))
    motd.write_text("changed while it was read")
    assert set(one.records([])) == {f"f 0 {tmp_path}/etc/issue", f"f {before} {motd}"}


def test_the_last_reading_counts(tmp_path):
    (tmp_path / "etc").mkdir()
    one = Watching(str(tmp_path), [])
    one.before_reading(items(MOTD))
    (tmp_path / "etc/motd").write_text("by the run itself")
    one.before_reading(items(MOTD))
    assert one.records([]) == [f"f {prints.of(f'{tmp_path}/etc/motd')} {tmp_path}/etc/motd"]


def test_what_is_of_another_phase_is_not_watched(tmp_path):
    one = Watching(str(tmp_path), [])
    one.before_reading(
        items(resource("/a", phase=["bake", "start"]), resource("/b", phase=["run"]))
    )
    assert rows(one.records([])) == {f"{tmp_path}/b": "f"}


def test_what_is_contended_is_left_alone_if_nobody_else_needs_it(tmp_path):
    one = Watching(str(tmp_path), [])
    users = [resource("a", "user"), resource("b", "user")]
    one.before_reading(items(MOTD, *users))
    passwd = f"{tmp_path}/etc/passwd"
    assert rows(one.records(["file:/etc/motd", "user:a"])) == rows(one.records([])) | {
        f"{tmp_path}/etc/motd": "-",
    }
    assert rows(one.records(["user:a", "user:b"]))[passwd] == "-"


def test_a_directory_with_all_that_is_in_it(tmp_path):
    (tmp_path / "srv/a/b").mkdir(parents=True)
    (tmp_path / "srv/link").symlink_to("/etc")
    (tmp_path / "srv/file").touch()
    one = Watching(str(tmp_path), [])
    one.before_reading(items(TREE))
    before = prints.of(f"{tmp_path}/srv/a/b", content=True)
    os.utime(tmp_path / "srv/a/b", (0, 0))
    (tmp_path / "srv/a/b/new").touch()
    found = one.records([])
    assert rows(found) == {f"{tmp_path}/srv{below}": "d" for below in ("", "/a", "/a/b")}
    assert f"d {before} {tmp_path}/srv/a/b" in found, "what came after the reading is drift"


def test_a_directory_that_is_not_there_is_waited_for(tmp_path):
    one = Watching(str(tmp_path), [])
    one.before_reading(items(TREE))
    assert one.records([]) == [f"f 0 {tmp_path}/srv"]


def test_a_huge_tree_is_not_watched_whole(tmp_path, monkeypatch):
    monkeypatch.setattr(watching, "MOST_DIRECTORIES", 10)
    for number in range(30):
        (tmp_path / f"{number}").mkdir()
    assert len(tree(str(tmp_path))) == 10


def test_a_file_that_is_a_mount_is_watched_itself(tmp_path, monkeypatch):
    monkeypatch.setattr(watching, "_mount_points", lambda: {f"{tmp_path}/etc/motd"})
    one = Watching(str(tmp_path), [])
    one.before_reading(items(MOTD, ISSUE))
    assert rows(one.records([])) == {f"{tmp_path}/etc/motd": "m", f"{tmp_path}/etc/issue": "f"}


def config_map(folder):
    (folder / "..one").mkdir(parents=True)
    (folder / "..one/p.yaml").write_text("x")
    (folder / "..data").symlink_to("..one")
    (folder / "p.yaml").symlink_to("..data/p.yaml")


def test_the_steps_to_a_file_of_a_config_map(tmp_path):
    config_map(tmp_path)
    assert steps(f"{tmp_path}/p.yaml") == [
        f"{tmp_path}/p.yaml", f"{tmp_path}/..data", f"{tmp_path}/..one/p.yaml",
    ]  # fmt: skip


def test_steps_of_other_links(tmp_path):
    (tmp_path / "a").mkdir()
    (tmp_path / "a/up").symlink_to("../b")
    (tmp_path / "b").symlink_to(f"{tmp_path}/c")
    assert steps(f"{tmp_path}/a/up/x") == [f"{tmp_path}/a/up", f"{tmp_path}/b", f"{tmp_path}/c/x"]
    (tmp_path / "loop").symlink_to("loop")
    assert len(steps(f"{tmp_path}/loop")) <= 41
    assert steps("/nothing/../x") == ["/x"]


def test_a_profile_that_changed_while_it_was_read_is_read_again(tmp_path):
    config_map(tmp_path)
    later = 2**63 - 1
    found = profile_watches(f"{tmp_path}/p.yaml", later, [f"{tmp_path}/missing.yaml"])
    assert set(rows(found).values()) == {"p"}
    assert f"p 0 {tmp_path}/missing.yaml" in found
    assert f"p {prints.of(f'{tmp_path}/..data')} {tmp_path}/..data" in found
    assert f"p -1 {tmp_path}/..data" in profile_watches(f"{tmp_path}/p.yaml", 0)


def test_a_profile_from_afar_has_no_file_to_watch():
    assert profile_watches("https://example.org/p.tar.gz", 0, ["/x"]) == []


def test_more_than_the_supervisor_takes_is_left_to_the_timer(tmp_path, monkeypatch, capfd):
    """Its whole result would be refused, and each run be a crash."""
    profile = tmp_path / "p.yaml"
    profile.write_text("resources: [{file: /motd, content: hello}]\n")
    settings = Settings(
        profile=str(profile), root=str(tmp_path), state_dir=f"{tmp_path}/own/state",
        runtime_dir=f"{tmp_path}/own/run",
    )  # fmt: skip
    *_, record = worker._run(settings, "timer", [])[4:]
    assert record.endswith(f" {profile}")
    monkeypatch.setattr(worker, "_MOST_RECORDS", 10)
    code, _, whole, _, *records = worker._run(settings, "timer", [])
    assert (code, whole) == ("0", "whole")
    assert all(record.startswith(f"{watches.PROFILE} ") for record in records)
    assert "too many to watch: their drift is left to the timer" in capfd.readouterr().err


def test_a_directory_of_any_depth(tmp_path, monkeypatch):
    """Whoever may write into a managed one decides how deep it gets."""
    folder = os.open(tmp_path, os.O_RDONLY)
    for _ in range(2100):  # paths may have 4,096 bytes
        os.mkdir("a", dir_fd=folder)
        below = os.open("a", os.O_RDONLY, dir_fd=folder)
        os.close(folder)
        folder = below
    os.close(folder)
    (tmp_path / "b").mkdir()
    assert len(tree(str(tmp_path))) == watching.MOST_DIRECTORIES
    assert str(tmp_path / "b") in tree(str(tmp_path)), "what is near is not lost for what is far"
    monkeypatch.setattr(watching, "MOST_DIRECTORIES", 5000)
    assert 1900 < len(tree(str(tmp_path))) < 2100
    subprocess.run(["rm", "-r", tmp_path / "a"], check=True)
