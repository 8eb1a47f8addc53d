"""The kind `package`: what may be declared, what is in sync, what cannot be managed."""

from __future__ import annotations

import pytest

from converge import kinds
from converge.language.models import validate
from converge.provider import Spec, Unmanageable
from converge.read_only import ReadOnlySystem
from converge.system import System
from converge.testing import FakeSystem, ProviderContract, converge, make_spec, plan
from converge_resources.package import PackageSpec
from converge_resources.packages.options import refusal
from providers.fake_apt import FakeApt

ARCHIVE = {"hello": ("2.0", "1.1", "1.0"), "web": ("1.0",), "libtest++": ("3.1",)}
HOSTILE = (
    "-oDPkg::Pre-Invoke::=id", "--root=/x", "a b", "$(id)", "`id`", "a;b", "a|b", "../x", "/x.deb",
    "", "nano\n", "a=1", "*", "hello/sid", "@tools", "a\0b", "\u0445", "?name", "~n", "-", "a" * 200,
)  # fmt: skip


@pytest.fixture
def package():
    return kinds.load("package")


@pytest.fixture
def apt(tmp_path):
    return FakeApt(tmp_path, ARCHIVE)


class TestContract(ProviderContract):
    kind = "package"

    @pytest.fixture
    def system(self, apt) -> FakeSystem:
        return apt.system

    @pytest.fixture
    def present(self) -> list[Spec]:
        return [
            make_spec("package", name="hello", version="1.*", hold=True),
            make_spec("package", name="web", hold=False),
            make_spec("package", name="libtest++", state="latest"),
        ]

    @pytest.fixture
    def absent(self) -> list[Spec]:
        return [
            make_spec("package", name="hello", state="absent", hold=False),
            make_spec("package", name="web", state="purged"),
            make_spec("package", name="libtest++", state="purged"),
        ]


class TestSpec:
    @pytest.mark.parametrize("name", HOSTILE)
    def test_refuses_what_is_no_package_name(self, name):
        assert validate(PackageSpec, {"name": name})[1]

    @pytest.mark.parametrize("name", ["g++", "libstdc++6:amd64", "python3.11", "R-core", "a"])
    def test_takes_package_names(self, name):
        assert validate(PackageSpec, {"name": name})[1] == []

    @pytest.mark.parametrize("version", ["1.2*", "2:7.4.052-1+b1", "1.0~rc1", "?.1", "1.2^git"])
    def test_takes_versions(self, version):
        assert validate(PackageSpec, {"name": "hello", "version": version})[1] == []

    @pytest.mark.parametrize("version", ["-1", "1 2", "1/2", "1=2", "", "[1]", "latest"])
    def test_refuses_other_versions(self, version):
        problems = validate(PackageSpec, {"name": "hello", "version": version})[1]
        assert [place for place, _ in problems] == [("version",)]

    @pytest.mark.parametrize("state", ["absent", "purged", "latest"])
    def test_a_version_needs_a_package_to_be_there(self, state):
        declared = {"name": "hello", "state": state, "version": "1.0"}
        place, message = validate(PackageSpec, declared)[1][0]
        assert place == ("version",)
        assert state in message

    def test_what_is_gone_is_not_held(self):
        declared = {"name": "hello", "state": "absent", "hold": True}
        assert validate(PackageSpec, declared)[1][0][0] == ("hold",)

    def test_a_release_is_no_option(self):
        assert validate(PackageSpec, {"name": "hello", "release": "-o"})[1]
        assert validate(PackageSpec, {"name": "hello", "release": "bookworm-backports"})[1] == []


class TestOptions:
    @pytest.mark.parametrize(
        "option",
        [
            "--allow-unauthenticated", "--allow-downgrades", "--force-yes", "--force", "--FORCE-x",
            "--nogpgcheck", "--nogpg", "--no-gpg-checks", "-o", "-oDPkg::Options::=--force-all",
            "--option=APT::Get::AllowUnauthenticated=1", "-c=/tmp/x", "--config-file=/tmp/x",
            "--root=/tmp", "-p", "--allow-untrusted", "--allo", "--setopt=gpgcheck=0", "-qqo",
            "--ignore-hold", "hello", "--", "-", "", "--installroot=/x", "--x\n", "-f",
        ],
    )  # fmt: skip
    def test_refuses_what_weakens_and_what_is_none(self, option):
        assert refusal(option)
        problems = validate(PackageSpec, {"name": "hello", "options": [option]})[1]
        assert problems[0][0][0] == "options"

    @pytest.mark.parametrize(
        "option",
        ["--install-suggests", "--fix-missing", "-m", "-q", "--enablerepo=epel", "--nobest",
         "--no-cache", "--no-scripts", "--reinstall", "--no-upgrade"],
    )  # fmt: skip
    def test_takes_the_others(self, option):
        assert refusal(option) is None


