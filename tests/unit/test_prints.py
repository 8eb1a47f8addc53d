"""What a path looks like, as one number."""

from __future__ import annotations

import os

import pytest

from converge.daemon import prints

CHANGES = {
    "content": lambda path: path.write_text("other"),
    "the same again": lambda path: path.write_text("text"),
    "mode": lambda path: path.chmod(0o600),
    "time": lambda path: os.utime(path, (1, 1)),
    "another name": lambda path: os.link(path, f"{path}2"),
    "gone": os.unlink,
}


@pytest.fixture
def file(tmp_path):
    path = tmp_path / "file"
    path.write_text("text")
    os.utime(path, (0, 0))
    return path


def test_it_stays_while_nothing_happens(file, tmp_path):
    before = prints.of(str(file))
    file.read_text()
    (tmp_path / "beside").touch()
    assert prints.of(str(file)) == before


@pytest.mark.parametrize("change", CHANGES.values(), ids=list(CHANGES))
def test_a_change_of_a_file(file, change):
    before = prints.of(str(file))
    change(file)
    assert prints.of(str(file)) != before


def test_what_is_not_there_is_0_and_nothing_else_is(file, tmp_path):
    assert prints.of(f"{tmp_path}/nothing") == prints.of(f"{file}/below") == prints.ABSENT == 0
    assert prints.of("/" + "x" * 5000) == prints.ABSENT
    assert prints.of(str(file)) != prints.ABSENT
    assert prints.of(str(tmp_path)) != prints.ABSENT


def test_another_file_of_the_same_content(file, tmp_path):
    before = prints.of(str(file))
    (tmp_path / "new").write_text("text")
    os.utime(tmp_path / "new", (0, 0))
    (tmp_path / "new").rename(file)
    assert prints.of(str(file)) != before


def test_a_link_is_looked_at_itself(file, tmp_path):
    link = tmp_path / "link"
    link.symlink_to("file")
    before = prints.of(str(link))
    file.write_text("other")
    assert prints.of(str(link)) == before
    link.unlink()
    link.symlink_to("elsewhere")
    assert prints.of(str(link)) != before


def test_of_a_directory_its_entries_count_only_when_asked(tmp_path):
    folder = tmp_path / "folder"
    folder.mkdir()
    os.utime(folder, (0, 0))
    alone, entries = prints.of(str(folder)), prints.of(str(folder), content=True)
    (folder / "entry").touch()
    assert prints.of(str(folder)) == alone
    assert prints.of(str(folder), content=True) != entries
    folder.chmod(0o700)
    assert prints.of(str(folder)) != alone


def test_it_fits_a_record(file):
    assert -(2**63) <= prints.of(str(file)) < 2**63


def test_it_is_the_same_in_another_process(file):
    """The worker says what it saw, the supervisor compares: no hash of theirs is salted."""
    import subprocess
    import sys

    code = f"from converge.daemon import prints; print(prints.of({str(file)!r}))"
    for seed in ("1", "2"):
        told = subprocess.run(
            [sys.executable, "-c", code],
            env={"PYTHONHASHSEED": seed}, capture_output=True, text=True, check=True,
        )  # fmt: skip
        assert int(told.stdout) == prints.of(str(file))
