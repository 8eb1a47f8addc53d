"""The kind `user` by our own writer, below a fake root."""

from __future__ import annotations

import os
import stat

import pytest

from converge import kinds
from converge.errors import BatchError
from converge.testing import ProviderContract, converge, make_spec, plan
from converge_resources.accounts import homes
from providers.accounts_root import FILES, GROUP, HASH, ME, OTHER_HASH, USER, line, make_root, read

USERS = kinds.load("user")
EVERYTHING = {
    "uid": 2000, "gid": "adm", "comment": "Web Server", "home": "/srv/web", "shell": "/bin/zsh",
    "groups": ["video", "sudo"], "password": HASH, "locked": True, "expires": "2031-01-31",
    "password_min_age": 3, "password_max_age": 90,
}  # fmt: skip


@pytest.fixture
def system(tmp_path):
    return make_root(tmp_path)


@pytest.fixture
def root(tmp_path):
    return tmp_path / "root"


def user(**declared):
    return make_spec("user", **{"name": "old", **declared})


def error(specs, system):
    """Return what apply says of the one user that cannot be changed; the files stay as they were."""
    before = {name: read(system, name) for name in FILES}
    with pytest.raises(BatchError) as caught:
        USERS.apply(plan(USERS, specs, system), system)
    assert {name: read(system, name) for name in FILES} == before
    (message,) = map(str, caught.value.errors.values())
    return message


class TestContract(ProviderContract):
    kind = "user"

    @pytest.fixture
    def present(self):
        home = {"home": "/srv/homes/site", "manage_home": True, "uid": USER, "gid": str(GROUP)}
        return [
            user(name="web", **EVERYTHING),
            user(name="site", allow_duplicate_uid=True, **(home if not ME else {"uid": 7})),
            user(name="agent", system=True, password="!", membership="inclusive", groups=[]),
        ]

    @pytest.fixture
    def absent(self):
        return [user(name=name, state="absent") for name in ("web", "site", "agent")]

    @pytest.fixture
    def system(self, tmp_path):
        system = make_root(tmp_path)
        with open(f"{system.root}/etc/group", "a") as file:
            file.write(f"mine:x:{GROUP}:\n")
        return system


DRIFT = [
    *((name, value) for name, value in EVERYTHING.items()),
    ("gid", "4"), ("password", "*"), ("password", "!"), ("expires", "never"), ("locked", False),
    ("password_max_age", -1), ("password_min_age", 0), ("comment", ""), ("comment", "Zoë, Room 1"),
]  # fmt: skip


@pytest.mark.parametrize(("name", "value"), DRIFT)
def test_each_attribute_alone_is_seen_and_repaired(system, root, name, value):
    shadow = f"old:!{OTHER_HASH}:20000:5:30:7::20001:\n"
    (root / "etc/shadow").write_text(
        FILES["shadow"].replace(f"old:{OTHER_HASH}:20000:0:99999:7:::\n", shadow)
    )
    if (name, value) == ("locked", True):
        (root / "etc/shadow").write_text(FILES["shadow"])
    spec = user(**{name: value})
    (change,) = plan(USERS, [spec], system)
    assert name in [field.field for field in change.fields]
    before = line(system, "passwd", "old"), line(system, "shadow", "old")
    assert converge(USERS, [spec], system) == []
    after = line(system, "passwd", "old"), line(system, "shadow", "old")
    differing = [
        i for a, b in zip(before, after, strict=True) for i in range(len(a)) if a[i] != b[i]
    ]
    assert len(differing) == {"groups": 0, "password": 2}.get(name, 1)


def test_what_is_not_declared_is_left_alone(system):
    assert plan(USERS, [user()], system) == []
    assert plan(USERS, [user(groups=["sudo"], gid="old", comment="Old User")], system) == []
    assert plan(USERS, [user(gid="1500"), user(name="root")], system) == []


