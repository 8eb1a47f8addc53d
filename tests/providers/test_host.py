"""The kind `host` against a fake root, and its rules."""

from __future__ import annotations

import pytest

from converge import kinds
from converge.provider import Spec
from converge.testing import ProviderContract, converge, make_spec, plan
from providers.fake_tree import TreeFixtures, mounted

HOSTS = """\
# Managed by the engine
127.0.0.1\tlocalhost
::1 localhost ip6-localhost ip6-loopback
10.88.0.7 web1 lucid_curie   # me
10.0.0.1 db.internal db
10.0.0.2 DB.internal
10.0.0.3 cache db
"""


def spec_of(name="db.internal", **declared):
    if declared.get("state") != "absent":
        declared = {"ip": "10.0.0.5", **declared}
    return make_spec("host", name=name, **declared)


def edited(**declared):
    """Return what an edit makes of the file; a second edit must find nothing to do."""
    provider, spec = kinds.load("host"), spec_of(**declared)
    after = provider.edit(spec, HOSTS).body
    assert provider.edit(spec, after).body == after
    return after


class HostFixtures(TreeFixtures):
    kind = "host"

    @pytest.fixture(autouse=True)
    def file(self, root):
        (root / "etc/hosts").write_text(HOSTS)
        return root / "etc/hosts"


class TestContract(HostFixtures, ProviderContract):
    @pytest.fixture
    def present(self) -> list[Spec]:
        return [
            spec_of(aliases=["db"]),
            spec_of("new.internal", ip=["10.0.0.9", "fd00::9"], aliases=["new"]),
        ]

    @pytest.fixture
    def absent(self) -> list[Spec]:
        return [spec_of(name, state="absent") for name in ("db.internal", "new.internal")]


class TestFile(HostFixtures):
    def test_the_name_has_these_addresses_and_no_others(self):
        assert (
            edited()
            == HOSTS.replace("10.0.0.1 db.internal db\n", "10.0.0.1\tdb\n").replace(
                "10.0.0.2 DB.internal\n", ""
            )
            + "10.0.0.5\tdb.internal\n"
        )

    def test_its_aliases_too(self):
        after = edited(aliases=["db"])
        assert (
            after
            == HOSTS.replace("10.0.0.1 db.internal db\n", "")
            .replace("10.0.0.2 DB.internal\n", "")
            .replace("10.0.0.3 cache db", "10.0.0.3\tcache")
            + "10.0.0.5\tdb.internal db\n"
        )

    def test_a_line_of_its_own_is_kept_in_place(self):
        after = edited(ip="10.0.0.1", aliases=["db", "database"])
        assert "10.0.0.1\tdb.internal db database\n10.0.0.3\tcache\n" in after
        after = edited(ip="10.0.0.1")
        assert after == HOSTS.replace("10.0.0.2 DB.internal\n", "")

    def test_a_name_that_is_an_alias_of_the_right_address_is_fine(self):
        assert edited(name="lucid_curie", ip="10.88.0.7") == HOSTS
        after = edited(name="lucid_curie", ip="10.88.0.7", aliases=["me"])
        assert "10.88.0.7\tlucid_curie me #   # me" not in after
        assert "10.88.0.7\tlucid_curie me # me\n" in after

    def test_several_addresses(self):
        assert edited(name="localhost", ip=["127.0.0.1", "::1"]) == HOSTS
        assert "::1\tip6-localhost ip6-loopback\n" in edited(name="localhost", ip="127.0.0.1")

    def test_the_case_of_a_name_does_not_count(self):
        assert edited(name="DB.INTERNAL", ip="10.0.0.2") == HOSTS.replace(
            "10.0.0.1 db.internal db", "10.0.0.1\tdb"
        )

    def test_an_address_in_another_spelling(self):
        provider, body = kinds.load("host"), "FD00:0::9 new\n10.0.0.1 b\n"
        spec = spec_of("new", ip="fd00::9")
        assert provider.edit(spec, body).body == body
        gone = provider.edit(spec.replace(state="absent"), body)
        assert gone.body == "10.0.0.1 b\n"

    def test_absent(self):
        after = edited(state="absent")
        assert "internal" not in after
        assert "10.0.0.1\tdb\n" in after
        assert edited(state="absent", ip="10.0.0.2") == HOSTS.replace("10.0.0.2 DB.internal\n", "")
        assert edited(name="nobody", state="absent") == HOSTS

    def test_what_is_told(self, provider, system):
        (change,) = plan(provider, [spec_of(aliases=["db"])], system)
        told = [(field.before, field.after) for field in change.fields]
        assert told == [("10.0.0.1, 10.0.0.2 (db)", "10.0.0.5 (db)")]

    def test_a_mount_is_written_in_place(self, provider, system, file, monkeypatch):
        mounted(system, monkeypatch, "/etc/hosts")
        inode = file.stat().st_ino
        assert converge(provider, [spec_of()], system) == []
        assert file.stat().st_ino == inode
        assert system.written_in_place == {"/etc/hosts"}

    def test_without_a_file_it_is_not_made_unless_it_is_said(self, provider, system, file):
        file.unlink()
        assert converge(provider, [spec_of(create=True)], system) == []
        assert file.read_text() == "10.0.0.5\tdb.internal\n"

    def test_a_name_and_an_alias_have_one_owner(self, provider):
        first = set(provider.claims(spec_of(aliases=["db"])))
        assert first & set(provider.claims(spec_of("DB")))
        assert not first & set(provider.claims(spec_of("other")))


@pytest.mark.parametrize(
    ("declared", "message"),
    [
        ({"name": "a b"}, "not a host's name"),
        ({"name": "-a"}, "not a host's name"),
        ({"name": "a..b"}, "not a host's name"),
        ({"name": "a#b"}, "not a host's name"),
        ({"name": "a" * 64}, "not a host's name"),
        ({"name": ".".join(["abc"] * 64)}, "not a host's name"),
        ({"ip": []}, "needs an `ip`"),
        ({"ip": "10.0.0"}, "is no IP address"),
        ({"ip": "010.0.0.1"}, "is no IP address"),
        ({"ip": "FD00:0::1"}, "as `fd00::1`"),
        ({"ip": ["10.0.0.1", "10.0.0.1"]}, "twice"),
        ({"ip": "1.2.3.4\n5.6.7.8 x"}, "one word"),
        ({"aliases": ["a b"]}, "not a host's name"),
        ({"state": "absent", "aliases": ["a"]}, "has no aliases"),
        ({"state": "absent", "name": "localhost"}, "localhost is protected"),
    ],
)
def test_problems(declared, message):
    with pytest.raises(AssertionError, match=message):
        spec_of(**declared)
