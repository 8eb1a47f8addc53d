"""Reading and writing passwd, group, shadow and gshadow."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from converge.errors import ApplyError
from converge_resources.accounts import guards
from converge_resources.accounts.database import Accounts
from converge_resources.accounts.editing import editing
from converge_resources.accounts.tables import COLUMNS, Table, names
from providers.accounts_root import FILES, line, make_root, read

PASSWD = COLUMNS["passwd"]
ROW = dict(zip(PASSWD, ("new", "x", "7", "7", "", "/", "/bin/sh"), strict=True))
fields = st.text(st.characters(exclude_characters=":\n\r\0", codec="utf-8"), max_size=8)


@given(st.binary(max_size=300), st.sampled_from(sorted(COLUMNS)))
def test_any_bytes_come_back_as_they_were(data, name):
    table = Table(data, COLUMNS[name])
    table.rows()
    assert table.serialise() == data


@given(st.lists(st.text(alphabet="a:+-#1\n\u2028é\r ", max_size=40), max_size=6))
def test_adding_and_removing_an_entry_restores_the_file(texts):
    data = ("\n".join(texts) + "\n").encode()
    table = Table(data, PASSWD)
    if "new" not in table.rows():
        table.put(ROW)
        assert table.rows()["new"] == ROW
        table.remove("new")
        assert table.serialise() == data


@given(st.dictionaries(st.sampled_from(PASSWD[4:]), fields))
def test_an_entry_comes_back_as_it_was_put(values):
    row = {**ROW, **values}
    table = Table(b"root:x:0:0::/:/bin/sh\n", PASSWD)
    table.put(row)
    again = Table(table.serialise(), PASSWD)
    assert again.rows()["new"] == row
    assert list(again.rows()) == ["root", "new"]


@pytest.mark.parametrize("column", PASSWD)
@pytest.mark.parametrize("text", ["a:b", "a\nroot2:x:0:0::/:/bin/sh", "a\r", "a\0b"])
def test_a_field_that_would_break_the_line_is_refused(column, text):
    table = Table(b"", PASSWD)
    with pytest.raises(ApplyError, match="break the line"):
        table.put({**ROW, column: text})
    assert table.serialise() == b""


def test_a_new_entry_goes_before_the_nis_lines_at_the_end():
    table = Table(b"root:x:0:0::/:/bin/sh\n+@admins::::::\n-eve::::::\n+::::::\n", PASSWD)
    table.put(ROW)
    assert table.serialise().split(b"\n")[1:3] == [b"new:x:7:7::/:/bin/sh", b"+@admins::::::"]


def test_a_last_line_without_an_end_gets_one():
    table = Table(b"root:x:0:0::/:/bin/sh", PASSWD)
    table.put(ROW)
    assert table.serialise() == b"root:x:0:0::/:/bin/sh\nnew:x:7:7::/:/bin/sh\n"


@pytest.mark.parametrize(
    "text",
    ["new:x:7:7::/", "new:x:7:7::/:/bin/sh:", "+new:x:7:7::/:/s", "#new:x:7:7::/:/s",
     "new:x::7::/:/s", "new:x:-1:7::/:/s", "new:x:²:7::/:/s", ":x:7:7::/:/s"],
)  # fmt: skip
def test_what_is_no_entry_is_not_taken_for_one(text):
    assert Table(f"{text}\n".encode(), PASSWD).rows() == {}


def test_of_two_entries_the_first_counts_and_both_go():
    table = Table(b"a:x:1:1::/:/s\nb:x:2:2::/:/s\na:x:3:3::/:/s\n", PASSWD)
    assert table.rows()["a"]["uid"] == "1"
    table.remove("a")
    assert table.serialise() == b"b:x:2:2::/:/s\n"


def test_a_line_separator_of_unicode_ends_no_line():
    text = "a:x:1:1:x\u2028evil:/home/a:/bin/sh\n"
    assert list(Table(text.encode(), PASSWD).rows()) == ["a"]


def test_names_of_members():
    assert names("") == []
    assert names("a,,b,") == ["a", "b"]


def test_saving_writes_only_what_changed_and_keeps_owner_and_mode(tmp_path):
    system = make_root(tmp_path)
    before = {n: (tmp_path / "root/etc" / n).stat() for n in COLUMNS}
    with editing(system) as accounts:
        accounts.put("shadow", {**accounts.shadow_of("old"), "password": "*"})
        accounts.put("passwd", dict(accounts.users["old"]))
    after = {n: (tmp_path / "root/etc" / n).stat() for n in COLUMNS}
    changed = [name for name in COLUMNS if after[name].st_ino != before[name].st_ino]
    assert changed == ["shadow"]
    assert after["shadow"].st_mode & 0o7777 == 0o640
    assert line(system, "shadow", "old")[1] == "*"


def test_nothing_is_written_when_the_edit_fails(tmp_path):
    system = make_root(tmp_path)

    def edit():
        with editing(system) as accounts:
            accounts.remove("old", "passwd", "shadow")
            guards.known_groups(accounts, ["ghosts"])

    with pytest.raises(ApplyError, match="no group ghosts"):
        edit()
    assert {name: read(system, name) for name in FILES} == FILES


def test_passwd_and_group_are_written_after_their_shadows(tmp_path):
    system = make_root(tmp_path)
    written = []
    write = system.write
    system.write = lambda path, data, **options: (written.append(path), write(path, data))
    with editing(system) as accounts:
        accounts.remove("old", *COLUMNS)
    assert written == ["/etc/gshadow", "/etc/shadow", "/etc/group", "/etc/passwd"]


def test_files_that_are_missing(tmp_path):
    system = make_root(tmp_path, without=FILES)
    accounts = Accounts(system)
    assert (accounts.users, accounts.groups, accounts.shadow_of("root")) == ({}, {}, None)
    with editing(system) as accounts:
        accounts.put("passwd", ROW)
        accounts.remove("new", "shadow", "gshadow")
    assert read(system, "passwd") == "new:x:7:7::/:/bin/sh\n"
    assert not (tmp_path / "root/etc/shadow").exists()


def test_a_password_is_read_where_it_lies(tmp_path):
    system = make_root(tmp_path)
    accounts = Accounts(system)
    assert accounts.password_of("daemon") == "*"
    assert accounts.password_of("nobody") == "*"
    assert accounts.password_of("absent") == ""
    unshadowed = Accounts(make_root(tmp_path / "b", without=["shadow"]))
    assert unshadowed.password_of("daemon") == "x"
