"""What was right is known again by how it looks, and everything that changes it shows."""

from __future__ import annotations

import json
import os
import time

import pytest

from converge.cli import main
from converge.state import fingerprints
from converge.state.fingerprints import DAY, Fingerprints
from converge.state.standing import Clock
from converge.system import System
from unit.sample import ThingProvider, ThingState, catalog, install, resource


@pytest.fixture
def long_ago(monkeypatch):
    """Let what was changed just now count as changed long ago."""
    monkeypatch.setattr(fingerprints, "_TICK", -(10**18))


@pytest.fixture
def root(tmp_path):
    (tmp_path / "root/etc").mkdir(parents=True)
    (tmp_path / "root/etc/motd").write_text("hello\n")
    (tmp_path / "root/etc/passwd").write_text("root:x:0:0::/root:/bin/sh\n")
    (tmp_path / "root/link").symlink_to("etc/motd")
    return tmp_path / "root"


@pytest.fixture
def system(root):
    return System(str(root))


def noted(system, **paths):
    """Return fingerprints of resources that were read and right."""
    made = Fingerprints(None, "c", Clock())
    for name, rests_on in paths.items():
        made.before_reading(name, rests_on, system)
        made.was_right(name)
    return Fingerprints(json.loads(json.dumps(made.plain())), "c", Clock())


def in_place(root):
    """Change the content, not the size, and put the time of the change back."""
    path = root / "etc/motd"
    before = path.stat()
    path.write_text("HELLO\n")
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))


def replaced(root):
    (root / "etc/new").write_text("hello\n")
    (root / "etc/new").rename(root / "etc/motd")


CHANGES = {
    "content": in_place,
    "mode": lambda root: (root / "etc/motd").chmod(0o600),
    "another file": replaced,
    "nothing": lambda root: (root / "etc/motd").unlink(),
    "another name of it": lambda root: (root / "etc/other").hardlink_to(root / "etc/motd"),
}


@pytest.mark.usefixtures("long_ago")
class TestHold:
    def test_what_looks_as_it_did(self, system):
        made = noted(system, a=["/etc/motd"], b=["/etc/none", "/link", "/etc", "/"])
        assert made.hold("a", system)
        assert made.hold("b", system)
        assert not made.changed
        assert not made.full

    def test_what_was_never_read(self, system):
        assert not noted(system).hold("a", system)

    @pytest.mark.parametrize("path", ["/etc/motd", "/link"])
    @pytest.mark.parametrize("change", CHANGES.values(), ids=CHANGES)
    def test_a_change_shows(self, system, root, path, change):
        made = noted(system, a=[path])
        change(root)
        assert not made.hold("a", system)
        assert made.changed

    def test_a_link_that_leads_elsewhere_shows(self, system, root):
        made = noted(system, a=["/link"])
        (root / "link").unlink()
        (root / "link").symlink_to("etc/passwd")
        assert not made.hold("a", system)

    def test_what_comes_into_being_shows(self, system, root):
        made = noted(system, a=["/etc/none"])
        (root / "etc/none").touch()
        assert not made.hold("a", system)

    @pytest.mark.parametrize("path", ["/etc", "/etc/"])
    def test_of_a_directory_its_mode_counts_and_with_a_slash_its_entries(self, system, root, path):
        made = noted(system, a=[path])
        (root / "etc/new").touch()
        assert made.hold("a", system) == (path == "/etc")
        made = noted(system, a=[path])
        (root / "etc").chmod(0o700)
        assert not made.hold("a", system)

    def test_one_of_several_paths_is_enough(self, system, root):
        made = noted(system, a=["/etc/motd", "/etc/passwd"], b=["/etc/motd"])
        (root / "etc/passwd").write_text("")
        assert not made.hold("a", system)
        assert made.hold("b", system)

    def test_a_directory_that_was_swapped_shows(self, system, root):
        made = noted(system, a=["/etc/motd"])
        (root / "etc").rename(root / "old")
        (root / "etc").mkdir()
        (root / "etc/motd").write_text("hello\n")
        system.forget()
        assert not made.hold("a", system)

    def test_a_look_is_taken_once_in_a_phase(self, system, root):
        made = noted(system, a=["/etc/motd"])
        assert made.hold("a", system)
        in_place(root)
        assert made.hold("a", system)
        made.look_anew()
        assert not made.hold("a", system)

    def test_what_cannot_be_looked_at_is_not_kept(self, system, monkeypatch):
        made = noted(system, a=["/etc/motd"])
        monkeypatch.setattr(system, "lstat", lambda _: os.stat("/nothing/at/all"))
        monkeypatch.setattr(fingerprints, "_print_of", lambda *_: os.stat("/nothing/at/all"))
        assert not made.hold("a", system)
        made.before_reading("a", ["/etc/motd"], system)
        made.was_right("a")
        assert "a" not in made.plain()["paths"]

    def test_who_rests_on_what_has_changed_meanwhile_is_forgotten(self, system, root):
        made = Fingerprints(None, "c", Clock())
        for name in ("a", "b"):
            made.look_anew()
            made.before_reading(name, ["/etc/motd"], system)
            made.was_right(name)
            in_place(root)
        assert [*made.plain()["paths"]] == ["b"]

    def test_what_was_not_right_is_not_kept(self, system):
        made = Fingerprints(None, "c", Clock())
        made.before_reading("a", ["/etc/motd"], system)
        assert made.plain()["paths"] == {}


