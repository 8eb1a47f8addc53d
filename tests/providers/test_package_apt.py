"""What is asked of apt and dpkg, and what is made of their answers."""

from __future__ import annotations

import os

import pytest

from converge import kinds
from converge.errors import BatchError
from converge.testing import converge, make_spec, plan
from providers.fake_apt import FakeApt, done

ARCHIVE = {"hello": ("2.0", "1.1", "1.0"), "web": ("1.0",), "extra": ("1.0",), "tied": ("1.0",)}
PACKAGE = kinds.load("package")


@pytest.fixture
def apt(tmp_path):
    return FakeApt(tmp_path, ARCHIVE, needs={"web": "hello", "tied": "nowhere"})


def specs(*declared):
    return [make_spec("package", **one) for one in declared]


def failures(apt, *declared):
    """Apply and return the messages of what failed, by name."""
    with pytest.raises(BatchError) as caught:
        PACKAGE.apply(plan(PACKAGE, specs(*declared), apt.system), apt.system)
    return {name: str(error) for name, error in caught.value.errors.items()}


class TestCommandLine:
    def test_one_transaction_for_a_whole_wave(self, apt):
        apt.put("extra", "1.0")
        wanted = specs(
            {"name": "hello", "version": "1.*"},
            {"name": "web"},
            {"name": "extra", "state": "absent"},
        )
        assert converge(PACKAGE, wanted, apt.system) == []
        (argv,) = apt.ran("apt-get")
        assert argv[:2] == ["-q", "-y"]
        assert argv[argv.index("install") :] == ["install", "--", "hello=1.1", "web=1.0", "extra-"]

    def test_flags(self, apt):
        converge(PACKAGE, specs({"name": "web"}), apt.system)
        (argv,) = apt.ran("apt-get")
        assert "DPkg::Lock::Timeout=120" in argv
        assert "Dpkg::Options::=--force-confdef" in argv
        assert "Dpkg::Options::=--force-confold" in argv
        assert "--no-install-recommends" in argv
        for flag in ("--allow-downgrades", "--allow-change-held-packages", "--purge", "-t"):
            assert flag not in argv

    def test_declared_flags(self, apt):
        declared = {
            "name": "hello", "version": "1.0", "recommends": True, "release": "sid",
            "options": ["--fix-missing"], "conffiles": "replace",
        }  # fmt: skip
        converge(PACKAGE, specs(declared), apt.system)
        (argv,) = apt.ran("apt-get")
        assert argv[argv.index("--install-recommends") :] == [
            "--install-recommends", "-t", "sid", "--allow-downgrades",
            "--allow-change-held-packages", "--fix-missing", "install", "--", "hello=1.0",
        ]  # fmt: skip
        assert "Dpkg::Options::=--force-confnew" in argv
        assert "Dpkg::Options::=--force-confold" not in argv
        query = next(one for one in apt.system.ran if one[0].endswith("apt-cache"))
        assert query[1:] == ("-t", "sid", "policy", "--", "hello")

    def test_a_transaction_for_each_set_of_flags(self, apt):
        converge(PACKAGE, specs({"name": "hello"}, {"name": "web", "recommends": True}), apt.system)
        assert [argv[-1] for argv in apt.ran("apt-get")] == ["hello=2.0", "web=1.0"]

    def test_without_setuid_apt_stays_root(self, apt):
        apt.system.capabilities = 0
        converge(PACKAGE, specs({"name": "web"}), apt.system)
        assert "APT::Sandbox::User=root" in apt.ran("apt-get")[0]

    def test_purge(self, apt):
        apt.put("hello", "1.0")
        apt.put("extra", "1.0", "deinstall ok config-files")
        wanted = specs(*({"name": name, "state": "purged"} for name in ("hello", "extra")))
        assert converge(PACKAGE, wanted, apt.system) == []
        first, second = apt.ran("apt-get")
        assert "--purge" in first
        assert first[-1] == "hello-"
        assert second[-3:] == ["purge", "--", "extra"]

    def test_absent_keeps_the_configuration_beside_a_purge(self, apt):
        apt.put("hello", "1.0")
        apt.put("extra", "1.0")
        wanted = specs({"name": "hello", "state": "absent"}, {"name": "extra", "state": "purged"})
        assert converge(PACKAGE, wanted, apt.system) == []
        assert apt.status == {"hello": ("deinstall ok config-files", "1.0")}


