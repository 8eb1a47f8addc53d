"""Passwords, dates, ids, the lock, and what is refused."""

from __future__ import annotations

import datetime
import os
import subprocess
import sys
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from converge.errors import ApplyError
from converge_resources.accounts import guards, lock, passwords
from converge_resources.accounts.database import Accounts
from converge_resources.accounts.defaults import Defaults
from providers.accounts_root import HASH, OTHER_HASH, make_root


@pytest.mark.parametrize(
    "text",
    [HASH, OTHER_HASH, "*", "!", "!!", "$1$abcdefgh$" + "a" * 22, "$2b$12$" + "b" * 53,
     "$5$rounds=5000$salt$" + "c" * 43, "$gy$j9T$salt$" + "d" * 43],
)  # fmt: skip
def test_hashes_are_hashes(text):
    assert passwords.is_hash(text)


@pytest.mark.parametrize(
    "text",
    ["", "secret", "hunter2hunter2", "abcdefghijklm", "$6$", "$6$salt$short", "$money$" + "a" * 40,
     HASH + ":0", HASH + "\n", "!" + HASH, "\n" + HASH, "x", "$6$salt$" + "a b" * 20, "!!!",
     "$1", HASH[:-1] + "é"],
)  # fmt: skip
def test_what_is_no_hash_is_refused(text):
    assert not passwords.is_hash(text)


@given(st.text(max_size=30))
def test_a_hash_never_breaks_a_line(text):
    if passwords.is_hash(f"$6${text}"):
        assert not set(text) & set(":\n\r\0 ")


@pytest.mark.parametrize(
    ("live", "password", "locked", "wanted"),
    [
        ("!", HASH, None, HASH),  # never had one
        ("!!", HASH, None, HASH),
        ("!", HASH, True, f"!{HASH}"),
        (f"!{OTHER_HASH}", HASH, None, f"!{HASH}"),  # somebody locked it
        (f"!{OTHER_HASH}", HASH, False, HASH),
        (f"!!{HASH}", None, False, HASH),
        (HASH, None, True, f"!{HASH}"),
        (HASH, "", True, "!"),
        ("*", None, True, "!*"),
        ("!*", None, False, "*"),
        (HASH, "*", None, "*"),
        ("!", None, True, "!"),
    ],
)
def test_combining_a_password_and_a_lock(live, password, locked, wanted):
    assert passwords.combine(live, password, locked) == wanted


@pytest.mark.parametrize("live", ["!", "!!", ""])
def test_unlocking_no_password_is_refused(live):
    with pytest.raises(ApplyError, match="no password to unlock"):
        passwords.combine(live, None, False)


@given(st.dates(min_value=datetime.date(1970, 1, 2)).map(str))
def test_dates_come_back(date):
    assert passwords.date_of(passwords.days_of(date)) == date


def test_days_at_the_edges():
    assert passwords.days_of("never") == ""
    assert passwords.days_of("1970-01-02") == "1"
    assert passwords.date_of("") == passwords.date_of("-1") == "never"
    assert passwords.date_of("0") == "1970-01-01"
    assert passwords.date_of("99999999") == "99999999"
    assert passwords.date_of("soon") == "soon"
    for wrong in (
        "1970-01-01",
        "1969-12-31",
        "2030-02-30",
        "20300101",
        "2030-1-1",
        "",
        "٢٠٣٠-01-01",
    ):
        with pytest.raises(ValueError):  # noqa: PT011  what is said of it is the spec's business
            passwords.days_of(wrong)


@pytest.mark.parametrize(
    ("used", "options", "wanted"),
    [
        ([0, 1, 65534], {}, 1000),
        ([0, 1000, 1500, 65534], {}, 1501),
        ([1000, 60000], {}, 1001),
        ([0, 1], {"system": True}, 999),
        ([999, 998], {"system": True}, 997),
        ([101, 999], {"system": True}, 998),
        ([1000], {"preferred": 2000}, 2000),
        ([1000, 2000], {"preferred": 2000}, 2001),
        ([], {"preferred": 70000}, 1000),
    ],
)
def test_a_free_id_is_chosen_as_useradd_does(tmp_path, used, options, wanted):
    defaults = Defaults(make_root(tmp_path))
    assert defaults.free("UID", used, **{"system": False, **options}) == wanted


def test_ranges_come_from_login_defs(tmp_path):
    system = make_root(tmp_path)
    (tmp_path / "root/etc/login.defs").write_text(
        "#UID_MIN 5\nUID_MIN 500\n UID_MAX\t501 \nGID_MIN 0x10\nHOME_MODE 0750\nUID_BAD\n"
    )
    defaults = Defaults(system)
    assert defaults.free("UID", [500], system=False) == 501
    assert defaults.free("UID", [], system=True) == 499
    assert defaults.free("GID", [], system=False) == 16
    assert defaults.home_mode == 0o750
    assert not defaults.user_groups
    with pytest.raises(ApplyError, match="no UID from 500 to 501"):
        defaults.free("UID", [500, 501], system=False)


def test_defaults_without_any_file(tmp_path):
    defaults = Defaults(make_root(tmp_path, without=["login.defs"]))
    assert (defaults.shell, defaults.skeleton, defaults.home("a")) == (
        "/bin/sh", "/etc/skel", "/home/a",
    )  # fmt: skip
    assert defaults.home_mode == 0o700
    assert defaults.aging(system=False) == {"minimum": "0", "maximum": "99999", "warning": "7"}


