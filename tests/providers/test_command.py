"""The kind `command` against a fake machine: guards, tries, outcomes, and as whom it runs."""

from __future__ import annotations

import os
import pwd

import pytest

from converge import kinds, outcome, stopping
from converge.engine import Run
from converge.errors import ApplyError, BatchError, CannotManageError, StoppedError
from converge.language.models import schema_of, validate
from converge.notifications import Notifications
from converge.programs.process import Completed
from converge.provider import Spec, Unmanageable
from converge.testing import FakeSystem, ProviderContract, converge, make_spec, plan
from converge_resources.command import UNGUARDED, CommandSpec
from converge_resources.programs import run as command_run
from unit.sample import catalog, resource

PROVIDER = kinds.load("command")


@pytest.fixture
def system(tmp_path):
    """A machine with `make` and `unmake` for /made, and programs that exit with their name."""

    def make(argv, _):
        (tmp_path / "made").write_text(" ".join(argv[1:]))
        return ""

    def unmake(_argv, _):
        (tmp_path / "made").unlink()
        return ""

    def exits(code):
        return lambda argv, _: Completed(argv=tuple(argv), code=code, out="out", err="its words")

    return FakeSystem(
        tmp_path,
        {"make": make, "unmake": unmake, "true": exits(0), "false": exits(1), "three": exits(3)},
    )


def command(name="make", **declared) -> CommandSpec:
    spec = make_spec("command", name=name, **declared)
    return PROVIDER.resolve(spec, lambda _: ("", b""))


def due(spec, system):
    (found,) = PROVIDER.inspect([spec], system.read_only()).values()
    return found if isinstance(found, Unmanageable) else found.due


def failure(spec, system) -> str:
    with pytest.raises(BatchError) as error:
        PROVIDER.apply(plan(PROVIDER, [spec], system), system)
    return str(error.value.errors[spec.name])


def problems(**declared):
    return {where[0]: text for where, text in validate(CommandSpec, declared)[1]}


class TestContract(ProviderContract):
    kind = "command"

    @pytest.fixture
    def present(self) -> list[Spec]:
        return [command("make it", argv="make 'a b'", creates="/made")]

    @pytest.fixture
    def absent(self) -> list[Spec]:
        return [command("make it", argv=["unmake"], removes=["/made"])]


class TestSpec:
    def test_every_attribute_is_described(self):
        assert all(
            about.get("description") for about in schema_of(CommandSpec)["properties"].values()
        )

    def test_a_command_says_when_it_is_done(self):
        assert problems(name="make") == {"name": UNGUARDED}
        for done in ({"refresh_only": True}, {"always": True}, {"unless": "true"}):
            assert problems(name="make", **done) == {}

    @pytest.mark.parametrize(
        ("declared", "key", "words"),
        [
            ({"name": "a | b"}, "name", "no shell reads this, so `|` means nothing"),
            ({"name": "x", "argv": "echo > y"}, "argv", "[sh, -c, '…']"),
            ({"name": "x", "argv": "echo 'y"}, "argv", "cannot be split into words"),
            ({"name": "bin/x"}, "name", "is relative"),
            ({"name": "x", "unless": "./x"}, "unless", "is relative"),
            ({"name": "x", "argv": ["a", "b\0"]}, "argv", "a NUL"),
            ({"name": " "}, "name", "there is no program"),
            ({"name": "x", "argv": []}, "argv", "a list of words"),
            ({"name": "x", "argv": {"a": 1}}, "argv", "a list of words"),
            ({"name": "x", "umask": 22}, "umask", "quote it"),
            ({"name": "x", "umask": "9"}, "umask", "no umask"),
            ({"name": "x", "env": {"A B": "c"}}, "env", "the name of a variable"),
            ({"name": "x", "returns": 256}, "returns", "at most 255"),
            ({"name": "x", "always": True, "refresh_only": True}, "always", "exclude"),
            ({"name": "x", "creates": "y"}, "creates", "absolute"),
        ],
    )
    def test_what_is_refused(self, declared, key, words):
        assert words in problems(**{"creates": "/made", **declared})[key]

    def test_words_are_split_once_and_numbers_are_words(self):
        spec = command("echo 'a b' $HOME *", unless=["sh", "-c", "a | b"], always=True)
        assert spec.argv == ["echo", "a b", "$HOME", "*"]
        assert spec.unless == ["sh", "-c", "a | b"]
        spec = command("x", argv=["sleep", 5], env={"PORT": 80}, returns=3, always=True)
        assert (spec.argv, spec.env, spec.returns) == (["sleep", "5"], {"PORT": "80"}, [3])

    def test_what_goes_first_and_what_is_watched(self):
        spec = command(
            "/opt/a -x", user="deploy", cwd="/srv/app", creates="/var/made", removes="/old"
        )
        assert set(PROVIDER.depends(spec)) >= {
            "user:deploy", "directory:/srv/app", "directory:/srv", "file:/opt/a", "directory:/var",
            "download:/opt/a",
        }  # fmt: skip
        assert set(PROVIDER.watches(spec)) == {"/var/made", "/old"}
        assert set(PROVIDER.watches(command("x", creates="/made", refresh_only=True))) == set()


