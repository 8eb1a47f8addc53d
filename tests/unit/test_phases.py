"""What is part of a run in which phase, what is withheld, and what a build leaves in the image."""

from __future__ import annotations

import os

import pytest

from converge import baking, kinds, outcome, runner
from converge.config import Settings
from converge.engine import Run
from converge.errors import ProfileError
from converge.inspection import Inspection
from converge.mounts import Mount
from converge.notifications import Notifications
from converge.reports import report
from converge.state import cache, image, standing
from converge.state.directory import StateDirectory
from converge.system import System
from converge.testing import FakeSystem
from converge.watching import Watching
from unit.sample import ThingState, catalog, install, resource

WITHHELD = {"run": "things are not changed while the application runs"}


@pytest.fixture
def thing(monkeypatch):
    return install(monkeypatch)[0]


@pytest.fixture
def state(tmp_path):
    (tmp_path / "state").mkdir(mode=0o700)
    return StateDirectory(str(tmp_path / "state"))


def run(tmp_path, *resources, phase="start"):
    made = Run(catalog(*resources), System(str(tmp_path)), Notifications(None), phase=phase)
    made.converge()
    return made


def results(made):
    return {name.partition(":")[2]: found.result for name, found in made.outcomes.items()}


class TestDeclared:
    def test_one_several_or_as_the_kind_says(self, make, monkeypatch):
        monkeypatch.setattr(type(kinds.load("other")), "phases", ("start", "run"))
        found = make(
            "resources:\n  - thing: a\n    phase: bake\n  - thing: b\n    phase: [start, run]\n"
            "  - thing: c\n  - other: d\n  - other: e\n    phase: bake\n"
        )
        assert {one.id[-1]: one.phase for one in found.resources} == {
            "a": ("bake",), "b": ("start", "run"), "c": (), "d": ("start", "run"), "e": ("bake",),
        }  # fmt: skip

    @pytest.mark.parametrize(
        ("written", "words"),
        [("build", "'bake', 'start' or 'run'"), ("[]", "at least 1"), ("1", "not 1")],
    )
    def test_what_is_no_phase(self, make, written, words):
        with pytest.raises(ProfileError, match=words):
            make(f"resources:\n  - thing: a\n    phase: {written}\n")

    def test_real_kinds(self):
        assert kinds.load("sysctl").phases == ("start", "run")
        assert kinds.load("service").phases == ("start", "run")
        assert "run" in kinds.load("package").withheld
        assert kinds.load("file").phases == ()


class TestRuns:
    def test_what_is_not_part_of_the_phase_is_left(self, thing, tmp_path):
        resources = (resource("a", phase=("bake",)), resource("b", phase=("start", "run")))
        made = run(tmp_path, *resources, resource("c", 1, after=("thing:a",)), phase="run")
        assert results(made) == {"b": "changed", "c": "changed"}
        told = report.make(catalog(*resources), made, report.Stopwatch(), dry=False, detailed=False)
        assert (told["phase"], told["left"]) == ("run", ["thing:a"])

    def test_without_a_phase_everything_is_part(self, thing, tmp_path):
        assert results(run(tmp_path, resource("a", phase=("bake",)), phase="")) == {"a": "changed"}

    def test_what_is_withheld_is_told_and_fails_nothing(self, thing, tmp_path, monkeypatch):
        monkeypatch.setattr(thing, "withheld", WITHHELD)
        thing.live["right"] = ThingState(value=1)
        resources = (
            resource("wrong"), resource("right"), resource("named", phase=("run",)),
            resource("next", 1, kind="other", after=("thing:wrong",)),
        )  # fmt: skip
        made = run(tmp_path, *resources, phase="run")
        assert results(made) == {
            "wrong": "unmanageable", "right": "in_sync", "named": "changed", "next": "skipped",
        }  # fmt: skip
        assert made.outcomes["thing:wrong"].reason == WITHHELD["run"]
        assert "phase: [start, run]" in made.outcomes["thing:wrong"].remedy
        assert not any(found.counts for found in made.outcomes.values())
        assert results(run(tmp_path, *resources, phase="start"))["wrong"] == "changed"


class TestMounts:
    @pytest.fixture
    def system(self, tmp_path, monkeypatch):
        found = FakeSystem(tmp_path)
        points = {
            path: Mount(path=path, type="x", source="x", read_only=False)
            for path in ("/", "/etc/hosts", "/var/cache")
        }
        monkeypatch.setattr("converge.read_only.ReadOnlySystem.mounts", lambda _: points)
        return found

    def test_what_lies_on_one_is_no_part_of_an_image(self, make, system):
        found = make(
            "resources:\n  - file: [/etc/hosts, /etc/motd, /var/cache/x]\n    content: x\n"
        )
        os.makedirs(f"{system.root}/etc")
        made = Run(found, system, Notifications(None), phase="bake")
        made.converge()
        assert {name: one.result for name, one in made.outcomes.items()} == {
            "file:/etc/hosts": "skipped", "file:/etc/motd": "changed", "file:/var/cache/x": "skipped",
        }  # fmt: skip
        assert not made.outcomes["file:/etc/hosts"].blocks
        other = Inspection(found, phase="start")
        assert image.on_mounts(other.items.values(), system).keys() == {
            "file:/etc/hosts", "file:/var/cache/x",
        }  # fmt: skip


