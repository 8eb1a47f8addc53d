"""What is asked of rpm and dnf, and what is made of their recorded answers."""

from __future__ import annotations

import pytest

from converge import kinds
from converge.errors import BatchError
from converge.provider import Unmanageable
from converge.read_only import ReadOnlySystem
from converge.testing import FakeSystem, make_spec, plan
from providers.fake_apt import done, recorded

PACKAGE = kinds.load("package")


class FakeDnf:
    """Answers as recorded; `impossible` names what no transaction may contain."""

    def __init__(self, root) -> None:
        (root / "var/lib/rpm").mkdir(parents=True)
        (root / "var/lib/rpm/rpmdb.sqlite").write_text("x")
        self.impossible: set[str] = set()
        self.system = FakeSystem(root, {"dnf": self.dnf, "rpm": self.rpm})

    def rpm(self, argv, stdin):
        if "-qf" in argv:
            return done(argv, 1, "python3\nfile /x/os.py is not owned by any package\n")
        return recorded("rpm-qa")

    def dnf(self, argv, stdin):
        if "check-update" in argv:
            return done(argv, 100, recorded("dnf-check-update"))
        if "repoquery" in argv:
            return recorded("dnf-repoquery")
        if "--assumeno" not in argv:
            return ""
        bad = self.impossible & {*argv}
        return done(argv, 1, err=f"Error: cannot {bad}" if bad else "Operation aborted.")

    def commands(self):
        """Return what dnf was told to do, without its flags."""
        ran = (argv for argv in self.system.ran if "-y" in argv)
        return [[word for word in argv[1:] if not word.startswith("-")] for argv in ran]

    def apply(self, *declared):
        specs = [make_spec("package", **one) for one in declared]
        PACKAGE.apply(plan(PACKAGE, specs, self.system), self.system)


@pytest.fixture
def dnf(tmp_path):
    return FakeDnf(tmp_path)


def test_reads_by_one_query(dnf):
    specs = [
        make_spec("package", name="hello", version="1.0*"),
        make_spec("package", name="lab-base", hold=False),
        make_spec("package", name="hell", state="absent"),
    ]
    assert plan(PACKAGE, specs, dnf.system) == []
    (argv,) = dnf.system.ran
    assert argv[:2] == ("/usr/bin/rpm", "-qa")


def test_latest_is_what_no_update_is_listed_for(dnf):
    specs = [make_spec("package", name=n, state="latest") for n in ("hello", "lab-base")]
    changes = plan(PACKAGE, specs, dnf.system)
    assert [(c.spec.name, c.fields[0].before) for c in changes] == [("hello", "1.0-1")]


def test_installs_by_exact_name_and_version(dnf):
    dnf.apply({"name": "web"}, {"name": "hello", "version": "2.*"})
    assert dnf.commands() == [["install-nevra", "web-0:1.0-1.noarch", "hello-0:2.0-1.noarch"]]
    query = next(argv for argv in dnf.system.ran if "repoquery" in argv)
    assert query[-2:] == ("web", "hello-2.*")


def test_flags(dnf):
    dnf.apply({"name": "web", "options": ["--nobest"]})
    argv = dnf.system.ran[-1]
    assert argv[:3] == ("/usr/bin/dnf", "-q", "-y")
    for flag in (
        "--setopt=install_weak_deps=False",
        "--setopt=clean_requirements_on_remove=False",
        "--setopt=protected_packages=python3",
        "--nobest",
    ):
        assert flag in argv


def test_removes(dnf):
    dnf.apply({"name": "hello", "state": "purged"}, {"name": "web", "state": "absent"})
    assert dnf.commands() == [["remove-n", "hello"]]


def test_one_bad_name_of_three(dnf):
    with pytest.raises(BatchError) as caught:
        dnf.apply({"name": "web"}, {"name": "nope"}, {"name": "hello", "version": "2.0-1"})
    assert {n: str(e) for n, e in caught.value.errors.items()} == {
        "nope": "Unable to find a match: nope"
    }
    assert dnf.commands() == [["install-nevra", "web-0:1.0-1.noarch", "hello-0:2.0-1.noarch"]]
    queries = [argv for argv in dnf.system.ran if "repoquery" in argv]
    assert ["--refresh" in argv for argv in queries] == [False, True]


def test_one_that_cannot_be_resolved(dnf):
    dnf.impossible = {"web-0:1.0-1.noarch"}
    with pytest.raises(BatchError, match="web: Error: cannot"):
        dnf.apply({"name": "web"}, {"name": "hello", "version": "2.0-1"})
    assert dnf.commands() == [["install-nevra", "hello-0:2.0-1.noarch"]]


@pytest.mark.parametrize("declared", [{"release": "x"}, {"conffiles": "replace"}])
def test_what_dnf_does_not_know(dnf, declared):
    with pytest.raises(BatchError, match="dnf knows neither"):
        dnf.apply({"name": "web", **declared})
    assert dnf.commands() == []


def test_an_architecture_is_no_name(dnf):
    with pytest.raises(BatchError, match="not a package name for dnf"):
        dnf.apply({"name": "web:amd64"})


def test_keeps_no_holds(dnf, monkeypatch):
    monkeypatch.setattr(ReadOnlySystem, "uid", property(lambda self: 0))
    specs = [make_spec("package", name="hello", hold=True), make_spec("package", name="web")]
    changes = plan(PACKAGE, specs, dnf.system)
    found = PACKAGE.obstacles(changes, dnf.system.read_only())
    assert found == {
        "hello": Unmanageable(reason="dnf keeps no holds", remedy="declare a `version` instead")
    }


def test_a_database_that_cannot_be_read(dnf):
    dnf.system.programs["rpm"] = lambda argv, stdin: done(
        argv, 1, err="error: cannot open Packages"
    )
    found = PACKAGE.inspect([make_spec("package", name="web")], dnf.system.read_only())["web"]
    assert isinstance(found, Unmanageable)
    assert "cannot open Packages" in found.reason
