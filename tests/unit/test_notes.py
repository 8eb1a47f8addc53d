"""What kinds remember of their resources from run to run."""

from __future__ import annotations

import os

import pytest

from converge.state import directory as state
from converge.state import notes as module
from converge.state.notes import Notes
from converge.system import System


@pytest.fixture
def store(tmp_path):
    return state.find(str(tmp_path / "state"))


def test_what_is_noted_is_known_at_once_and_kept_when_saved(store):
    notes = Notes(store)
    assert notes.get("download", "/x") == {}
    notes.put("download", "/x", {"etag": '"1"'})
    assert notes.get("download", "/x") == {"etag": '"1"'}
    assert Notes(store).get("download", "/x") == {}
    notes.save()
    assert Notes(store).get("download", "/x") == {"etag": '"1"'}
    assert Notes(store).get("archive", "/x") == {}


def test_what_holds_already_is_not_written_again(store):
    Notes(store).save()
    assert not os.path.exists(f"{store.path}/notes")
    notes = Notes(store)
    notes.put("download", "/x", {"a": 1})
    notes.save()
    before = os.stat(f"{store.path}/notes").st_ctime_ns
    again = Notes(store)
    again.put("download", "/x", {"a": 1})
    again.save()
    assert os.stat(f"{store.path}/notes").st_ctime_ns == before


def test_what_was_noted_in_the_image_is_found_until_it_is_replaced(store, tmp_path):
    image = state.find(str(tmp_path / "image"))
    baked = Notes(image)
    baked.put("archive", "/opt/a", {"files": []})
    baked.save()
    notes = Notes(store, image)
    assert notes.get("archive", "/opt/a") == {"files": []}
    notes.put("archive", "/opt/a", {})
    notes.save()
    assert Notes(store, image).get("archive", "/opt/a") == {}
    assert Notes(image).get("archive", "/opt/a") == {"files": []}


def test_a_damaged_note_is_none(store):
    notes = Notes(store)
    notes.put("download", "/x", {"a": 1})
    notes.save()
    (name,) = os.listdir(f"{store.path}/notes")
    with open(f"{store.path}/notes/{name}", "r+b") as file:
        file.truncate(20)
    assert Notes(store).get("download", "/x") == {}


def test_the_newest_are_kept(store, monkeypatch):
    monkeypatch.setattr(module, "MOST", 3)
    notes = Notes(store)
    for number in range(5):
        notes.put("download", f"/{number}", {"a": 1})
        notes.save()
    assert len(os.listdir(f"{store.path}/notes")) == 3
    assert Notes(store).get("download", "/4") == {"a": 1}


def test_without_a_store_they_last_for_a_run(tmp_path):
    system = System(str(tmp_path))
    system.read_only().notes.put("download", "/x", {"a": 1})
    system.read_only().notes.run["download", "/x"] = "current"
    assert system.notes.get("download", "/x") == {"a": 1}
    assert system.notes.run == {("download", "/x"): "current"}
    system.keep_notes()
    assert System(str(tmp_path)).notes.get("download", "/x") == {}


def test_where_the_state_is_elsewhere_than_in_the_image(tmp_path):
    image = state.find(None, str(tmp_path))
    baked = image.notes(str(tmp_path))
    baked.put("download", "/x", {"a": 1})
    baked.save()
    elsewhere = state.find(str(tmp_path / "elsewhere"))
    assert elsewhere.notes(str(tmp_path)).get("download", "/x") == {"a": 1}
    os.chmod(image.path, 0o755)  # noqa: S103
    assert elsewhere.notes(str(tmp_path)).get("download", "/x") == {}
