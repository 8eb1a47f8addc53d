"""Homes that change hands: what only root can do."""

from __future__ import annotations

import os

import pytest

from converge import kinds
from converge.testing import converge, make_spec
from providers.accounts_root import FILES, ME, line, make_root

USERS = kinds.load("user")
OLD, NEW = (1500, 1500), (1600, 4)


def for_root(test):
    """Leave out a test of what only root can set up: files of another user's."""
    return test if ME == 0 else None


@pytest.fixture
def home(tmp_path):
    system = make_root(tmp_path)
    path = tmp_path / "root/home/old"
    (path / "sub").mkdir(parents=True)
    (path / "sub/file").write_text("x")
    (path / "link").symlink_to(tmp_path / "root/etc/shadow")
    for one in (path, path / "sub", path / "sub/file", path / "link"):
        os.lchown(one, *OLD)
    return system, path


def owner(path):
    found = path.lstat()
    return found.st_uid, found.st_gid


@for_root
def test_the_files_of_a_home_follow_the_number(home):
    system, path = home
    (path / "of-root").write_text("x")
    (path / "group").write_text("x")
    os.chown(path / "group", 0, OLD[1])
    spec = make_spec("user", name="old", uid=NEW[0], gid="adm")
    assert converge(USERS, [spec], system) == []
    assert {owner(p) for p in (path, path / "sub", path / "sub/file", path / "link")} == {NEW}
    assert owner(path / "of-root") == (0, 0)
    assert owner(path / "group") == (0, NEW[1])


@for_root
def test_neither_links_nor_hard_links_lead_out_of_a_home(home, tmp_path):
    system, path = home
    secret = tmp_path / "root/etc/shadow"
    os.link(secret, path / "stolen")
    os.lchown(path / "stolen", 0, 42)
    assert converge(USERS, [make_spec("user", name="old", uid=NEW[0])], system) == []
    assert owner(secret) == (0, 42)


@for_root
def test_an_interrupted_change_of_a_number_is_finished(home):
    system, path = home
    os.lchown(path / "sub/file", NEW[0], OLD[1])
    assert converge(USERS, [make_spec("user", name="old", uid=NEW[0])], system) == []
    assert owner(path) == (NEW[0], OLD[1])
    assert owner(path / "sub/file") == (NEW[0], OLD[1])
    assert owner(path / "link") == (NEW[0], OLD[1])


@for_root
def test_a_home_that_is_not_the_users_is_not_given_away(home):
    system, path = home
    os.chown(path, 0, 0)
    assert converge(USERS, [make_spec("user", name="old", uid=NEW[0])], system) == []
    assert owner(path / "sub/file") == OLD


@for_root
def test_number_and_home_change_together(home, tmp_path):
    system, _ = home
    spec = make_spec("user", name="old", uid=NEW[0], home="/srv/old", manage_home=True)
    assert converge(USERS, [spec], system) == []
    assert owner(tmp_path / "root/srv/old/sub/file") == (NEW[0], OLD[1])
    assert line(system, "passwd", "old")[5] == "/srv/old"


@for_root
def test_a_device_of_the_system_is_nobodys_home(tmp_path):
    system = make_root(tmp_path)
    text = FILES["passwd"].replace("/home/old", "/etc")
    (tmp_path / "root/etc/passwd").write_text(text)
    os.chown(tmp_path / "root/etc", *OLD)
    assert converge(USERS, [make_spec("user", name="old", uid=NEW[0])], system) == []
    assert owner(tmp_path / "root/etc") == OLD