def test_the_lock_and_the_password_are_two_things(system, root):
    assert converge(USERS, [user(locked=True)], system) == []
    assert line(system, "shadow", "old")[1] == f"!{OTHER_HASH}"
    assert plan(USERS, [user(password=OTHER_HASH)], system) == []
    assert converge(USERS, [user(password=HASH)], system) == []
    assert line(system, "shadow", "old")[1] == f"!{HASH}"
    assert converge(USERS, [user(password=HASH, locked=False)], system) == []
    assert line(system, "shadow", "old")[1] == HASH


def test_a_new_user_with_a_password_can_log_in(system):
    assert converge(USERS, [user(name="web", password=HASH)], system) == []
    assert line(system, "shadow", "web")[1] == HASH


def test_locking_alone_does_not_renew_the_password(system):
    assert converge(USERS, [user(locked=True)], system) == []
    assert line(system, "shadow", "old")[2] == "20000"


def test_a_user_without_a_password_is_not_unlocked(system):
    assert "no password to unlock" in error([user(name="web", locked=False)], system)
    assert line(system, "passwd", "web") is None


def test_minimum_adds_and_inclusive_takes_away(system):
    assert converge(USERS, [user(groups=["adm"])], system) == []
    assert line(system, "group", "sudo")[3] == "old"
    assert line(system, "gshadow", "adm")[3] == "daemon,old"
    assert converge(USERS, [user(groups=["video"], membership="inclusive")], system) == []
    assert [line(system, "group", name)[3] for name in ("adm", "sudo", "video")] == [
        "daemon",
        "",
        "old",
    ]
    assert plan(USERS, [user(groups=[])], system) == []
    assert converge(USERS, [user(groups=[], membership="inclusive")], system) == []
    assert line(system, "group", "video")[3] == ""


def test_an_existing_group_of_the_name_becomes_the_primary_group(system):
    assert converge(USERS, [user(name="adm")], system) == []
    assert line(system, "passwd", "adm")[3] == "4"


def test_a_group_that_others_use_stays_when_its_user_goes(system, root):
    (root / "etc/passwd").write_text(FILES["passwd"] + "mate:x:1600:1500::/:/bin/sh\n")
    assert converge(USERS, [user(state="absent")], system) == []
    assert line(system, "group", "old") == ["old", "x", "1500", ""]
    assert line(system, "group", "sudo") == ["sudo", "x", "27", ""]


def test_without_usergroups_the_group_stays(system, root):
    (root / "etc/login.defs").write_text("")
    assert converge(USERS, [user(state="absent")], system) == []
    assert line(system, "group", "old") is not None


def test_what_is_no_entry_stays_where_it_is(system):
    assert converge(USERS, [user(name="web", **EVERYTHING), user(state="absent")], system) == []
    lines = [text for text in read(system, "passwd").split("\n") if not text.startswith("web:")]
    assert lines == [t for t in FILES["passwd"].split("\n") if not t.startswith("old:")]


def test_without_shadow_the_password_lies_in_passwd(tmp_path):
    system = make_root(tmp_path, without=["shadow", "gshadow"])
    assert converge(USERS, [user(name="web", password=HASH)], system) == []
    assert line(system, "passwd", "web")[1] == HASH
    assert not os.path.exists(f"{system.root}/etc/shadow")
    changes = plan(USERS, [user(name="web", expires="2030-01-01")], system)
    with pytest.raises(BatchError, match="no /etc/shadow"):
        USERS.apply(changes, system)


def test_a_user_without_a_line_in_shadow_gets_one(system, root):
    (root / "etc/shadow").write_text("root:*:20000:0:99999:7:::\n")
    (root / "etc/passwd").write_text(FILES["passwd"].replace("old:x:", "old:*:"))
    assert converge(USERS, [user(password=HASH, expires="2030-01-01")], system) == []
    assert line(system, "shadow", "old")[1] == HASH
    assert line(system, "passwd", "old")[1] == "x"


