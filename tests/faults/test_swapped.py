"""What was inspected is not what is there any more when it is changed."""

from __future__ import annotations

import json

import pytest

from converge import runner
from converge.config import Settings
from converge.system import System


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "root/etc/app").mkdir(parents=True)
    (tmp_path / "root/etc/app/conf").write_text("old")
    for name in ("state", "run"):
        (tmp_path / name).mkdir(mode=0o700)
    profile = {
        "resources": [
            {"file": "/etc/app/conf", "content": "new"},
            {"file": "/etc/motd", "content": "x"},
        ]
    }
    (tmp_path / "p.yaml").write_text(json.dumps(profile))
    return tmp_path


def to_a_file(app):
    app.write_text("a file now")


def to_a_link(app):
    app.symlink_to("../srv")


def to_nothing(app):
    pass


def to_another(app):
    app.mkdir()
    (app / "conf").write_text("another")


@pytest.mark.parametrize("change", [to_a_file, to_a_link, to_nothing, to_another])
def test_f28_a_directory_that_changes_between_inspecting_and_applying(folder, monkeypatch, change):
    """Nothing is written through its new name; what could not be done has failed; the rest is done."""
    app, write = folder / "root/etc/app", System.write
    (folder / "root/srv").mkdir()
    (folder / "root/srv/conf").write_text("somebody else's")

    def late(self, path, *words, **more):
        if path == "/etc/app/conf" and not (folder / "moved").exists():
            app.rename(folder / "moved")
            change(app)
        return write(self, path, *words, **more)

    monkeypatch.setattr(System, "write", late)
    settings = Settings(
        profile=str(folder / "p.yaml"), root=str(folder / "root"),
        state_dir=str(folder / "state"), runtime_dir=str(folder / "run"),
    )  # fmt: skip
    report = runner.once(settings)
    found = {one["id"]: one for one in report["resources"]}
    assert found["file:/etc/motd"]["outcome"] == "changed"
    assert (folder / "root/srv/conf").read_text() == "somebody else's"
    assert (folder / "moved/conf").read_text() in ("old", "new")
    assert found["file:/etc/app/conf"]["outcome"] == "failed", found
    assert found["file:/etc/app/conf"]["reason"]