class TestRecord:
    def test_a_file_that_looks_as_it_did_is_not_read(self, make, state, tmp_path):
        (tmp_path / "root").mkdir()
        system = FakeSystem(tmp_path / "root")
        (tmp_path / "secret").write_text("one")
        found = make(
            "resources:\n  - file: /x\n    content: one\n    mode: '0644'\n"
            f"  - file: /y\n    content: {{file: {tmp_path}/secret}}\n"
            "  - file: /z\n    content: z\n"
        )
        (tmp_path / "root/z").write_text("z")
        os.utime(tmp_path / "root/z", (4e9, 4e9))  # of the future
        made = Run(found, system, Notifications(None), phase="bake")
        made.converge()
        state.write("report.json", b"{}")
        state.write("reports/one.json", b"{}")
        baking.keep(state, system, made, found)
        assert sorted(os.listdir(state.path)) == ["baked.json", "reports"]
        assert state.reports() == []
        known = image.digests(state)
        assert list(known) == ["/x"]  # a digest would tell of a secret
        again = System(str(tmp_path / "root"))
        again.baked = lambda: known
        reader = again.read_only()
        path = tmp_path / "root/x"
        before = path.stat()
        digest = reader.digest("/x")
        path.write_text("two")
        assert reader.digest("/x") != digest  # a second has passed
        os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))
        assert reader.digest("/x") == digest  # it is believed
        path.chmod(0o600)
        assert reader.digest("/x") != digest

    def test_a_record_that_is_damaged_or_of_another_version_is_none(self, state):
        assert image.digests(state) == {}
        state.write_json(image.NAME, {"version": 99, "files": {"/x": [1]}})
        assert image.digests(state) == {}
        state.write(image.NAME, b"nonsense")
        assert image.digests(state) == {}

    def test_the_catalog_is_the_same_in_all_phases(self, state):
        keys = [cache.key(Settings(phase=phase), state) for phase in ("bake", "start", None)]
        assert keys[0] == keys[1] == keys[2]


def test_what_is_not_part_of_the_phase_stays_unresolved():
    entry = {"outcome": "failed", "fatal": True, "reason": "why", "remedy": ""}
    plain = {"exit_code": 4, "partial": [], "pending": {}, "error": "", "left": []}
    first = {**plain, "id": "1", "resources": [{"id": "a", **entry}, {"id": "b", **entry}]}
    found = standing.after_run(None, first, "c", standing.Clock())
    then = {**plain, "id": "2", "resources": [], "left": ["a"]}
    found = standing.after_run(found, then, "c", standing.Clock())
    assert list(found["unresolved"]) == ["a"]
    assert found["success"] is None


def test_only_what_is_part_of_the_running_phase_is_watched(make):
    found = make(
        "resources:\n  - file: /a\n    phase: [start, run]\n  - file: /b\n    phase: start\n"
    )
    watching = Watching("/", [])
    watching.choose(found)
    watching.before_reading(Inspection(found, phase="start").items.values())
    assert [record.split()[-1] for record in watching.records([])] == ["/a"]
    assert outcome.withheld("r", "m", None).result == outcome.UNMANAGEABLE


def test_a_build_changes_what_is_there_and_keeps_no_backup(tmp_path):
    for name in ("root", "root/old", "state", "run"):
        (tmp_path / name).mkdir(mode=0o700)
    for name in ("replaced", "removed", "old/below"):
        (tmp_path / "root" / name).write_text("before")
    path = tmp_path / "p.yaml"
    path.write_text(
        "resources:\n  - file: /replaced\n    content: after\n  - file: /removed\n    state: absent\n"
        "  - directory: /old\n    state: absent\n    force: true\n"
    )
    settings = Settings(
        profile=str(path), root=str(tmp_path / "root"), state_dir=str(tmp_path / "state"),
        runtime_dir=str(tmp_path / "run"), phase="bake",
    )  # fmt: skip
    report = runner.once(settings)
    assert report["exit_code"] == 0, report["resources"]
    assert {one.name for one in (tmp_path / "root").iterdir()} == {"replaced"}
    assert (tmp_path / "root/replaced").read_text() == "after"
    assert not (tmp_path / "state/backups").exists()
