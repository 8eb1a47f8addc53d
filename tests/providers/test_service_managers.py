"""The kind `service` below s6, runit and supervisord: who is asked, and what the answers mean."""

from __future__ import annotations

import itertools
import os

import pytest

from converge import kinds
from converge.errors import BatchError
from converge.programs.process import Completed
from converge.provider import Unmanageable
from converge.testing import FakeSystem, converge, make_spec, plan
from providers.fake_proc import FakeProc


def spec_of(name="web", **declared):
    return make_spec("service", name=name, **declared)


@pytest.fixture
def provider():
    return kinds.load("service")


@pytest.fixture
def proc(tmp_path):
    return FakeProc(tmp_path / "root")


@pytest.fixture
def system(proc):
    return proc.system


def find(provider, system, spec):
    system.forget()
    found = provider.inspect([spec], system.read_only()).get(spec.name)
    return found if found is None or isinstance(found, Unmanageable) else found.status


def tool(proc, name, answer):
    """Put a program into the fake root, and let it answer."""
    path = proc.root / "usr/bin" / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.touch()
    proc.system.programs[name] = answer


def supervised(proc, folder, *files):
    for name in files:
        path = proc.root / folder.lstrip("/") / "supervise" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()


class TestS6:
    @pytest.fixture(autouse=True)
    def _service(self, proc):
        supervised(proc, "/run/service/web", "status")
        self.state = ["false", "false"]
        proc.add(50, ["web"])

        def answer(argv, stdin):
            if "none" in argv[-1]:
                return Completed(argv=tuple(argv), code=1, out="", err="not running")
            return " ".join([*self.state, "50" if self.state[0] == "true" else "-1"]) + "\n"

        def control(argv, stdin):
            self.state = ["false", "false"] if "-d" in argv else ["true", "true"]
            return ""

        tool(proc, "s6-svstat", answer)
        tool(proc, "s6-svc", control)
        tool(proc, "s6-svscanctl", lambda argv, stdin: "")

    @pytest.mark.parametrize(
        ("up", "wanted", "status"),
        [
            ("true", "true", "running"), ("false", "true", "starting"),
            ("true", "false", "stopping"), ("false", "false", None),
        ],
    )  # fmt: skip
    def test_states(self, provider, system, up, wanted, status):
        self.state = [up, wanted]
        assert find(provider, system, spec_of()) == status

    def test_start_and_stop(self, provider, system):
        assert converge(provider, [spec_of(timeout=3)], system) == []
        assert (
            "/usr/bin/s6-svc", "-wu", "-T", "3000", "-u", "--", "/run/service/web",
        ) in system.ran  # fmt: skip
        assert converge(provider, [spec_of(state="stopped")], system) == []
        assert system.ran[-2][1:2] == ("-wD",)

    def test_waits_until_it_says_that_it_is_ready(self, provider, system, proc):
        (proc.root / "run/service/web/notification-fd").write_text("3\n")
        converge(provider, [spec_of()], system)
        assert any("-wU" in argv for argv in system.ran)

    def test_too_slow(self, provider, system, proc):
        tool(proc, "s6-svc", lambda argv, stdin: Completed(argv=(), code=99, out="", err=""))
        with pytest.raises(BatchError, match="s6 has not done it within 30 seconds"):
            converge(provider, [spec_of()], system)

    def test_the_signal_goes_to_its_process(self, provider, system):
        self.state = ["true", "true"]
        provider.refresh(spec_of(notify_signal="HUP"), system)
        assert [pid for pid, _ in system.signals] == [50]
        provider.refresh(spec_of(), system)
        assert system.ran[-1][1:2] == ("-wr",)

    def test_no_supervisor_answers(self, provider, system, proc):
        supervised(proc, "/run/service/none", "status")
        found = find(provider, system, spec_of("none"))
        assert found.reason == "/run/service/none has no supervisor of s6 that answers"

    def test_a_directory_at_another_place(self, provider, system, proc):
        supervised(proc, "/opt/services/x", "status")
        self.state = ["true", "true"]
        spec = spec_of(service_directory="/opt/services/x")
        assert find(provider, system, spec) == "running"
        assert system.ran == [
            ("/usr/bin/s6-svstat", "-o", "up,wantedup,pid", "--", "/opt/services/x")
        ]

    def test_programs_of_the_overlay(self, provider, proc):
        del proc.system.programs["s6-svstat"]
        found = find(provider, proc.system, spec_of())
        assert found.reason == "there is no program s6-svstat"
        path = proc.root / "command/s6-svstat"
        path.parent.mkdir()
        path.touch()
        found = find(provider, proc.system, spec_of())
        assert "/command/s6-svstat cannot be started" in found.reason  # found, but no fake