def test_what_was_changed_just_before_it_was_read_is_not_kept(system, root):
    assert not noted(system, a=["/etc/motd"]).hold("a", system)
    assert noted(system, a=["/etc"]).hold("a", system), "a directory's numbers say all there is"


def test_what_seems_to_be_of_the_future_is_not_kept(system, monkeypatch):
    monkeypatch.setattr(time, "time_ns", lambda: 0)
    assert not noted(system, a=["/etc/motd"]).hold("a", system)


@pytest.mark.usefixtures("long_ago")
class TestKept:
    def later(self, seconds):
        clock = Clock()
        clock.boottime += seconds
        return clock

    def test_it_is_of_one_catalog(self, system):
        kept = noted(system, a=["/etc/motd"]).plain()
        other = Fingerprints(kept, "d", Clock())
        assert other.full
        assert other.changed
        assert not other.hold("a", system)

    def test_everything_is_read_again_after_a_day(self, system):
        kept = noted(system, a=["/etc/motd"]).plain()
        assert not Fingerprints(kept, "c", self.later(DAY - 60)).full
        assert Fingerprints(kept, "c", self.later(DAY + 60)).full

    def test_a_run_that_knows_something_does_not_put_the_day_off(self, system):
        kept = noted(system, a=["/etc/motd"]).plain()
        again = Fingerprints(kept, "c", self.later(1000)).plain()
        assert again["read"] == kept["read"]

    @pytest.mark.parametrize("kept", [None, [], "x", {}, {"version": 99}])
    def test_what_is_of_another_agent(self, kept):
        assert Fingerprints(kept, "c", Clock()).full

    def test_when_it_is_asked_for(self, system):
        assert Fingerprints(noted(system, a=["/"]).plain(), "c", Clock(), full=True).full


class Watched(ThingProvider):
    """A thing that rests on a file of its name."""

    def rests_on(self, spec):
        return [f"/etc/{spec.name}"]