class TestHolds:
    def test_holds_after_the_install(self, apt):
        wanted = specs({"name": "hello", "hold": True}, {"name": "web", "hold": True})
        assert converge(PACKAGE, wanted, apt.system) == []
        assert apt.ran("apt-mark") == [["hold", "--", "hello", "web"]]
        programs = [argv[0].rpartition("/")[2] for argv in apt.system.ran]
        assert programs.index("apt-mark") > programs.index("apt-get")

    def test_a_hold_alone_runs_apt_mark_alone(self, apt):
        apt.put("hello", "1.0", "hold ok installed")
        assert converge(PACKAGE, specs({"name": "hello", "hold": False}), apt.system) == []
        assert [argv[1:] for argv in apt.system.ran] == [("unhold", "--", "hello")]

    @pytest.mark.parametrize("declared", [{"state": "latest"}, {"state": "absent"}])
    def test_a_held_package_is_left_alone(self, apt, declared):
        apt.put("hello", "1.0", "hold ok installed")
        assert "on hold" in failures(apt, {"name": "hello", **declared})["hello"]
        assert apt.installed() == {"hello": "1.0"}

    @pytest.mark.parametrize(
        "declared",
        [
            {"version": "1.1"},
            {"state": "latest", "hold": False},
            {"state": "absent", "hold": False},
        ],
    )
    def test_unless_the_profile_asks_for_it(self, apt, declared):
        apt.put("hello", "1.0", "hold ok installed")
        assert converge(PACKAGE, specs({"name": "hello", **declared}), apt.system) == []
        assert "--allow-change-held-packages" in apt.ran("apt-get")[0]

    def test_not_by_someone_elses_version(self, apt):
        apt.put("web", "1.0", "hold ok installed")
        apt.put("hello", "1.0")
        wanted = ({"name": "hello", "state": "absent"}, {"name": "extra", "version": "1.0"})
        assert list(failures(apt, *wanted)) == ["hello"]
        assert apt.installed() == {"web": "1.0", "hello": "1.0", "extra": "1.0"}


class TestVersions:
    def test_a_downgrade(self, apt):
        apt.put("hello", "2.0")
        assert converge(PACKAGE, specs({"name": "hello", "version": "1.0"}), apt.system) == []
        assert "--allow-downgrades" in apt.ran("apt-get")[0]

    def test_latest(self, apt):
        apt.put("hello", "1.0")
        assert converge(PACKAGE, specs({"name": "hello", "state": "latest"}), apt.system) == []
        assert apt.installed() == {"hello": "2.0"}

    def test_present_never_upgrades(self, apt):
        apt.put("hello", "1.0", "install ok half-configured")
        assert converge(PACKAGE, specs({"name": "hello"}), apt.system) == []
        assert apt.installed() == {"hello": "1.0"}


class TestBadNames:
    def test_one_of_three(self, apt):
        found = failures(apt, {"name": "hello"}, {"name": "nope"}, {"name": "extra"})
        assert found == {"nope": "Unable to locate package nope"}
        assert apt.installed() == {"hello": "2.0", "extra": "1.0"}

    @pytest.mark.parametrize("name", ["extra-", "extra+", "he.lo", "h.l", "Extra", "a"])
    def test_none_becomes_another_package(self, apt, name):
        apt.put("extra", "1.0")
        assert list(failures(apt, {"name": name})) == [name]
        assert apt.installed() == {"extra": "1.0"}

    def test_a_version_that_is_not_there(self, apt):
        found = failures(apt, {"name": "hello", "version": "9*"}, {"name": "extra"})
        assert found == {"hello": "Version '9*' for 'hello' was not found"}
        assert apt.installed() == {"extra": "1.0"}

    def test_a_dependency_that_is_not_there(self, apt):
        found = failures(apt, {"name": "tied"}, {"name": "extra"}, {"name": "hello"})
        assert found == {"tied": "E: Unmet dependencies of tied."}
        assert set(apt.installed()) == {"extra", "hello"}

    def test_what_fails_later_is_told_in_apts_words(self, apt):
        apt.answers = [done((), 100, err="E: You don't have enough free space in /var/cache.\n")]
        assert "enough free space" in failures(apt, {"name": "hello"})["hello"]


class TestSafety:
    def test_what_is_vital_stays(self, apt):
        apt.vital = {"extra"}
        apt.put("extra", "1.0")
        apt.put("hello", "1.0")
        gone = [{"name": name, "state": "absent"} for name in ("extra", "dpkg", "hello")]
        found = failures(apt, *gone)
        assert set(found) == {"extra", "dpkg"}
        assert "would remove extra" in found["extra"]
        assert apt.installed() == {"extra": "1.0"}

    def test_so_does_what_the_agent_runs_on(self, apt):
        apt.put("python3", "3.11")
        apt.put("web", "1.0")
        apt.owners = f"python3, python3-minimal:amd64: {os.path.realpath(os.__file__)}\n"
        found = failures(
            apt, {"name": "python3", "state": "purged"}, {"name": "web", "state": "absent"}
        )
        assert list(found) == ["python3"]
        assert list(apt.installed()) == ["python3"]

    def test_even_as_a_dependency(self, apt):
        apt.vital = {"web"}
        apt.put("hello", "1.0")
        apt.put("web", "1.0")
        found = failures(apt, {"name": "hello", "state": "absent"})
        assert "would remove web" in found["hello"]
        assert set(apt.installed()) == {"hello", "web"}