class TestRunit:
    @pytest.fixture(autouse=True)
    def _service(self, proc):
        supervised(proc, "/etc/service/web", "status", "ok")
        self.line = "down: /etc/service/web: 1s, normally up"
        proc.add(50, ["web"])

        def sv(argv, stdin):
            if argv[1] == "status":
                return f"{self.line}\n"
            up = "stop" not in argv
            self.line = (
                f"{'run: /etc/service/web: (pid 50)' if up else 'down: /etc/service/web:'} 0s"
            )
            return ""

        tool(proc, "sv", sv)

    @pytest.mark.parametrize(
        ("line", "status"),
        [
            ("run: /etc/service/web: (pid 50) 3s", "running"),
            ("run: /etc/service/web: (pid 50) 3s, normally down; run: log: (pid 49) 3s", "running"),
            ("run: /etc/service/web: (pid 50) 3s, want down, got TERM", "stopping"),
            ("run: /etc/service/web: (pid 50) 3s; down: log: 3s, want down", "running"),
            ("down: /etc/service/web: 3s, normally up", None),
            ("down: /etc/service/web: 3s, normally up, want up", "starting"),
            ("finish: /etc/service/web: (pid 51) 0s", "starting"),
            ("finish: /etc/service/web: (pid 51) 0s, want down", "stopping"),
        ],
    )
    def test_states(self, provider, system, line, status):
        self.line = line
        assert find(provider, system, spec_of()) == status

    def test_start_and_stop(self, provider, system):
        assert converge(provider, [spec_of(timeout=3)], system) == []
        assert ("/usr/bin/sv", "-w", "3", "start", "/etc/service/web") in system.ran
        assert converge(provider, [spec_of(state="stopped")], system) == []
        assert ("/usr/bin/sv", "-w", "30", "stop", "/etc/service/web") in system.ran

    def test_failure_in_its_own_words(self, provider, system, proc):
        answer = Completed(argv=(), code=1, out="timeout: down: /etc/service/web: 1s\n", err="")
        status = Completed(argv=(), code=0, out=self.line, err="")
        tool(proc, "sv", lambda argv, stdin: status if "status" in argv else answer)
        with pytest.raises(BatchError, match="sv start: timeout: down"):
            converge(provider, [spec_of()], system)

    def test_no_supervisor_answers(self, provider, system):
        self.line = "warning: /etc/service/web: unable to open supervise/ok: file does not exist"
        found = find(provider, system, spec_of())
        assert found.reason == "/etc/service/web has no supervisor of runit that answers"

    def test_all_are_asked_at_once(self, provider, system, proc):
        supervised(proc, "/etc/service/two", "ok")
        provider.inspect([spec_of(), spec_of("two")], system.read_only())
        assert system.ran == [("/usr/bin/sv", "status", "/etc/service/web", "/etc/service/two")]

    def test_a_directory_that_nobody_takes_up(self, provider, system, proc):
        (proc.root / "etc/service/new").mkdir()
        self.line = ""
        spec = spec_of("new", manager="runit", timeout=0.1)
        with pytest.raises(BatchError, match="runit does not take up /etc/service/new"):
            converge(provider, [spec], system)