@pytest.mark.usefixtures("long_ago")
class TestRun:
    @pytest.fixture
    def thing(self, monkeypatch):
        thing = install(monkeypatch)[0]
        monkeypatch.setattr(ThingProvider, "rests_on", Watched.rests_on)
        thing.live |= {"motd": ThingState(value=1), "passwd": ThingState(value=1)}
        return thing

    def converge(self, system, known):
        from converge.engine import Run
        from converge.notifications import Notifications

        made = Run(
            catalog(resource("motd"), resource("passwd")), system, Notifications(None),
            fingerprints=known,
        )  # fmt: skip
        made.converge()
        return {name: found.result for name, found in made.outcomes.items()}

    def test_what_is_known_is_not_read(self, thing, system):
        known = Fingerprints(None, "c", Clock())
        wanted = {"thing:motd": "in_sync", "thing:passwd": "in_sync"}
        assert self.converge(system, known) == wanted
        assert thing.inspected == [["motd", "passwd"]]
        assert self.converge(system, known) == wanted
        assert thing.inspected == [["motd", "passwd"]]

    def test_only_what_looks_different_is_read(self, thing, system, root):
        known = Fingerprints(None, "c", Clock())
        self.converge(system, known)
        in_place(root)
        thing.live["motd"] = ThingState(value=9)
        found = self.converge(system, known)
        assert found == {"thing:motd": "changed", "thing:passwd": "in_sync"}
        assert thing.inspected[1:] == [["motd"], ["motd"]], "passwd holds, also when all is done"

    def test_what_a_change_undoes_is_seen_though_it_was_known(self, thing, system, root):
        known = Fingerprints(None, "c", Clock())
        self.converge(system, known)
        (root / "etc/passwd").write_text("changed\n")
        thing.live["passwd"] = ThingState(value=9)

        def undo(provider):
            in_place(root)
            provider.live["motd"] = ThingState(value=9)

        thing.tricks["passwd"] = undo
        found = self.converge(system, known)
        assert found == {"thing:motd": "changed", "thing:passwd": "changed"}


PROFILE = """profile: p
resources:
  - file: /etc/motd
    content: "hello\\n"
    mode: "0644"
    owner: {owner}
"""


@pytest.mark.usefixtures("long_ago")
class TestCommand:
    @pytest.fixture
    def call(self, tmp_path, root, monkeypatch, capsys):
        tmp_path.chmod(0o755)
        (tmp_path / "p.yaml").write_text(PROFILE.format(owner="me"))
        (root / "etc/passwd").write_text(f"me:x:{os.geteuid()}:0::/:/bin/sh\n")
        monkeypatch.setenv("CONVERGE_STATE_DIR", str(tmp_path / "state"))
        monkeypatch.setenv("CONVERGE_RUNTIME_DIR", str(tmp_path / "run"))
        monkeypatch.setenv("CONVERGE_PROFILE", str(tmp_path / "p.yaml"))

        def run(*words):
            code = main([*words, "--json", "--root", str(root)])
            return code, json.loads(capsys.readouterr().out)

        return run

    def test_a_run_says_whether_it_read_everything(self, call):
        assert call("--once")[1]["full"]
        assert not call("--once")[1]["full"]
        assert call("--once", "--full")[1]["full"]
        assert not call("plan")[1]["full"]
        assert call("plan", "--full")[1]["full"]

    def test_drift_that_hides_well_is_put_right(self, call, root):
        call("--once")
        in_place(root)
        assert call("plan")[0] == 2
        assert call("--once")[1]["counts"]["changed"] == 1
        assert (root / "etc/motd").read_text() == "hello\n"

    def test_an_owner_that_gets_another_number_shows(self, call, root):
        call("--once")
        call("--once")
        (root / "etc/passwd").write_text(f"me:x:{os.geteuid() + 1}:0::/:/bin/sh\n")
        assert call("plan")[1]["counts"]["would_change"] + call("plan")[1]["counts"]["unmanageable"]

    def test_another_profile_is_another_thing(self, call, tmp_path):
        call("--once")
        call("--once")
        (tmp_path / "p.yaml").write_text(PROFILE.format(owner="me").replace("hello", "bye"))
        assert call("--once")[1]["full"]

    def test_a_damaged_file_counts_as_none(self, call, tmp_path):
        call("--once")
        (tmp_path / "state/fingerprints.json").write_text("x")
        assert call("--once")[1]["full"]

    def test_a_run_of_some_tags_reads(self, call):
        call("--once")
        assert call("--once", "--tags", "x")[1]["full"]

    def test_a_secret_is_read_in_every_run(self, call, tmp_path, root):
        secret = tmp_path / "secret"
        secret.write_text("one")
        secret.chmod(0o600)
        text = PROFILE.format(owner="me").replace('"hello\\n"', f"{{ file: {secret} }}")
        (tmp_path / "p.yaml").write_text(text)
        code, report = call("--once")
        assert code == 0, report
        call("--once")
        secret.write_text("two")
        assert call("--once")[1]["counts"]["changed"] == 1
        assert (root / "etc/motd").read_text() == "two"