def test_a_foreign_number_is_refused_by_name(system):
    assert "uid 65534 belongs to the user nobody" in error([user(uid=65534)], system)
    assert "uid 1500 belongs to the user old" in error([user(name="web", uid=1500)], system)
    assert converge(USERS, [user(name="web", uid=1500, allow_duplicate_uid=True)], system) == []


@pytest.mark.parametrize(
    ("declared", "message"),
    [
        ({"name": "web", "groups": ["adm", "ghosts"]}, "there is no group ghosts"),
        ({"groups": ["ghosts"]}, "there is no group ghosts"),
        ({"name": "web", "gid": "ghosts"}, "there is no group 'ghosts'"),
        ({"gid": "4242"}, "there is no group 4242"),
    ],
)
def test_a_group_that_is_not_there_is_named(system, declared, message):
    assert message in error([user(**declared)], system)


def test_uid_0_is_protected_whatever_its_name(system, root):
    (root / "etc/passwd").write_text(FILES["passwd"] + "toor:x:0:0::/root:/bin/sh\n")
    assert "protected" in error([user(name="toor", state="absent")], system)
    assert "protected" in error([user(name="toor", uid=5000)], system)


def test_running_processes_are_a_hindrance_but_not_to_force(system, root):
    (root / "proc/14").mkdir(parents=True)
    (root / "proc/14/status").write_text("State:\tS (sleeping)\nUid:\t1500\t1500\t1500\t1500\n")
    for declared in ({"uid": 1600}, {"home": "/srv/old"}, {"state": "absent"}):
        assert "processes of uid 1500 are running: 14" in error([user(**declared)], system)
        assert plan(USERS, [user(**declared, force=True)], system) != []
    assert converge(USERS, [user(shell="/bin/zsh", groups=["adm"])], system) == []
    assert converge(USERS, [user(state="absent", force=True)], system) == []


@pytest.mark.parametrize(
    "declared",
    [
        {"comment": "a:b"}, {"comment": "a\nroot2:x:0:0::/:/bin/sh"}, {"comment": "\x1b[2J"},
        {"comment": "a\u2028b"}, {"comment": "a\x85b"}, {"home": "/srv/a:b"}, {"home": "srv"},
        {"home": "/srv/../etc"}, {"home": "/a\nb"}, {"shell": "/bin/sh\n"}, {"shell": "sh"},
        {"shell": "/bin/sh:x"}, {"groups": ["a,b"]}, {"groups": ["-r"]}, {"groups": ["a:b"]},
        {"gid": "a:b"}, {"gid": "-1"}, {"uid": -1}, {"uid": 4294967295}, {"uid": "7"},
        {"password": "secret"}, {"password": f"{HASH}:1"}, {"password": f"{HASH}\n"},
        {"password": f"!{HASH}"}, {"password": ""}, {"password": "!", "locked": False},
        {"expires": "31.01.2031"}, {"expires": "2031-02-30"}, {"expires": "1970-01-01"},
        {"password_min_age": -1}, {"password_max_age": -2}, {"password_max_age": True},
        {"name": "root", "state": "absent"}, {"name": "root", "uid": 7},
        {"name": "root", "locked": True}, {"name": "root", "password": "*"},
        {"name": "root", "expires": "2031-01-01"},
    ],
)  # fmt: skip
def test_what_must_not_be_declared(declared):
    with pytest.raises(AssertionError):
        user(**declared)


@pytest.mark.parametrize(
    "name",
    ["", "-r", "--root=/x", "a b", "a:b", "a\n", "a\nb", "A", "1a", "a/b", "../a", "$(id)", "a;b",
     "é", "a" * 33, "+", "#a", "a\0", ".a", "a\u2028"],
)  # fmt: skip
def test_hostile_names(name):
    with pytest.raises(AssertionError):
        user(name=name)


def test_a_refused_password_is_not_repeated():
    with pytest.raises(AssertionError) as caught:
        user(password="hunter2-plain")
    assert "hunter2" not in str(caught.value)
    assert "crypt(5)" in str(caught.value)