class TestGuards:
    @pytest.mark.parametrize(
        ("guards", "expected"),
        [
            ({"creates": "/made"}, "/made is missing"),
            ({"creates": ["/etc", "/made"]}, "/made is missing"),
            ({"creates": "/etc"}, "no"),
            ({"removes": "/etc"}, "/etc is there"),
            ({"removes": "/made"}, "no"),
            ({"unless": "true"}, "no"),
            ({"unless": "false"}, "`unless` exit 1"),
            ({"unless": "nothing"}, "`unless`: there is no program 'nothing'"),
            ({"only_if": "true"}, "`only_if` exit 0"),
            ({"only_if": "false"}, "no"),
            ({"creates": "/made", "unless": "true"}, "no"),
            ({"creates": "/made", "unless": "false"}, "/made is missing; `unless` exit 1"),
            ({"unless": "false", "only_if": "false"}, "no"),
        ],
    )
    def test_it_is_run_while_all_agree(self, system, tmp_path, guards, expected):
        (tmp_path / "etc").mkdir()
        assert due(command(**guards), system) == expected

    def test_no_program_is_asked_where_paths_decide(self, system, tmp_path):
        (tmp_path / "etc").mkdir()
        assert due(command(creates="/etc", unless="false"), system) == "no"
        assert system.ran == []

    def test_an_only_if_that_is_not_there_is_not_a_no(self, system):
        found = due(command(only_if="nothing"), system)
        assert found.reason == "`only_if`: there is no program 'nothing'"
        assert found.remedy == "install it, or give its whole path"

    def test_neither_refresh_only_nor_always_is_drift(self, system):
        assert due(command(refresh_only=True, unless="false"), system) == "no"
        assert due(command(always=True), system) == "no"
        assert system.ran == []

    def test_a_directory_that_is_missing(self, system):
        system._run = ReadsDirectories(system)  # type: ignore[method-assign]
        assert due(command(unless="true", cwd="/gone"), system) == (
            "`unless`: there is no directory /gone"
        )


class ReadsDirectories:
    """Runs as the real one does: in a directory that is opened first."""

    def __init__(self, system):
        self.system = system

    def __call__(self, argv, *, context=None, **_):
        self.system.paths.directory(context.folder)
        return Completed(argv=tuple(argv), code=0, out="", err="")


class TestRunning:
    def test_the_guards_are_believed_not_the_exit_code(self, system):
        spec = command("true", creates="/made")
        made = run(system, "true", creates=["/made"], argv=["true"])
        assert made.outcomes["command:true"].result == outcome.FAILED
        assert made.outcomes["command:true"].reason == "still differs: due (/made is missing)"
        assert converge(PROVIDER, [spec], system)

    def test_an_exit_code_that_is_wanted(self, system):
        assert "three: exit 3: its words" in failure(command("three", creates="/made"), system)
        spec = command("three", creates="/made", returns=[0, 3])
        PROVIDER.apply(plan(PROVIDER, [spec], system), system)
        assert "true: exit 0, not 3" in failure(
            command("true", creates="/made", returns=[3]), system
        )

    def test_sensitive_output_is_not_repeated(self, system):
        told = failure(command("three", creates="/made", sensitive=True), system)
        assert told == "three: exit 3: its output is sensitive"

    def test_tries(self, system):
        codes = [1, 1, 0, 1]
        system.programs["flaky"] = lambda argv, _: Completed(
            argv=tuple(argv), code=codes.pop(0), out="", err=""
        )
        command_run.run(command("flaky", always=True, tries=3, try_sleep=0.001), system)
        assert codes == [1]
        with pytest.raises(ApplyError, match="exit 1"):
            command_run.run(command("flaky", always=True), system)

    def test_a_run_that_is_asked_to_stop_tries_no_more(self, system, monkeypatch):
        monkeypatch.setattr(stopping, "_asked", True)
        with pytest.raises(StoppedError):
            command_run.run(command("false", always=True, tries=5, try_sleep=3600), system)
        assert len(system.ran) == 1

    def test_what_it_gets(self, system):
        heard = []
        system.programs["listen"] = lambda argv, stdin: heard.append((tuple(argv), stdin)) or ""
        spec = command("listen -n", always=True, stdin="words", env={"A": "b"}, umask="077")
        command_run.run(spec, system)
        assert heard == [(("/usr/bin/listen", "-n"), b"words")]
        environment, context = system.how[0]
        assert environment == {"A": "b"}
        assert (context.folder, context.umask, context.uid) == ("/", 0o077, None)

    def test_a_program_that_is_not_here(self, system):
        assert "there is no program 'gone'" in failure(command("gone", creates="/made"), system)


