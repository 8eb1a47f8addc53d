"""What is asked of apk. Its answers here have apk's shape, but were not recorded from a run."""

from __future__ import annotations

import pytest

from converge import kinds
from converge.errors import BatchError
from converge.testing import FakeSystem, converge, make_spec, plan
from converge_resources.packages.apk import policy
from providers.fake_apt import done, recorded

PACKAGE = kinds.load("package")
UNKNOWN = (
    "ERROR: unable to select packages:\n  {0} (no such package):\n    required by: world[{0}]\n"
)
NEEDED = (
    "World updated, but the following packages are not removed due to:\n  hello: web\n\nOK: 1 MiB\n"
)


class FakeApk:
    """Knows hello and web, and edits the world file."""

    def __init__(self, root) -> None:
        (root / "lib/apk/db").mkdir(parents=True)
        (root / "etc/apk").mkdir(parents=True)
        (root / "var/cache/apk").mkdir(parents=True)
        (root / "var/cache/apk/APKINDEX.x.tar.gz").touch()
        self.database = root / "lib/apk/db/installed"
        self.database.write_text(recorded("apk-installed"))
        self.world = root / "etc/apk/world"
        self.world.write_text("musl\nweb\n")
        self.removal = "(1/1) Purging web (1.0-r0)\n"
        self.system = FakeSystem(root, {"apk": self.run})

    def run(self, argv, stdin):
        words = [word for word in argv[1:] if not word.startswith("-") and word != "120"]
        command, names = words[0], words[1:]
        if command == "policy":
            return recorded("apk-policy")
        if command == "del":
            return self.removal
        unknown = [name for name in names if name.partition("=")[0] not in ("hello", "web")]
        if unknown:
            return done(argv, 1, err=UNKNOWN.format(unknown[0]))
        if "--simulate" in argv and names == ["hello"]:
            return "(1/1) Upgrading hello (1.0-r0 -> 2.0-r0)\nOK: 1 MiB\n"
        if "--simulate" not in argv and names:
            bare = [name.partition("=")[0] for name in names]
            kept = [t for t in self.world.read_text().split() if t.partition("=")[0] not in bare]
            self.world.write_text("\n".join([*kept, *names]))
        return "OK: 1 MiB\n"

    def commands(self):
        """Return what apk was told to do, without simulations and questions."""
        ran = [argv[4:] for argv in self.system.ran if "--simulate" not in argv]
        return [[*argv] for argv in ran if argv]

    def apply(self, *declared):
        specs = [make_spec("package", **one) for one in declared]
        PACKAGE.apply(plan(PACKAGE, specs, self.system), self.system)


@pytest.fixture
def apk(tmp_path):
    return FakeApk(tmp_path)


def test_in_sync_runs_no_program(apk):
    specs = [
        make_spec("package", name="hello", version="1.*", hold=False),
        make_spec("package", name="musl"),
        make_spec("package", name="nope", state="absent"),
    ]
    assert plan(PACKAGE, specs, apk.system) == []
    assert apk.system.ran == []


def test_a_pin_is_a_hold(apk):
    wanted = [make_spec("package", name="hello", hold=True)]
    assert converge(PACKAGE, wanted, apk.system) == []
    assert apk.commands() == [["add", "hello=1.0-r0"]]
    assert converge(PACKAGE, [make_spec("package", name="hello", hold=False)], apk.system) == []
    assert "hello" in apk.world.read_text().split()


def test_a_pinned_package_is_left_alone(apk):
    apk.world.write_text("hello=1.0-r0\nweb")
    with pytest.raises(BatchError, match="hello is pinned"):
        apk.apply({"name": "hello", "state": "latest"})
    assert apk.commands() == []


def test_latest(apk):
    changes = plan(PACKAGE, [make_spec("package", name="hello", state="latest")], apk.system)
    assert changes[0].fields[0].before == "1.0-r0"
    assert apk.system.ran == [("/usr/bin/apk", "add", "--simulate", "--upgrade", "hello")]


def test_a_glob_becomes_the_newest_version_by_number(apk):
    apk.apply({"name": "hello", "version": "1.?*-r0"}, {"name": "web"})
    assert apk.commands() == []
    apk.apply({"name": "hello", "version": "1.1*"})
    assert apk.commands() == [["add", "--upgrade", "hello=1.10-r0"]]


def test_reads_versions():
    found = policy(recorded("apk-policy"))
    assert found == {"hello": ["1.0-r0", "1.10-r0", "1.9-r0", "2.0-r0"], "web": ["1.0-r0"]}


def test_one_bad_name(apk):
    with pytest.raises(BatchError) as caught:
        apk.apply({"name": "nope"}, {"name": "hello", "version": "2*"})
    assert list(caught.value.errors) == ["nope"]
    assert "no such package" in str(caught.value)
    assert apk.commands() == [["add", "--upgrade", "hello=2.0-r0"], ["update"]]


def test_old_indexes_are_fetched_first(apk, tmp_path):
    (tmp_path / "var/cache/apk/APKINDEX.x.tar.gz").unlink()
    apk.apply({"name": "hello", "version": "2*"})
    assert apk.commands() == [["update"], ["add", "--upgrade", "hello=2.0-r0"]]


def test_removes(apk):
    apk.apply({"name": "web", "state": "purged"})
    assert apk.commands() == [["del", "--purge", "web"]]


def test_a_removal_that_is_none_is_an_error(apk):
    apk.removal = NEEDED
    with pytest.raises(BatchError, match="not removed due to"):
        apk.apply({"name": "hello", "state": "absent"})
    assert apk.commands() == []


@pytest.mark.parametrize("gone", ["musl", "apk-tools", "busybox"])
def test_what_is_vital_stays(apk, gone):
    apk.removal = f"(1/2) Purging web (1.0-r0)\n(2/2) Purging {gone} (1.2-r0)\n"
    with pytest.raises(BatchError, match=f"would remove {gone}"):
        apk.apply({"name": "web", "state": "absent"})
    assert apk.commands() == []