def test_defaults_of_useradd_and_a_number_that_is_none(tmp_path):
    system = make_root(tmp_path)
    (tmp_path / "root/etc/default").mkdir()
    (tmp_path / "root/etc/default/useradd").write_text("SHELL=/bin/zsh\nHOME=/srv\nSKEL=/etc/s\n")
    (tmp_path / "root/etc/login.defs").write_text("UMASK abc\nPASS_MAX_DAYS\n")
    defaults = Defaults(system)
    assert (defaults.shell, defaults.home("a"), defaults.skeleton) == (
        "/bin/zsh",
        "/srv/a",
        "/etc/s",
    )
    assert defaults.home_mode == 0o700


HOLD = """
import fcntl, sys
file = open(sys.argv[1], "w")
fcntl.lockf(file, fcntl.LOCK_EX)
print("held", flush=True)
sys.stdin.read()
"""


def test_the_lock_is_that_of_lckpwdf(tmp_path):
    system = make_root(tmp_path)
    argv = [sys.executable, "-c", HOLD, str(tmp_path / "root/etc/.pwd.lock")]
    with subprocess.Popen(argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as other:
        assert other.stdout.readline() == b"held\n"
        with pytest.raises(ApplyError, match="another program keeps the lock"):
            _take(system, 0.2)
        other.stdin.close()
        other.wait()
    _take(system, 0)


def _take(system, patience):
    with lock.locked(system, patience):
        pass


def test_a_new_lock_file_is_for_nobody_else(tmp_path):
    system = make_root(tmp_path)
    with lock.locked(system):
        assert os.stat(tmp_path / "root/etc/.pwd.lock").st_mode & 0o777 == 0o600


def test_a_lock_that_is_a_link_is_not_followed(tmp_path):
    system = make_root(tmp_path)
    (tmp_path / "root/etc/.pwd.lock").symlink_to("passwd")
    with pytest.raises(OSError, match="symbolic"), lock.locked(system):
        pass


def _lock_file(tmp_path, text, age):
    path = tmp_path / "root/etc/passwd.lock"
    path.write_text(text)
    then = time.time() - age
    os.utime(path, (then, then))
    return path


@pytest.mark.parametrize("text", ["4194305", "", "abc", "-1", "4194305\0"])
def test_an_old_lock_file_of_nobody_is_taken_over(tmp_path, text):
    system = make_root(tmp_path)
    path = _lock_file(tmp_path, text, 3600)
    with lock.locked(system, patience=0):
        assert not path.exists()


@pytest.mark.parametrize(("text", "age"), [("4194305", 10), (str(os.getpid()), 3600)])
def test_a_lock_file_that_is_young_or_alive_is_respected(tmp_path, text, age):
    system = make_root(tmp_path)
    path = _lock_file(tmp_path, text, age)
    with pytest.raises(ApplyError, match=r"keeps the lock /etc/passwd\.lock"):
        _take(system, 0)
    assert path.exists()


def _process(tmp_path, pid, uids, state="S (sleeping)"):
    folder = tmp_path / "root/proc" / pid
    folder.mkdir(parents=True)
    (folder / "status").write_text(
        f"Name:\tx: y\nState:\t{state}\nUid:\t{uids}\nGid:\t7\t7\t7\t7\n"
    )


def test_processes_of_a_user_are_found_by_any_of_their_ids(tmp_path):
    system = make_root(tmp_path)
    _process(tmp_path, "14", "1500\t1500\t1500\t1500")
    _process(tmp_path, "9", "0\t1500\t0\t0")
    _process(tmp_path, "15", "1500\t1500\t1500\t1500", "Z (zombie)")
    _process(tmp_path, "16", "15000\t0\t0\t0")
    (tmp_path / "root/proc/self").mkdir()
    (tmp_path / "root/proc/77").mkdir()  # it has just ended
    assert [*guards.processes(system, 1500)] == ["9", "14"]
    with pytest.raises(ApplyError, match=r"uid 1500 are running: 9, 14 .*force: true"):
        guards.idle(system, 1500)
    guards.idle(system, 1501)


def test_a_crowd_of_processes_is_not_listed_whole(tmp_path):
    system = make_root(tmp_path)
    for pid in range(100, 120):
        _process(tmp_path, str(pid), "7\t7\t7\t7")
    with pytest.raises(ApplyError, match=r"108, 109, …"):
        guards.idle(system, 7)


def test_whoever_has_an_id_is_named(tmp_path):
    accounts = Accounts(make_root(tmp_path))
    with pytest.raises(ApplyError, match="uid 1500 belongs to the user old"):
        guards.free_uid(accounts, "new", 1500)
    with pytest.raises(ApplyError, match="gid 27 belongs to the group sudo"):
        guards.free_gid(accounts, "new", 27)
    guards.free_uid(accounts, "old", 1500)
    guards.free_gid(accounts, "new", 1501)
    with pytest.raises(ApplyError, match="no group audio, ghosts"):
        guards.known_groups(accounts, ["ghosts", "adm", "audio"])