class TestInSync:
    def test_runs_no_program(self, package, apt):
        apt.put("hello", "1.1", "hold ok installed")
        apt.put("web", "1.0", "deinstall ok config-files")
        specs = [
            make_spec("package", name="hello", version="1.?", hold=True),
            make_spec("package", name="web", state="absent"),
            make_spec("package", name="nope", state="purged"),
        ]
        assert plan(package, specs, apt.system) == []
        assert apt.system.ran == []

    def test_latest_asks_once_for_all(self, package, apt):
        apt.put("hello", "1.0")
        apt.put("web", "1.0")
        specs = [make_spec("package", name=name, state="latest") for name in ("hello", "web")]
        changes = plan(package, specs, apt.system)
        assert [(c.spec.name, c.fields[0].before) for c in changes] == [("hello", "1.0")]
        assert [argv[-2:] for argv in apt.system.ran] == [("hello", "web")]

    def test_latest_that_is_absent_asks_nothing(self, package, apt):
        changes = plan(package, [make_spec("package", name="hello", state="latest")], apt.system)
        assert {f.field for f in changes[0].fields} == {"status", "version"}
        assert apt.system.ran == []

    def test_latest_is_not_known_without_lists(self, package, tmp_path):
        apt = FakeApt(tmp_path, ARCHIVE, fresh=False)
        apt.put("hello", "2.0")
        spec = make_spec("package", name="hello", state="latest")
        assert plan(package, [spec], apt.system)
        assert apt.system.ran == []
        assert converge(package, [spec], apt.system) == []

    def test_below_a_root_prefix_the_database_is_read(self, package, apt, tmp_path):
        apt.put("hello", "1.0")
        specs = [make_spec("package", name="hello"), make_spec("package", name="web")]
        assert [c.spec.name for c in plan(package, specs, System(str(tmp_path)))] == ["web"]

    def test_below_a_root_prefix_nobody_knows_the_latest(self, package, apt, tmp_path):
        apt.put("hello", "1.0")
        spec = make_spec("package", name="hello", state="latest")
        found = package.inspect([spec], System(str(tmp_path)).read_only())["hello"]
        assert isinstance(found, Unmanageable)
        assert "apt-cache" in found.reason

    def test_without_a_package_manager_nothing_is_installed(self, package, tmp_path):
        system = FakeSystem(tmp_path)
        specs = [make_spec("package", name="a"), make_spec("package", name="b", state="absent")]
        assert [c.spec.name for c in plan(package, specs, system)] == ["a"]


class TestObstacles:
    @pytest.fixture
    def obstacles(self, package, monkeypatch):
        def ask(system, uid=0, **declared):
            monkeypatch.setattr(ReadOnlySystem, "uid", property(lambda self: uid))
            changes = plan(package, [make_spec("package", name="hello", **declared)], system)
            return package.obstacles(changes, system.read_only())

        return ask

    def test_none_where_root_may_write(self, obstacles, apt):
        assert obstacles(apt.system) == {}

    def test_no_package_manager(self, obstacles, tmp_path):
        found = obstacles(FakeSystem(tmp_path))["hello"]
        assert found.reason == "no apt-get, apk or dnf is here"
        assert found.remedy

    def test_an_empty_database_is_none(self, obstacles, tmp_path):
        (tmp_path / "var/lib/dpkg").mkdir(parents=True)
        (tmp_path / "var/lib/dpkg/status").touch()
        system = FakeSystem(tmp_path, {"apt-get": lambda argv, stdin: ""})
        assert obstacles(system)["hello"].reason == "no apt-get, apk or dnf is here"

    def test_only_the_database(self, obstacles, apt, tmp_path):
        assert "root" in obstacles(System(str(tmp_path)))["hello"].reason
        del apt.system.programs["apt-get"]
        found = obstacles(apt.system)["hello"]
        assert str(tmp_path) in found.reason

    def test_not_root(self, obstacles, apt):
        assert obstacles(apt.system, uid=1000)["hello"].reason == (
            "apt needs root, and the agent is uid 1000"
        )

    def test_a_read_only_database(self, obstacles, apt, monkeypatch):
        why = Unmanageable(reason="/ is mounted read-only")
        asked = []
        monkeypatch.setattr(
            "converge.probe.writable", lambda system, path: asked.append(path) or why
        )
        assert obstacles(apt.system) == {"hello": why}
        assert asked == ["/var/lib/dpkg/status"]

    def test_nothing_differs_nothing_is_probed(self, package, tmp_path):
        assert package.obstacles([], FakeSystem(tmp_path)) == {}


def test_what_counts_as_a_deletion(package, apt):
    apt.put("hello", "1.0")
    apt.put("web", "1.0", "deinstall ok config-files")
    specs = [make_spec("package", name=name, state="purged") for name in ("hello", "web")]
    changes = plan(package, [*specs, make_spec("package", name="libtest++")], apt.system)
    assert [package.deletions(change) for change in changes] == [1, 0, 0]


def test_claims_and_order(package):
    spec = make_spec("package", name="hello")
    assert list(package.claims(spec)) == ["package:hello"]
    assert list(package.depends(spec)) == []
    assert package.brings_files
