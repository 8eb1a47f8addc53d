"""Reading dpkg's database, and the answers of apt, as they were recorded."""

from __future__ import annotations

import pytest

from converge.testing import FakeSystem
from converge_resources.packages import Found, matches
from converge_resources.packages.apt_policy import Policy, parse
from converge_resources.packages.apt_safety import _named, _owners
from converge_resources.packages.apt_tool import words
from converge_resources.packages.dpkg import Database
from providers.fake_apt import done, recorded


@pytest.fixture
def root(tmp_path):
    (tmp_path / "var/lib/dpkg/updates").mkdir(parents=True)
    (tmp_path / "var/lib/dpkg/status").write_text(recorded("status"))
    return tmp_path


def find(root, *names):
    return Database(FakeSystem(root)).find(names)


class TestDatabase:
    def test_reads_a_recorded_one(self, root):
        assert find(root, "dpkg", "hello", "libtest++", "nope", "hell", "ello") == {
            "dpkg": Found(version="1.21.23"),
            "hello": Found(status="config-files", version="1.0"),
            "libtest++": Found(version="3.1", held=True),
        }

    @pytest.mark.parametrize("name", ["dpkg:amd64", "hello:amd64", "hello:all"])
    def test_takes_an_architecture(self, root, name):
        assert name in find(root, name)

    @pytest.mark.parametrize("name", ["dpkg:i386", "hello:i386", "dpkg:all"])
    def test_another_architecture_is_another_package(self, root, name):
        assert find(root, name) == {}

    def test_tells_two_architectures_apart(self, root):
        status = root / "var/lib/dpkg/status"
        foreign = "\nPackage: libc6\nStatus: install ok unpacked\nArchitecture: i386\nVersion: 9\n"
        status.write_text(status.read_text() + foreign)
        found = find(root, "libc6", "libc6:i386")
        assert found["libc6"].version.startswith("2.36")
        assert found["libc6:i386"] == Found(status="unpacked", version="9")

    def test_the_journal_is_newer(self, root):
        for number, state in (("0000", "unpacked"), ("0001", "half-configured"), ("tmp.i", "x")):
            text = f"Package: hello\nStatus: install ok {state}\nArchitecture: all\nVersion: 2.0\n"
            (root / "var/lib/dpkg/updates" / number).write_text(text)
        assert find(root, "hello")["hello"] == Found(status="half-configured", version="2.0")
        assert Database(FakeSystem(root)).journal == ["0000", "0001"]

    def test_what_was_held_and_never_there(self, root):
        text = "Package: ghost\nStatus: hold ok not-installed\nArchitecture: all\n"
        (root / "var/lib/dpkg/status").write_text(text)
        assert find(root, "ghost")["ghost"] == Found(status="not-installed", held=True)

    def test_names_what_is_vital_held_and_unfinished(self, root):
        database = Database(FakeSystem(root))
        assert {"dpkg", "apt", "libc6", "init-system-helpers"} == database.vital()
        assert database.held() == {"libtest++"}
        assert database.unfinished() == []
        assert database.torn() == {}

    def test_names_what_was_killed(self, root):
        (root / "var/lib/dpkg/status").write_text(
            "Package: a\nStatus: install reinstreq half-installed\nArchitecture: all\nVersion: 1\n\n"
            "Package: b\nStatus: install reinstreq half-installed\nArchitecture: i386\n\n"
            "Package: c\nStatus: install ok half-configured\nArchitecture: all\nVersion: 1\n"
        )
        database = Database(FakeSystem(root))
        assert database.torn() == {"a": "1", "b:i386": ""}
        assert database.unfinished() == ["a", "b", "c"]

    @pytest.mark.parametrize(
        "text", ["", "\n\n", "Package: x", "Package: x\nStatus: odd\n", "\xff"]
    )
    def test_survives_a_broken_one(self, root, text):
        (root / "var/lib/dpkg/status").write_text(text)
        assert find(root, "y") == {}
        Database(FakeSystem(root)).vital()


class TestPolicy:
    def test_reads_a_recorded_answer(self):
        found = parse(recorded("policy"))
        assert found["hello"] == Policy(
            installed="1.0", candidate="2.0", versions=("2.0", "1.1", "1.0")
        )
        assert set(found) == {"hello", "libtest++", "tied"}

    @pytest.mark.parametrize(
        ("declared", "picked"),
        [
            (None, "2.0"),
            ("latest", "2.0"),
            ("1.*", "1.1"),
            ("1.0", "1.0"),
            ("*", "2.0"),
            ("9", None),
        ],
    )
    def test_picks_the_newest_that_matches(self, declared, picked):
        assert parse(recorded("policy"))["hello"].pick(declared) == picked

    def test_no_lists_no_answer(self):
        assert parse("") == {}


@pytest.mark.parametrize(
    ("pattern", "version", "holds"),
    [("1.0", "1.0", True), ("1.0", "1.00", False), ("1.*", "1.2-3", True), ("1.?", "1.22", False)],
)
def test_matches(pattern, version, holds):
    assert matches(pattern, version) is holds


def test_reads_what_a_simulation_would_do():
    assert _named(recorded("simulate-remove"), ("Remv", "Purg")) == {"hello", "web"}
    assert _named(recorded("simulate-conflict"), ("Remv",)) == {"hello", "web"}
    assert _named(recorded("simulate-conflict"), ("Inst",)) == {"rival"}


def test_reads_owners():
    assert _owners(recorded("owners")) == {"dash", "libc-bin", "hello"}
    assert _owners("a:amd64, b: /x\ndiversion by c from: /y\nlocal diversion to: /z") == {"a", "b"}


def test_repeats_apts_own_words():
    err = "debconf: delaying package configuration\nE: Unable to correct problems.\nW: old\n"
    said = words(done(["apt-get"], 100, recorded("simulate-unmet"), err))
    assert said == (
        "E: Unable to correct problems.\nunmet dependencies:\n"
        " tied : Depends: nowhere but it is not installable"
    )
    assert words(done(["apt-get"], 100)) == "exit 100"
