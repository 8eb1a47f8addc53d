"""The kinds `user` and `group` by shadow-utils: what is run, what is not, and what is never in argv."""

from __future__ import annotations

import os

import pytest

from converge import kinds
from converge.errors import BatchError
from converge.testing import make_spec, plan
from converge_resources.accounts import commands
from converge_resources.accounts.commands import ShadowUtils
from converge_resources.accounts.own import OwnWriter
from converge_resources.accounts.ways import way
from providers.accounts_root import HASH, OTHER_HASH, Tools, line, make_root

LATER = (1, "useradd: Permission denied.\nuseradd: cannot lock /etc/passwd; try again later.\n")


@pytest.fixture
def tools():
    return Tools()


@pytest.fixture
def system(tmp_path, tools):
    return make_root(tmp_path, programs=tools.programs())


def run(kind, system, /, **declared):
    provider = kinds.load(kind)
    provider.apply(plan(provider, [make_spec(kind, **declared)], system), system)


def test_a_new_user(system, tools):
    run(
        "user", system, name="web", uid=2000, gid="adm", comment="-x", home="/srv/web",
        shell="/bin/zsh", groups=["sudo", "video"], system=True, allow_duplicate_uid=True,
        expires="2031-01-31", password_min_age=3, password_max_age=-1, password=HASH,
    )  # fmt: skip
    assert tools.calls == [
        ("useradd", "-M", "-u", "2000", "-c", "-x", "-d", "/srv/web", "-s", "/bin/zsh", "-g", "4",
         "-r", "-o", "-G", "sudo,video", "--", "web"),
        ("chpasswd", "-e", f"web:{HASH}\n".encode()),
        ("chage", "-E", "22310", "-m", "3", "-M", "-1", "--", "web"),
    ]  # fmt: skip


def test_a_new_user_with_nothing_declared(system, tools):
    run("user", system, name="web")
    assert tools.calls == [("useradd", "-M", "-U", "--", "web")]


def test_a_new_user_whose_group_is_there(system, tools):
    run("user", system, name="video")
    assert tools.calls == [("useradd", "-M", "-g", "44", "--", "video")]


@pytest.mark.parametrize(
    ("declared", "call"),
    [
        ({"uid": 1600}, ("usermod", "-u", "1600", "--", "old")),
        ({"uid": 1, "allow_duplicate_uid": True}, ("usermod", "-u", "1", "-o", "--", "old")),
        ({"gid": "adm"}, ("usermod", "-g", "4", "--", "old")),
        ({"comment": ""}, ("usermod", "-c", "", "--", "old")),
        ({"home": "/srv/x"}, ("usermod", "-d", "/srv/x", "--", "old")),
        ({"shell": "/bin/zsh"}, ("usermod", "-s", "/bin/zsh", "--", "old")),
        ({"groups": ["adm"]}, ("usermod", "-G", "adm,sudo", "--", "old")),
        ({"groups": ["adm"], "membership": "inclusive"}, ("usermod", "-G", "adm", "--", "old")),
        ({"groups": [], "membership": "inclusive"}, ("usermod", "-G", "", "--", "old")),
        ({"locked": True}, ("usermod", "-L", "--", "old")),
        ({"password": HASH}, ("chpasswd", "-e", f"old:{HASH}\n".encode())),
        ({"password": "*"}, ("chpasswd", "-e", b"old:*\n")),
        ({"password": "!"}, ("chpasswd", "-e", b"old:!\n")),
        ({"expires": "1970-01-02"}, ("chage", "-E", "1", "--", "old")),
        ({"password_min_age": 0, "password_max_age": 9}, ("chage", "-M", "9", "--", "old")),
        ({"state": "absent"}, ("userdel", "--", "old")),
    ],
)
def test_a_change_of_a_user(system, tools, declared, call):
    run("user", system, name="old", **declared)
    assert tools.calls == [call]