def test_the_password_is_hidden(system):
    (change,) = plan(USERS, [user(password=HASH)], system)
    assert USERS.hidden(change) == {"password"}


def test_root_may_have_a_shell_and_a_password():
    assert user(name="root", shell="/bin/sh", password=HASH, expires="never").name == "root"


def test_a_user_goes_after_its_groups():
    assert [*USERS.depends(user(gid="ops", groups=["adm", "ops"]))] == ["group:ops", "group:adm"]
    assert [*USERS.depends(user(gid="4"))] == []
    assert [*USERS.depends(user(state="absent"))] == ["group:old"]


def test_shadow_is_read_only_if_something_in_it_is_declared(system):
    os.unlink(f"{system.root}/etc/shadow")
    os.mkdir(f"{system.root}/etc/shadow")
    assert plan(USERS, [user(comment="Old User")], system) == []
    live = USERS.inspect([user(locked=True)], system.read_only())
    assert live["old"].reason.startswith("cannot be read")


# Homes. Files are given to USER: as root to another user, else to whoever runs the tests.


@pytest.fixture
def homely(system, root):
    """The fake root with a user `me` of ours that has no home yet, and a group of ours."""
    text = FILES["passwd"] + f"me:x:{USER}:{GROUP}::/home/me:/bin/sh\n"
    (root / "etc/passwd").write_text(text)
    (root / "etc/group").write_text(FILES["group"] + f"mine:x:{GROUP}:\n")
    (root / "etc/skel/.config").mkdir()
    (root / "etc/skel/.config/rc").write_text("x")
    (root / "etc/skel/.link").symlink_to("/etc/passwd")
    return system


def mine(**declared):
    return make_spec("user", **{"name": "me", "manage_home": True, **declared})


def test_a_home_is_made_with_the_skeleton(homely, root):
    (change,) = plan(USERS, [mine()], homely)
    assert [field.field for field in change.fields] == ["manage_home"]
    assert converge(USERS, [mine()], homely) == []
    home = root / "home/me"
    assert stat.S_IMODE(home.stat().st_mode) == 0o755  # by UMASK of login.defs
    assert (home / ".config/rc").read_text() == "x"
    assert os.readlink(home / ".link") == "/etc/passwd"
    assert (home / ".profile").stat().st_mtime_ns == (root / "etc/skel/.profile").stat().st_mtime_ns
    for path in (home, *home.rglob("*")):
        assert (path.lstat().st_uid, path.lstat().st_gid) == (USER, GROUP)


def test_a_home_that_is_there_is_left_alone(homely, root):
    (root / "home/me").mkdir(mode=0o711)
    assert plan(USERS, [mine()], homely) == []
    assert [*(root / "home/me").iterdir()] == []


def test_a_half_made_home_is_finished(homely, root):
    home = root / "home/me"
    home.mkdir()
    (home / ".profile").write_text("already copied")
    home.chmod(homes.UNFINISHED)
    assert converge(USERS, [mine()], homely) == []
    assert (home / ".profile").read_text() == "already copied"
    assert (home / ".config/rc").exists()
    assert stat.S_IMODE(home.stat().st_mode) == 0o755


def test_a_home_is_moved(homely, root):
    assert converge(USERS, [mine()], homely) == []
    (root / "home/me/mine").write_text("kept")
    assert converge(USERS, [mine(home="/srv/deep/me")], homely) == []
    assert (root / "srv/deep/me/mine").read_text() == "kept"
    assert not (root / "home/me").exists()


def test_a_home_is_moved_where_few_descriptors_may_be_open(homely, root):
    assert converge(USERS, [mine()], homely) == []
    homely.paths._most_cached = 1  # as with a small `ulimit -n`
    (root / "home/me/mine").write_text("kept")
    inode = (root / "home/me").stat().st_ino
    assert converge(USERS, [mine(home="/srv/deep/me")], homely) == []
    assert (root / "srv/deep/me").stat().st_ino == inode, "it was renamed"
    assert not (root / "home/me").exists()