class TestSupervisord:
    @pytest.fixture(autouse=True)
    def _service(self, proc):
        self.states = {"web": "STOPPED   Not started"}
        proc.add(40, ["/usr/bin/python3", "/usr/bin/supervisord"], name="supervisord")
        proc.add(50, ["web"])

        def control(argv, stdin):
            verb, names = argv[1], argv[2:]
            if verb == "status":
                return "".join(f"{name:<30} {state}\n" for name, state in self.states.items())
            if verb in ("start", "restart"):
                if names[0] not in self.states:
                    return f"{names[0]}: ERROR (no such process)\n"
                self.states[names[0]] = "RUNNING   pid 50, uptime 0:00:01"
            if verb == "update":
                self.states[names[0]] = "STARTING"
            if verb == "stop":
                self.states[names[0]] = "STOPPED   Jan 01 00:00 AM"
            return ""

        tool(proc, "supervisorctl", control)

    @pytest.mark.parametrize(
        ("state", "status"),
        [
            ("RUNNING   pid 50, uptime 0:00:01", "running"), ("STARTING", "starting"),
            ("BACKOFF   Exited too quickly", "starting"), ("STOPPING", "stopping"),
            ("EXITED    Jan 01", None), ("FATAL     can't find", None),
        ],
    )  # fmt: skip
    def test_states(self, provider, system, state, status):
        self.states["web"] = state
        assert find(provider, system, spec_of()) == status

    def test_start_and_stop(self, provider, system):
        assert converge(provider, [spec_of()], system) == []
        assert ("/usr/bin/supervisorctl", "start", "web") in system.ran
        assert not any("update" in argv for argv in system.ran)
        assert converge(provider, [spec_of(state="stopped")], system) == []

    def test_what_is_new_in_the_configuration_is_taken_up(self, provider, system):
        assert converge(provider, [spec_of("new", manager="supervisord")], system) == []
        assert ("/usr/bin/supervisorctl", "update", "new") in system.ran

    def test_an_error_in_its_words(self, provider, system, proc):
        control = proc.system.programs["supervisorctl"]
        wrong = "web: ERROR (spawn error)\n"
        tool(proc, "supervisorctl", lambda a, s: wrong if a[1] == "start" else control(a, s))
        with pytest.raises(BatchError, match=r"supervisorctl start: web: ERROR \(spawn error\)"):
            converge(provider, [spec_of()], system)

    def test_it_does_not_answer(self, provider, system, proc):
        answer = Completed(argv=(), code=4, out="unix:///run/s.sock no such file\n", err="")
        tool(proc, "supervisorctl", lambda argv, stdin: answer)
        found = find(provider, system, spec_of(manager="supervisord"))
        assert found.reason == "supervisord does not answer: unix:///run/s.sock no such file"

    def test_it_is_not_asked_where_it_does_not_run(self, provider, system, proc):
        proc.remove(40)
        assert find(provider, system, spec_of()) == "running"  # the plain process
        assert system.ran == []

    def test_what_it_does_not_have_is_a_plain_process(self, provider, system, proc):
        proc.add(60, ["other"])
        assert find(provider, system, spec_of("other")) == "running"
        assert find(provider, system, spec_of("third")) is None


def test_one_manager_that_fails_leaves_the_others(provider, proc):
    proc.add(50, ["web"])
    supervised(proc, "/run/service/bad", "status")
    found = provider.inspect([spec_of("bad"), spec_of()], proc.system.read_only())
    assert found["bad"].reason == "there is no program s6-svstat"
    assert found["web"].status == "running"


def test_without_anything_it_is_a_plain_process(provider, tmp_path):
    made = FakeProc(tmp_path / "x")
    (change,) = plan(provider, [spec_of(start="web")], made.system)
    assert change.before is None
    assert isinstance(made.system, FakeSystem)
    assert os.listdir(made.root) == ["proc"]


