"""The kinds `user` and `group` keep the provider contract below a fake root."""

from __future__ import annotations

import pytest

from converge import kinds
from converge.testing import FakeSystem, ProviderContract, converge, make_spec, plan

PASSWD = "root:x:0:0:root:/root:/bin/sh\n# a comment\nold:x:1500:100::/home/old:/bin/sh\n+@nis\n"
GROUP = "root:x:0:\nusers:x:100:\nadm:x:4:old\nops:x:990:\n"
SHADOW = "root:*:19000:0:99999:7:::\nold:!:19000:0:99999:7:::\n"
HASH = "$6$abcdefgh$" + "0123456789" * 6


@pytest.fixture
def system(tmp_path):
    (tmp_path / "etc/skel").mkdir(parents=True)
    for name, text in (("passwd", PASSWD), ("group", GROUP), ("shadow", SHADOW)):
        (tmp_path / "etc" / name).write_text(text)
    return FakeSystem(tmp_path, backups=Anything())


class Anything:
    """Backups that are not looked at."""

    def keep(self, path, fd):
        return ""


class TestUser(ProviderContract):
    kind = "user"

    @pytest.fixture
    def present(self):
        return [
            make_spec(
                "user", name="deploy", uid=2000, gid="ops", comment="Deploys", home="/srv/deploy",
                shell="/bin/sh", groups=["adm"], password=HASH, expires="2031-01-31",
                password_max_age=90,
            )
        ]  # fmt: skip

    @pytest.fixture
    def absent(self):
        return [make_spec("user", name="deploy", state="absent")]


class TestGroup(ProviderContract):
    kind = "group"

    @pytest.fixture
    def present(self):
        return [make_spec("group", name="web", gid=1234, members=["old"])]

    @pytest.fixture
    def absent(self):
        return [make_spec("group", name="web", state="absent")]


@pytest.mark.parametrize(
    ("declared", "fields"),
    [
        ({"uid": 1501}, ["uid"]), ({"gid": "ops"}, ["gid"]), ({"comment": "Old"}, ["comment"]),
        ({"home": "/srv/old"}, ["home"]), ({"shell": "/bin/bash"}, ["shell"]),
        ({"groups": ["ops"]}, ["groups"]), ({"password": HASH}, ["password"]),
        ({"expires": "2030-01-01"}, ["expires"]), ({"password_min_age": 3}, ["password_min_age"]),
    ],
)  # fmt: skip
def test_each_attribute_alone_is_seen_and_repaired(system, declared, fields):
    spec = make_spec("user", name="old", **declared)
    provider = kinds.load("user")
    (change,) = plan(provider, [spec], system)
    assert [field.field for field in change.fields][: len(fields)] == fields
    assert converge(provider, [spec], system) == []


def test_lines_that_are_no_entries_stay(system, tmp_path):
    converge(kinds.load("user"), [make_spec("user", name="deploy", uid=2000)], system)
    text = (tmp_path / "etc/passwd").read_text()
    assert [line for line in text.splitlines() if "deploy" not in line] == PASSWD.splitlines()


def test_inclusive_groups_leave_the_others(system):
    spec = make_spec("user", name="old", groups=["ops"], membership="inclusive")
    assert converge(kinds.load("user"), [spec], system) == []
    assert "adm:x:4:\n" in (system.read("/etc/group") or b"").decode()


@pytest.mark.parametrize(
    "declared", [{"name": "root", "state": "absent"}, {"name": "a", "password": "secret"},
                 {"name": "a", "comment": "x:y"}, {"name": "a\nb"}, {"name": "-r"},
                 {"name": "a", "expires": "tomorrow"}, {"name": "root", "uid": 7}],
)  # fmt: skip
def test_what_is_refused(declared):
    with pytest.raises(AssertionError):
        make_spec("user", **declared)