@pytest.mark.parametrize(
    ("live", "call"),
    [
        ("!", ("usermod", "-U", "--", "old")),
        ("!!", ("chpasswd", "-e", f"old:{OTHER_HASH}\n".encode())),
    ],
)
def test_unlocking(system, tools, tmp_path, live, call):
    (tmp_path / "root/etc/shadow").write_text(f"old:{live}{OTHER_HASH}:20000:0:99999:7:::\n")
    run("user", system, name="old", locked=False)
    assert tools.calls == [call]


@pytest.mark.parametrize("locked", [None, True, False])
@pytest.mark.parametrize("name", ["old", "web"])
def test_a_password_is_in_no_argument(system, tools, name, locked):
    run("user", system, name=name, password=HASH, locked=locked)
    assert any(HASH.encode() in call[-1] for call in tools.calls if isinstance(call[-1], bytes))
    assert "CANARY" not in repr(system.ran)


@pytest.mark.parametrize(
    ("declared", "calls"),
    [
        ({"name": "web"}, [("groupadd", "--", "web")]),
        ({"name": "web", "gid": 70, "system": True}, [("groupadd", "-g", "70", "-r", "--", "web")]),
        ({"name": "web", "gid": 4, "allow_duplicate_gid": True},
         [("groupadd", "-g", "4", "-o", "--", "web")]),
        ({"name": "adm", "gid": 70}, [("groupmod", "-g", "70", "--", "adm")]),
        ({"name": "adm", "gid": 27, "allow_duplicate_gid": True},
         [("groupmod", "-g", "27", "-o", "--", "adm")]),
        ({"name": "video", "state": "absent"}, [("groupdel", "--", "video")]),
    ],
)  # fmt: skip
def test_a_change_of_a_group(system, tools, declared, calls):
    run("group", system, **declared)
    assert tools.calls == calls


def test_members_are_written_by_our_own_writer(system, tools):
    run("group", system, name="adm", members=["not-yet"])
    assert tools.calls == []
    assert line(system, "group", "adm")[3] == "daemon,not-yet"
    assert line(system, "gshadow", "adm")[3] == "daemon,not-yet"


def test_which_way_is_taken(system, tmp_path, tools, monkeypatch):
    assert isinstance(way(system), ShadowUtils)
    assert isinstance(way(system, force=True), OwnWriter)
    assert isinstance(way(make_root(tmp_path / "b")), OwnWriter)
    monkeypatch.setattr(system, "mounts", lambda: {"/etc/shadow": None, "/": None})
    assert isinstance(way(system), OwnWriter)


@pytest.mark.parametrize("missing", commands.PROGRAMS)
def test_one_program_missing_is_enough_for_our_own_writer(tmp_path, tools, missing):
    programs = {name: run for name, run in tools.programs().items() if name != missing}
    assert isinstance(way(make_root(tmp_path, programs=programs)), OwnWriter)


def test_try_again_later_is_tried_again(system, tools, monkeypatch):
    monkeypatch.setattr(commands, "_PAUSE", 0)
    tools.answers["useradd"] = LATER
    with pytest.raises(BatchError, match="try again later"):
        run("user", system, name="web")
    assert [call[0] for call in tools.calls] == ["useradd"] * 3


def test_try_again_later_is_not_believed_where_nothing_can_be_written(system, tools, monkeypatch):
    tools.answers["useradd"] = LATER
    monkeypatch.setattr("converge.probe.writable", lambda system, path: "no")
    with pytest.raises(BatchError, match="cannot lock"):
        run("user", system, name="web")
    assert len(tools.calls) == 1


def test_another_error_is_reported_at_once_in_the_tools_words(system, tools):
    tools.answers["usermod"] = (8, "usermod: user old is currently used by process 14\n")
    with pytest.raises(
        BatchError, match="exit 8: usermod: user old is currently used by process 14"
    ):
        run("user", system, name="old", shell="/bin/zsh")
    assert len(tools.calls) == 1


def test_a_stale_lock_file_goes_before_the_tools_see_it(system, tools, tmp_path):
    path = tmp_path / "root/etc/passwd.lock"
    path.write_text("")
    os.utime(path, (0, 0))
    run("user", system, name="old", shell="/bin/zsh")
    assert not path.exists()
    assert len(tools.calls) == 1