def run(system, name, notifications=None, **declared):
    spec = command(name, **declared)
    made = Run(
        catalog(resource(name, kind="command").replace(spec=spec.as_dict())),
        system, notifications or Notifications(None),
    )  # fmt: skip
    made.converge()
    return made


class TestNotified:
    def test_always_runs_in_every_run_and_is_no_change(self, system, tmp_path):
        for _ in range(2):
            made = run(system, "make", always=True)
            assert made.outcomes["command:make"].result == outcome.IN_SYNC
            assert made.refreshed == ["command:make"]
            assert made.notifications.pending == {}
            (tmp_path / "made").unlink()
        assert run(system, "make", always=True, only_if="false").refreshed == ["command:make"]
        assert not (tmp_path / "made").exists()

    def test_always_that_fails(self, system):
        made = run(system, "false", always=True)
        assert made.outcomes["command:false"].result == outcome.FAILED
        assert made.outcomes["command:false"].reason == "refresh failed: false: exit 1: its words"

    def test_a_plan_does_not_run_it(self, system):
        spec = command("make", always=True)
        one = resource("make", kind="command").replace(spec=spec.as_dict())
        made = Run(catalog(one), system, Notifications(None))
        made.plan()
        assert made.outcomes["command:make"].result == outcome.IN_SYNC
        assert system.ran == []

    def test_refresh_only_runs_when_notified_and_its_guards_agree(self, system):
        assert run(system, "make", refresh_only=True).refreshed == []
        owed = Notifications(None)
        owed.announce({"file:/x": ["command:make"]})
        assert run(system, "make", owed, refresh_only=True).refreshed == ["command:make"]
        owed.announce({"file:/x": ["command:make"]})
        run(system, "make", owed, refresh_only=True, unless="true")
        assert [argv[0] for argv in system.ran] == ["/usr/bin/make", "/usr/bin/true"]

    def test_what_ran_in_this_run_is_not_run_again_when_notified(self, system):
        owed = Notifications(None)
        owed.announce({"file:/x": ["command:make"]})
        run(system, "make", owed, creates="/made")
        assert [argv[0] for argv in system.ran] == ["/usr/bin/make"]

    def test_a_guard_that_cannot_be_asked_fails_the_refresh(self, system):
        with pytest.raises(ApplyError, match="only_if"):
            PROVIDER.refresh(command(refresh_only=True, only_if="nothing"), system)


class TestAsWhom:
    @pytest.fixture(autouse=True)
    def _account(self, tmp_path, monkeypatch):
        (tmp_path / "etc").mkdir()
        (tmp_path / "etc/passwd").write_text("deploy:x:2000:2001::/home/deploy:/bin/sh\n")
        (tmp_path / "etc/group").write_text("deploy:x:2001:\nadm:x:4:deploy\n")
        entry = pwd.struct_passwd(("deploy", "x", 2000, 2001, "", "/home/deploy", "/bin/sh"))

        def getpwuid(uid):
            if uid != 2000:
                raise KeyError(uid)
            return entry

        monkeypatch.setattr(pwd, "getpwuid", getpwuid)
        monkeypatch.setattr(os, "getgrouplist", lambda name, gid: [gid, 4])

    def context(self, system, **declared):
        command_run.run(command("true", always=True, **declared), system)
        environment, context = system.how[-1]
        return environment, (context.uid, context.gid, context.groups)

    def test_a_user_has_its_groups_and_its_home(self, system):
        environment, ids = self.context(system, user="deploy", env={"HOME": "/srv"})
        assert ids == (2000, 2001, (2001, 4))
        assert environment == {"HOME": "/srv", "USER": "deploy", "LOGNAME": "deploy"}
        assert self.context(system, user=2000, group="adm")[1] == (2000, 4, (4, 4))
        assert self.context(system, group="adm")[1] == (None, 4, None)

    def test_a_number_without_an_entry_needs_a_group(self, system):
        with pytest.raises(ApplyError, match="no entry"):
            self.context(system, user=3000)
        assert self.context(system, user=3000, group=3000)[1] == (3000, 3000, ())

    def test_a_user_that_is_not_there_yet(self, system):
        with pytest.raises(ApplyError, match="there is no user 'later'"):
            self.context(system, user="later")
        assert due(command(user="later", unless="true"), system) == (
            "`unless`: there is no user 'later'"
        )

    def test_without_the_capability(self, tmp_path, system):
        weak = FakeSystem(tmp_path, system.programs, capabilities=0)
        spec = command("true", creates="/made", user="deploy")
        (found,) = PROVIDER.obstacles(plan(PROVIDER, [spec], weak), weak.read_only()).values()
        assert "only root with CAP_SETUID" in found.reason
        assert "CAP_SETUID" in due(command(user="deploy", unless="true"), weak).reason
        nearly = FakeSystem(tmp_path, system.programs, capabilities=1 << 7)
        with pytest.raises(CannotManageError, match="CAP_SETGID"):
            command_run.run(command("true", always=True, user="deploy"), nearly)
