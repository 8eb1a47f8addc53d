"""Files without a name, for what is put into a directory later."""

from __future__ import annotations

import errno
import os

import pytest

from converge.files import staging
from converge.system import System


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "a").mkdir()
    return tmp_path / "a"


def use(fd, folder):
    try:
        os.write(fd, b"hello")
        assert os.listdir(folder) == []
        return os.fstat(fd).st_dev == os.stat(folder).st_dev
    finally:
        os.close(fd)


def test_lies_beside_what_it_is_for(tmp_path, folder):
    assert use(System(str(tmp_path)).scratch("/a"), folder)


def test_where_the_file_system_has_no_unnamed_files(tmp_path, folder, monkeypatch):
    real = os.open

    def refuse(path, flags, *arguments, **options):
        if flags & os.O_TMPFILE == os.O_TMPFILE:
            raise OSError(errno.EOPNOTSUPP, "no")
        return real(path, flags, *arguments, **options)

    monkeypatch.setattr(staging.os, "open", refuse)
    assert use(System(str(tmp_path)).scratch("/a"), folder)


def test_where_nothing_may_be_made_it_lies_in_memory(tmp_path, folder):
    assert not use(System(str(tmp_path)).scratch("/none"), folder)
