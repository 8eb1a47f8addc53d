"""Directories of our own: chosen, made, and refused when they are not ours alone."""

from __future__ import annotations

import os

import pytest

from converge.errors import UsageError
from converge.state import private


def test_makes_what_is_missing(tmp_path):
    path = str(tmp_path / "a/b/own")
    assert private.problem(path, create=True) == ""
    assert os.stat(path).st_mode & 0o7777 == 0o700
    assert os.stat(tmp_path / "a").st_mode & 0o7777 == 0o755


def test_does_not_touch_a_good_one(tmp_path):
    os.mkdir(tmp_path / "own", 0o700)
    before = os.stat(tmp_path / "own")
    assert private.problem(str(tmp_path / "own"), create=True) == ""
    after = os.stat(tmp_path / "own")
    assert (before.st_ctime_ns, before.st_mtime_ns) == (after.st_ctime_ns, after.st_mtime_ns)


def test_nothing_is_made_without_create(tmp_path):
    assert private.problem(str(tmp_path / "own"), create=False) is None
    assert private.problem(str(tmp_path / "no/own"), create=False) is None
    assert os.listdir(tmp_path) == []


@pytest.mark.parametrize("mode", [0o701, 0o710, 0o755, 0o777, 0o1777])
def test_refuses_what_others_can_enter(tmp_path, mode):
    path = tmp_path / "own"
    path.mkdir()
    path.chmod(mode)
    assert f"mode {mode:04o}" in private.problem(str(path), create=True)
    assert os.stat(path).st_mode & 0o7777 == mode


def test_refuses_a_symlink_a_file_and_a_relative_path(tmp_path):
    (tmp_path / "real").mkdir(mode=0o700)
    (tmp_path / "link").symlink_to("real")
    (tmp_path / "dangling").symlink_to("nowhere")
    (tmp_path / "file").touch()
    for name in ("link", "dangling", "file"):
        assert "is not a directory" in private.problem(str(tmp_path / name), create=True)
    assert "cannot be made: Not a directory" in private.problem(f"{tmp_path}/file/x", create=True)
    assert not (tmp_path / "nowhere").exists()
    assert "is not an absolute path" in private.problem("own", create=True)


def test_refuses_a_directory_that_others_could_swap(tmp_path):
    (tmp_path / "open").mkdir()
    (tmp_path / "open").chmod(0o777)
    trouble = private.problem(str(tmp_path / "open/own"), create=True)
    assert f"{tmp_path}/open can be changed by " in trouble


def test_takes_one_in_a_sticky_directory(tmp_path):
    (tmp_path / "open").mkdir()
    (tmp_path / "open").chmod(0o1777)
    assert private.problem(str(tmp_path / "open/own"), create=True) == ""


def test_explicit_is_used_or_an_error(tmp_path):
    good = str(tmp_path / "own")
    assert private.choose(good, [], "SETTING", create=False) is None
    assert private.choose(good, [], "SETTING", create=True) == good
    (tmp_path / "own").chmod(0o750)
    with pytest.raises(UsageError, match=r"SETTING: .*/own has mode 0750.*name a directory"):
        private.choose(good, [str(tmp_path / "other")], "SETTING", create=True)
    assert not (tmp_path / "other").exists()


def test_chooses_the_first_that_is_ours_alone(tmp_path):
    (tmp_path / "planted").symlink_to("/etc")
    candidates = [f"{tmp_path}/planted", f"{tmp_path}/a", f"{tmp_path}/b"]
    path = private.choose(None, candidates, "", create=True)
    assert path == f"{tmp_path}/a"
    assert private.problem(candidates[0], create=True) == f"{candidates[0]} is not a directory"
    assert not (tmp_path / "b").exists()
    assert private.choose(None, candidates, "", create=False) == path


def test_none_can_be_made(tmp_path):
    (tmp_path / "file").touch()
    path = f"{tmp_path}/file/a"
    assert private.choose(None, [path], "", create=True) is None
    assert "Not a directory" in private.problem(path, create=True)


def test_nothing_is_left_where_it_would_be_refused(tmp_path):
    (tmp_path / "open").mkdir()
    (tmp_path / "open").chmod(0o777)
    for path in ("open/own", "open/a/b/own"):
        assert "can be changed by" in private.problem(f"{tmp_path}/{path}", create=True)
    assert list((tmp_path / "open").iterdir()) == []


@pytest.mark.parametrize("mode", [0o755, 0o750, 0o1777, 0o1770, 0o711])
def test_in_a_volume_that_others_cannot_swap_it_has_a_directory_of_its_own(tmp_path, mode):
    volume = tmp_path / "var/lib/x"
    volume.mkdir(parents=True)
    volume.chmod(mode)
    wanted = f"{volume}/x-{os.geteuid()}"
    found = [str(volume), wanted]
    assert private.places(str(tmp_path), "var/lib", "x") == found
    assert private.choose(None, found, "", create=False) is None
    assert private.choose(None, found, "", create=True) == wanted
    wrong = f"{volume} has mode {mode:04o}, which lets others in: chmod 0700"
    assert private.problem(str(volume), create=True) == wrong
    assert os.stat(wanted).st_mode & 0o7777 == 0o700
    assert os.stat(volume).st_mode & 0o7777 == mode
    assert private.choose(None, found, "", create=False) == wanted


@pytest.mark.parametrize("mode", [0o777, 0o2777, 0o702])
def test_a_volume_where_others_could_swap_it_is_left_as_it_is(tmp_path, mode):
    volume = tmp_path / "var/lib/x"
    volume.mkdir(parents=True)
    volume.chmod(mode)
    places = private.places(str(tmp_path), "var/lib", "x")
    assert private.choose(None, places, "", create=True) is None
    assert "lets others in" in private.problem(places[0], create=True)
    assert f"{volume} can be changed by " in private.problem(places[1], create=True)
    assert list(volume.iterdir()) == []


def test_a_good_one_has_no_second_place_in_it(tmp_path):
    good = tmp_path / "var/lib/x"
    assert private.places(str(tmp_path), "var/lib", "x") == [str(good)]
    good.mkdir(parents=True, mode=0o700)
    assert private.places(str(tmp_path), "var/lib", "x") == [str(good)]


def test_places():
    uid = os.geteuid()
    fallbacks = [f"/run/x-{uid}", f"/tmp/x-{uid}", f"/dev/shm/x-{uid}"]
    assert private.places("/", "var/lib", "x") == ["/var/lib/x", *fallbacks]
    assert private.places("/srv/root", "var/lib", "x") == ["/srv/root/var/lib/x"]


if os.geteuid() == 0:

    def test_refuses_what_belongs_to_another_user(tmp_path):
        os.mkdir(tmp_path / "own", 0o700)
        os.chown(tmp_path / "own", 65534, 65534)
        expected = f"{tmp_path}/own belongs to uid 65534, not to uid 0"
        assert private.problem(str(tmp_path / "own"), create=True) == expected

else:

    def test_a_directory_that_cannot_be_written_is_the_second_choice(tmp_path):
        for name, mode in (("a", 0o500), ("b", 0o700)):
            os.mkdir(tmp_path / name, mode)
        candidates = [f"{tmp_path}/a", f"{tmp_path}/b"]
        assert private.choose(None, candidates, "", create=False) == f"{tmp_path}/b"
        assert private.choose(None, candidates[:1], "", create=False) == f"{tmp_path}/a"
        assert private.choose(None, candidates[:1], "", create=True) is None