class TestSystemd:
    @pytest.fixture(autouse=True)
    def _service(self, proc):
        (proc.root / "run/systemd/system").mkdir(parents=True)
        self.states = {"web.service": ("loaded", "inactive", "no")}
        self.pids = itertools.repeat(50)
        proc.add(50, ["web"])

        def systemctl(argv, stdin):
            if argv[1] == "show":
                return "\n".join(map(self.block, argv[4:]))
            if argv[1] == "daemon-reload":
                self.states["new.service"] = ("loaded", "inactive", "no")
                return ""
            verb, unit = argv[2], argv[-1]
            if unit not in self.states:
                words = f"Failed to {verb} {unit}: Unit {unit} not found."
                return Completed(argv=tuple(argv), code=5, out="", err=words)
            self.states[unit] = ("loaded", "inactive" if verb == "stop" else "active", "no")
            return ""

        tool(proc, "systemctl", systemctl)

    def block(self, unit):
        load, active, reload = self.states.get(unit, ("not-found", "inactive", "no"))
        pid = next(self.pids) if active == "active" else 0
        service = f"Type=simple\nMainPID={pid}\n" if unit.endswith(".service") else ""
        return f"{service}LoadState={load}\nActiveState={active}\nNeedDaemonReload={reload}\n"

    @pytest.mark.parametrize(
        ("state", "status"),
        [
            ("active", "running"), ("reloading", "running"), ("activating", "starting"),
            ("deactivating", "stopping"), ("inactive", None), ("failed", None),
        ],
    )  # fmt: skip
    def test_states(self, provider, system, state, status):
        self.states["web.service"] = ("loaded", state, "no")
        assert find(provider, system, spec_of()) == status

    @pytest.fixture(autouse=True)
    def _at_once(self, monkeypatch):
        monkeypatch.setattr("converge_resources.services.systemd._STAYS", 0)

    def test_one_that_ends_at_once_has_failed(self, provider, system):
        self.pids = iter([50, 51])  # Restart=always
        with pytest.raises(BatchError, match=r"web\.service ended within a second of its start"):
            converge(provider, [spec_of(manager="systemd")], system)

    def test_start_and_stop(self, provider, system):
        assert converge(provider, [spec_of()], system) == []
        assert ("--no-ask-password", "start", "--", "web.service") in [a[1:] for a in system.ran]
        assert not any("daemon-reload" in argv for argv in system.ran)
        assert converge(provider, [spec_of(state="stopped")], system) == []

    def test_what_is_new_or_changed_is_read_first(self, provider, system):
        assert converge(provider, [spec_of("new", manager="systemd")], system) == []
        self.states["web.service"] = ("loaded", "inactive", "yes")
        assert converge(provider, [spec_of()], system) == []
        assert sum("daemon-reload" in argv for argv in system.ran) == 2

    def test_other_units_and_all_at_once(self, provider, system):
        self.states["a.socket"] = ("loaded", "active", "no")
        self.states["web.service"] = ("loaded", "active", "no")
        specs = [spec_of(manager="systemd"), spec_of("a.socket", manager="systemd")]
        assert set(provider.inspect(specs, system.read_only())) == {"web", "a.socket"}
        assert [argv[-2:] for argv in system.ran] == [("web.service", "a.socket")]
        system.ran.clear()
        provider.inspect([spec_of(), spec_of("a.socket")], system.read_only())  # found out alike
        assert [argv[-2:] for argv in system.ran] == [("web.service", "a.socket")]

    def test_failure_in_its_own_words(self, provider, system):
        with pytest.raises(BatchError, match=r"systemctl: exit 5: Failed to start nope\.service"):
            converge(provider, [spec_of("nope", manager="systemd")], system)

    def test_a_signal_goes_to_the_main_process(self, provider, system):
        self.states["web.service"] = ("loaded", "active", "no")
        provider.refresh(spec_of(notify_signal="HUP"), system)
        assert [pid for pid, _ in system.signals] == [50]

    def test_what_it_does_not_have_is_a_plain_process(self, provider, system, proc):
        proc.add(60, ["other"])
        assert find(provider, system, spec_of("other")) == "running"

    def test_where_it_is_not_the_init(self, provider, system, proc):
        (proc.root / "run/systemd/system").rmdir()
        assert find(provider, system, spec_of()) == "running"  # the plain process
        found = find(provider, system, spec_of(manager="systemd"))
        assert found.reason == "systemd is not the init here"
