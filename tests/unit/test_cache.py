"""The kept catalog: used while all that it was made from is as it was, and for nothing else."""

from __future__ import annotations

import json
import os
import shutil

import pytest

from converge import loading
from converge.config import Settings
from converge.errors import ConvergeError
from converge.state import cache
from converge.state import directory as states
from converge.system import System

PROFILE = """\
include: [part.yaml]
layers: ["os/{{ facts.os.id }}.yaml"]
vars: {word: welcome}
resources:
  - file: /etc/motd
    content: "{{ word }} to {{ facts.os.id }} {{ facts.environment.PLACE }}\\n"
"""


class Place:
    """A profile in a folder, a root, and a state directory."""

    def __init__(self, folder):
        self.folder = folder
        self.write("root/etc/os-release", "ID=debian\n")
        self.write("p/p.yaml", PROFILE)
        self.write("p/part.yaml", "resources:\n  - file: /etc/issue\n    content: x\n")
        self.settings = Settings(
            root=f"{folder}/root", profile=f"{folder}/p/p.yaml", facts_dir=f"{folder}/facts"
        )

    def write(self, name, text):
        path = self.folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)

    @property
    def state(self):
        return states.find(f"{self.folder}/state")

    def load(self, **options):
        return loading.load(self.settings, System(self.settings.root), self.state, **options)

    def run(self):
        """Load, and keep what was compiled, as a run does; return whether it was."""
        found = self.load()
        if found.compiled:
            cache.keep(self.state, found.settings, found.catalog)
        return found.compiled

    @property
    def file(self):
        return self.folder / "state" / cache.NAME


@pytest.fixture
def place(tmp_path, monkeypatch):
    monkeypatch.setenv("PLACE", "here")
    return Place(tmp_path)


def test_it_is_compiled_once(place):
    assert place.run() is True
    before = place.load()
    assert place.run() is before.compiled is False
    assert place.file.stat().st_mode & 0o777 == 0o600


def test_what_was_kept_is_what_was_compiled(place):
    fresh = place.load()
    cache.keep(place.state, fresh.settings, fresh.catalog)
    kept = place.load().catalog
    assert json.dumps(kept.dump()) == json.dumps(fresh.catalog.dump())
    assert cache.identity(kept) == cache.identity(fresh.catalog)


CHANGES = {
    "the profile": lambda place: place.write("p/p.yaml", PROFILE.replace("to", "into")),
    "an include": lambda place: place.write("p/part.yaml", "resources: []\n"),
    "a layer that was not there": lambda place: place.write("p/os/debian.yaml", "word: hi\n"),
    "a fact": lambda place: place.write("root/etc/os-release", "ID=alpine\n"),
}


@pytest.mark.parametrize("change", CHANGES.values(), ids=list(CHANGES))
def test_it_is_compiled_again_after_a_change(place, change):
    place.run()
    before = cache.identity(place.load().catalog)
    change(place)
    assert cache.identity(place.load().catalog) != before
    assert place.run() is True
    assert place.run() is False


def test_a_fact_of_the_environment(place, monkeypatch):
    place.run()
    monkeypatch.setenv("PLACE", "elsewhere")
    assert place.run() is True
    monkeypatch.setenv("NOT_ASKED_FOR", "x")
    assert place.run() is False


@pytest.mark.parametrize(
    ("name", "value"),
    [("vars", {"word": "good day"}), ("facts_dir", "/x"), ("profile", None), ("root", None)],
)
def test_of_other_settings_it_is_another(place, name, value):
    place.run()
    if value is None:
        old = getattr(place.settings, name)
        value = os.path.join(os.path.dirname(old), f"copy-{os.path.basename(old)}")
        (shutil.copytree if os.path.isdir(old) else shutil.copy)(old, value)
    place.settings = place.settings.replace(**{name: value})
    assert place.run() is True


@pytest.mark.parametrize(("name", "value"), [("noop", True), ("interval", 5.0), ("json", True)])
def test_settings_that_change_no_catalog(place, name, value):
    place.run()
    place.settings = place.settings.replace(**{name: value})
    assert place.run() is False


def test_of_another_agent_it_is_another(place, monkeypatch):
    place.run()
    monkeypatch.setattr("converge.__version__", "99")
    assert place.run() is True


DAMAGES = {
    "empty": lambda text: "",
    "half": lambda text: text[: len(text) // 2],
    "cut": lambda text: text[:-20],
    "another word": lambda text: text.replace("motd", "mode"),
    "another form": lambda text: "null",
    "NUL": lambda text: "\0" * 100,
}


@pytest.mark.parametrize("damage", DAMAGES.values(), ids=list(DAMAGES))
def test_a_damaged_one_is_compiled_again(place, damage):
    place.run()
    text = place.file.read_text()
    place.file.write_text(damage(text))
    assert place.run() is True
    assert place.file.read_text() == text
    assert place.run() is False


@pytest.mark.parametrize(
    "content",
    [
        *({}, [], {"key": None}, {"catalog": {}}, {"key": "mine", "catalog": None}),
        *({"key": "mine"}, {"key": "mine", "catalog": {"version": 1}}),
        {"key": "mine", "catalog": {"version": 1, "resources": [{"id": "x"}]}},
        {"key": "mine", "catalog": {"version": 99}},
    ],
)
def test_one_of_another_form_is_compiled_again(place, content):
    """With a checksum that is right: of an older agent, say."""
    if isinstance(content, dict) and content.get("key"):
        content = {**content, "key": cache.key(place.settings, place.state)}
    place.state.write_json(cache.NAME, content)
    assert place.run() is True
    assert place.run() is False


def test_it_stays_in_force_when_the_profile_is_wrong(place):
    place.run()
    place.write("p/p.yaml", "resources:\n  - fiel: /x\n")
    with pytest.raises(ConvergeError, match="fiel"):
        place.load()
    found = place.load(last_good=True)
    assert "the last good profile stays in force" in found.error
    assert [one.id for one in found.catalog.resources] == ["file:/etc/issue", "file:/etc/motd"]
    os.unlink(place.settings.profile)
    assert "the last good profile stays in force" in place.load(last_good=True).error


def test_without_a_last_good_one_a_wrong_profile_is_an_error(place):
    place.write("p/p.yaml", "resources:\n  - fiel: /x\n")
    with pytest.raises(ConvergeError, match="fiel"):
        place.load(last_good=True)


def test_a_state_that_cannot_be_written_keeps_nothing(place, monkeypatch):
    def full(*_args, **_options):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(states.StateDirectory, "write_json", full)
    assert place.run() is True
    assert place.run() is True
    assert not place.file.exists()