def test_a_home_is_copied_where_it_cannot_be_renamed(homely, root, monkeypatch):
    assert converge(USERS, [mine()], homely) == []
    (root / "home/me/program").write_text("x")
    (root / "home/me/program").chmod(0o4755)
    os.mkfifo(root / "home/me/fifo")
    monkeypatch.setattr(homes, "_renamed", lambda *_: False)
    assert converge(USERS, [mine(home="/srv/me")], homely) == []
    assert stat.S_IMODE((root / "srv/me/program").stat().st_mode) == 0o755
    assert sorted(path.name for path in (root / "srv/me").iterdir()) == [
        ".config", ".link", ".profile", "program",
    ]  # fmt: skip
    assert (root / "srv/me").stat().st_uid == USER
    assert not (root / "home/me").exists()


def test_without_manage_home_nothing_is_made_moved_or_removed(homely, root):
    assert plan(USERS, [mine(manage_home=False)], homely) == []
    (root / "home/me").mkdir()
    assert converge(USERS, [mine(manage_home=False, home="/srv/me")], homely) == []
    assert not (root / "srv").exists()
    assert converge(USERS, [mine(manage_home=False, state="absent", force=True)], homely) == []
    assert (root / "home/me").exists()


def test_a_home_goes_with_its_user(homely, root):
    assert converge(USERS, [mine()], homely) == []
    (root / "home/other").mkdir()
    assert converge(USERS, [mine(state="absent")], homely) == []
    assert [path.name for path in (root / "home").iterdir()] == ["other"]
    assert line(homely, "passwd", "me") is None


def _home_of_me(root, home):
    text = FILES["passwd"] + f"me:x:{USER}:{GROUP}::{home}:/bin/sh\n"
    (root / "etc/passwd").write_text(text)


@pytest.mark.parametrize(
    "home", ["/", "/etc", "/home/", "/tmp", "/usr/bin", "", "x", "/home/me/..", "//etc"]
)
def test_directories_of_the_system_are_nobodys_home(homely, root, home):
    _home_of_me(root, home)
    for path in ("tmp", "usr/bin"):
        (root / path).mkdir(parents=True)
    assert "protected" in error([mine(state="absent")], homely)
    assert plan(USERS, [mine()], homely) == []
    assert (root / "etc/passwd").exists()


def test_a_home_of_another_user_is_not_removed(homely, root):
    _home_of_me(root, "/home/shared")
    text = (root / "etc/passwd").read_text()
    (root / "etc/passwd").write_text(text + "mate:x:1700:4::/home/shared/mate:/bin/sh\n")
    (root / "home/shared/mate").mkdir(parents=True)
    os.chown(root / "home/shared", USER, GROUP)
    assert "the user mate lives there too" in error([mine(state="absent")], homely)
    assert (root / "home/shared/mate").exists()


def test_a_home_that_is_a_link_or_a_file_is_not_removed(homely, root):
    (root / "srv").mkdir()
    (root / "home/me").symlink_to("../srv")
    assert "it is no directory" in error([mine(state="absent")], homely)
    assert (root / "srv").exists()


def test_a_home_that_belongs_to_someone_else_is_not_removed(homely, root):
    (root / "home/me").mkdir()
    text = (root / "etc/passwd").read_text().replace(f"me:x:{USER}:", f"me:x:{USER + 1}:")
    (root / "etc/passwd").write_text(text)
    assert f"it belongs to uid {os.geteuid()}" in error([mine(state="absent")], homely)
    assert (root / "home/me").exists()


def test_a_mount_in_a_home_stops_a_copy(homely, root, monkeypatch):
    assert converge(USERS, [mine()], homely) == []
    monkeypatch.setattr(homes, "_renamed", lambda *_: False)
    monkeypatch.setattr(homely, "mounts", lambda: {"/home/me/data": None})
    assert "/home/me/data is a mount" in error([mine(home="/srv/me")], homely)
    assert (root / "home/me/.profile").exists()
