"""The kind `service`: plain processes in a fake /proc."""

from __future__ import annotations

import os
import signal

import pytest

from converge import kinds
from converge.errors import ApplyError, BatchError
from converge.mounts import Mount
from converge.provider import Spec, Unmanageable
from converge.testing import ProviderContract, converge, make_spec, plan
from providers.fake_proc import FakeProc

OTHER = 65534 if os.geteuid() != 65534 else 65533
TERM, KILL, HUP = signal.SIGTERM, signal.SIGKILL, signal.SIGHUP


def spec_of(name="web", **declared):
    return make_spec("service", name=name, **declared)


@pytest.fixture
def proc(tmp_path):
    made = FakeProc(tmp_path / "root")
    made.daemon("web")
    made.daemon("cron", pidfile="/run/crond.pid")
    return made


@pytest.fixture
def system(proc):
    return proc.system


@pytest.fixture
def provider():
    return kinds.load("service")


def status(provider, system, spec):
    """Return what is found: `running`, None for stopped, or why it cannot be managed."""
    system.forget()
    found = provider.inspect([spec], system.read_only()).get(spec.name)
    return found if found is None or isinstance(found, Unmanageable) else found.status


def obstacle(provider, system, spec):
    (change,) = plan(provider, [spec], system)
    found = provider.obstacles([change], system.read_only()).get(spec.name)
    return found and found.reason


class TestContract(ProviderContract):
    kind = "service"

    @pytest.fixture
    def system(self, proc):
        return proc.system

    @pytest.fixture
    def present(self) -> list[Spec]:
        return [
            spec_of(start="web --listen 80"),
            spec_of("cron", start=["cron"], pidfile="/run/crond.pid"),
        ]

    @pytest.fixture
    def absent(self) -> list[Spec]:
        return [
            spec_of(state="stopped"),
            spec_of("cron", state="stopped", pidfile="/run/crond.pid"),
        ]


class TestFinding:
    @pytest.mark.parametrize(
        ("argv", "name", "wanted"),
        [
            (["/usr/sbin/web", "-d"], "", None),
            (["web: master process"], "web", None),
            (["/usr/bin/python3", "/usr/bin/web"], "web", None),
            (["/opt/web/bin/x"], "", "/opt/web/bin/x"),
            (["python3", "/srv/app.py", "-v"], "", ["python3", "/srv/app.py"]),
            (["/usr/bin/python3.11", "/srv/app.py"], "", ["*/python3*", "/srv/app.py"]),
            (["/opt/a-very-long-program-name"], "", "a-very-long-program-name"),
            (["x (y) z"], "x (y) z", "x (y) z"),
        ],
    )
    def test_by_name_path_or_words(self, provider, system, proc, argv, name, wanted):
        proc.add(50, argv, name=name)
        assert status(provider, system, spec_of(process=wanted)) == "running"

    @pytest.mark.parametrize(
        ("argv", "wanted"),
        [
            (["webs"], None),
            (["/usr/bin/vi", "web"], None),
            (["/usr/sbin/web"], "/opt/web"),
            (["python3"], ["python3", "/srv/app.py"]),
        ],
    )
    def test_not_what_only_looks_like_it(self, provider, system, proc, argv, wanted):
        proc.add(50, argv)
        assert status(provider, system, spec_of(process=wanted)) is None

    def test_not_zombies_nor_the_agent_and_what_started_it(self, provider, system, proc):
        proc.add(50, ["web"], state="Z")
        proc.add(60, ["web"])
        proc.add(os.getpid(), ["web"], parent=60)
        assert status(provider, system, spec_of()) is None

    def test_not_the_kernels_threads(self, provider, system, proc):
        proc.add(2, [], name="kthreadd", parent=0)
        proc.add(3, [], name="web", parent=2)
        assert status(provider, system, spec_of()) is None

    def test_another_users_process_does_not_count(self, provider, system, proc):
        proc.add(50, ["web"], uid=OTHER)
        assert status(provider, system, spec_of()) is None
        assert status(provider, system, spec_of(runs_as=str(OTHER))) == "running"
        assert status(provider, system, spec_of(user=str(OTHER))) == "running"
        assert status(provider, system, spec_of(user="nobodyyet")) is None

    def test_only_the_main_process_is_signalled(self, provider, system, proc):
        proc.add(50, ["web"])
        proc.add(51, ["web"], parent=50)
        assert converge(provider, [spec_of(state="stopped")], system) != []  # 51 is left
        assert system.signals == [(50, TERM)]

    def test_the_agents_view_is_too_small(self, provider, system, proc, monkeypatch):
        proc.remove(1)
        found = status(provider, system, spec_of())
        assert found.reason == f"no process can be seen below --root {system.root}"

    def test_hidden_processes(self, provider, system, monkeypatch):
        mount = Mount(
            path="/proc", type="proc", source="proc", read_only=False, options=("rw", "hidepid=2")
        )
        monkeypatch.setattr(type(system.read_only()), "mounts", lambda self: {"/proc": mount})
        system.capabilities = 0
        assert status(provider, system, spec_of()) is None
        found = status(provider, system, spec_of(user=str(OTHER)))
        assert found.reason == f"/proc hides the processes of uid {OTHER} (hidepid)"
        system.capabilities = 1 << 19
        assert status(provider, system, spec_of(user=str(OTHER))) is None


class TestPidFile:
    FILE = "/run/web.pid"

    def spec(self, **declared):
        return spec_of(pidfile=self.FILE, **declared)

    def write(self, system, text, mode=0o644, folder=0o755, when=None):
        folder_path = os.path.join(system.root, "run")
        os.makedirs(folder_path, exist_ok=True)
        os.chmod(folder_path, folder)
        path = folder_path + "/web.pid"
        with open(path, "w") as file:
            file.write(text)
        os.chmod(path, mode)
        if when is not None:
            os.utime(path, (when, when))

    def test_names_the_process_whatever_it_is_called_and_whoever_runs_it(
        self, provider, system, proc
    ):
        proc.add(50, ["other"], uid=OTHER)
        self.write(system, " 50\nmore\n")
        assert status(provider, system, self.spec()) == "running"

    @pytest.mark.parametrize("text", ["", "x", "-5", "99", "99999999999", "1.5", "\n"])
    def test_names_nothing(self, provider, system, proc, text):
        proc.add(50, ["web"])
        self.write(system, text)
        assert status(provider, system, self.spec()) is None

    def test_that_is_missing_means_stopped(self, provider, system, proc):
        proc.add(50, ["web"])
        assert status(provider, system, self.spec()) is None

    def test_that_is_missing_for_a_moment_is_waited_for(self, provider, system, proc, monkeypatch):
        proc.add(50, ["web"])
        writes = iter(["", "50"])  # made, and then written to
        monkeypatch.setattr("time.sleep", lambda _: self.write(system, next(writes)))
        assert status(provider, system, self.spec()) == "running"
        assert list(writes) == []

    def test_of_an_earlier_container_names_somebody_else(self, provider, system, proc):
        proc.add(50, ["other"])
        self.write(system, "50", when=1000)
        assert status(provider, system, self.spec()) is None
        with pytest.raises(BatchError, match="not seen to run"):
            converge(provider, [self.spec(start="web", process="web")], system)
        assert not os.path.exists(system.root + self.FILE)

    def test_that_is_older_only_by_a_clock_that_was_set(self, provider, system, proc):
        proc.add(50, ["web"])
        self.write(system, "50", when=1000)
        assert status(provider, system, self.spec()) == "running"

    def test_of_a_process_that_is_another_program(self, provider, system, proc):
        proc.add(50, ["other"])
        self.write(system, "50")
        assert status(provider, system, self.spec(process="web")) is None

    @pytest.mark.parametrize("how", [{"folder": 0o777}, {"mode": 0o666}])
    def test_that_anybody_may_write_is_not_believed(self, provider, system, proc, how):
        proc.add(50, ["sshd"])
        self.write(system, "50", **how)
        assert status(provider, system, self.spec()) is None
        proc.add(51, ["web"], uid=OTHER)
        self.write(system, "51", **how)
        assert status(provider, system, self.spec()) is None
        proc.add(52, ["web"])
        self.write(system, "52", **how)
        assert status(provider, system, self.spec()) == "running"

    def test_of_a_process_of_another_user_than_declared(self, provider, system, proc):
        proc.add(50, ["web"], uid=OTHER)
        self.write(system, "50")
        assert status(provider, system, self.spec(user=str(os.geteuid()))) is None
        assert status(provider, system, self.spec(runs_as=str(OTHER))) == "running"

    def test_that_is_a_link_is_not_followed(self, provider, system, proc):
        proc.add(50, ["web"])
        os.makedirs(system.root + "/run")
        os.symlink("/proc/50/stat", system.root + self.FILE)
        assert "cannot be read" in status(provider, system, self.spec()).reason


class TestStopping:
    def test_asks_first(self, provider, system, proc):
        proc.add(50, ["web"])
        assert converge(provider, [spec_of(state="stopped")], system) == []
        assert system.signals == [(50, TERM)]

    def test_with_another_signal(self, provider, system, proc):
        proc.add(50, ["web"])
        converge(provider, [spec_of(state="stopped", stop_signal="QUIT")], system)
        assert system.signals == [(50, signal.SIGQUIT)]

    def test_kills_what_does_not_end_and_its_children(self, provider, system, proc):
        proc.add(50, ["web"])
        proc.add(51, ["worker"], parent=50)
        proc.add(52, ["grandchild"], parent=51)
        proc.deaf |= {50, 51, 52}
        assert converge(provider, [spec_of(state="stopped", timeout=0.1)], system) == []
        assert system.signals == [(50, TERM), (50, KILL), (51, KILL), (52, KILL)]
        assert proc.alive() == []

    def test_by_a_program(self, provider, system, proc):
        proc.add(50, ["web"])
        system.programs["stop-web"] = lambda argv, stdin: proc.remove(50) or ""
        assert converge(provider, [spec_of(state="stopped", stop="stop-web now")], system) == []
        assert system.ran == [("/usr/bin/stop-web", "now")]
        assert system.signals == []

    @pytest.mark.parametrize(("pid", "argv"), [(1, "tini"), (7, "app")])
    def test_never_the_main_process(self, provider, system, proc, pid, argv):
        spec = spec_of(argv, state="stopped")
        assert obstacle(provider, system, spec) == (
            f"process {pid} is the container's main process: it ends with it"
        )
        with pytest.raises(BatchError, match="main process"):
            provider.apply(plan(provider, [spec], system), system)
        assert system.signals == []

    def test_a_child_of_a_real_init_is_not_the_main_process(self, provider, system, proc):
        proc.remove(1)
        proc.add(1, ["/sbin/s6-svscan"], parent=0)
        assert obstacle(provider, system, spec_of("app", state="stopped")) is None

    def test_of_another_users_needs_a_capability(self, provider, system, proc):
        proc.add(50, ["web"], uid=OTHER)
        spec = spec_of(state="stopped", runs_as=str(OTHER))
        assert obstacle(provider, system, spec) is None
        system.capabilities = 0
        assert "needs CAP_KILL" in obstacle(provider, system, spec)


class TestStarting:
    def test_needs_to_be_told_how(self, provider, system):
        assert (
            obstacle(provider, system, spec_of())
            == "it does not run, and nothing here can start it"
        )

    def test_as_another_user_needs_capabilities(self, provider, system):
        spec = spec_of(start="web", user=str(OTHER))
        assert obstacle(provider, system, spec) is None
        system.capabilities = 0
        assert "needs CAP_SETUID and CAP_SETGID" in obstacle(provider, system, spec)
        assert obstacle(provider, system, spec_of(start="web", user=str(os.geteuid()))) is None

    def test_a_missing_program_is_no_obstacle_as_a_package_may_bring_it(self, provider, system):
        spec = spec_of(start="later")
        assert obstacle(provider, system, spec) is None
        with pytest.raises(BatchError, match="there is no program 'later'"):
            provider.apply(plan(provider, [spec], system), system)

    def test_what_is_not_seen_afterwards_has_failed(self, provider, system):
        system.programs["web"] = lambda argv, stdin: ""
        with pytest.raises(BatchError, match="is not seen to run"):
            provider.apply(plan(provider, [spec_of(start="web")], system), system)

    def test_one_failure_does_not_keep_the_others(self, provider, system, proc):
        specs = [spec_of(start="later"), spec_of("cron", start="cron")]
        with pytest.raises(BatchError):
            provider.apply(plan(provider, specs, system), system)
        assert len(proc.alive()) == 1


class TestRefresh:
    def refresh(self, provider, system, **declared):
        system.forget()
        provider.refresh(spec_of(**declared), system)

    def test_by_a_signal(self, provider, system, proc):
        proc.add(50, ["web"])
        self.refresh(provider, system, notify_signal="HUP")
        assert system.signals == [(50, HUP)]

    def test_by_a_program(self, provider, system, proc):
        proc.add(50, ["web"])
        system.programs["webctl"] = lambda argv, stdin: ""
        self.refresh(provider, system, reload=["webctl", "reload"])
        assert system.ran == [("/usr/bin/webctl", "reload")]

    def test_by_a_restart(self, provider, system, proc):
        proc.add(50, ["web"])
        self.refresh(provider, system, start="web")
        assert system.signals == [(50, TERM)]
        assert proc.alive() == [101]

    def test_by_a_restart_program(self, provider, system, proc):
        proc.add(50, ["web"])
        system.programs["webctl"] = lambda argv, stdin: ""
        self.refresh(provider, system, restart="webctl restart")
        assert system.ran == [("webctl", "restart")]

    def test_needs_to_be_told_how(self, provider, system, proc):
        proc.add(50, ["web"])
        with pytest.raises(ApplyError, match="it cannot be restarted"):
            self.refresh(provider, system)
        assert proc.alive() == [50]

    def test_a_signal_that_is_not_handled_is_not_sent(self, provider, system, proc):
        proc.add(50, ["web"])
        with pytest.raises(
            ApplyError, match="process 50 does not handle SIGUSR2, which would end it"
        ):
            self.refresh(provider, system, notify_signal="USR2")
        assert system.signals == []

    def test_what_is_stopped_stays_so(self, provider, system, proc):
        self.refresh(provider, system, start="web")
        proc.add(50, ["web"])
        self.refresh(provider, system, state="stopped", notify_signal="HUP")
        assert (system.ran, system.signals) == ([], [])

    def test_the_main_process_by_a_signal_alone(self, provider, system, proc):
        self.refresh(provider, system, manager="main", notify_signal="HUP")
        assert system.signals == [(7, HUP)]
        with pytest.raises(ApplyError, match="cannot be restarted from inside"):
            self.refresh(provider, system, manager="main")
        self.refresh(provider, system, name="tini", notify_signal="HUP")
        assert system.signals == [(7, HUP), (1, HUP)]
        assert status(provider, system, spec_of(manager="main")) == "running"

    @pytest.mark.parametrize(
        "argv",
        [
            ["/opt/converge/bin/python", "-IB", "/usr/local/bin/converge", "exec", "--", "app"],
            ["/usr/bin/python3", "-m", "converge", "exec", "app"],
        ],
    )
    def test_a_main_process_that_is_to_come_is_not_told(self, provider, system, proc, argv):
        proc.remove(7)
        proc.add(7, argv)
        self.refresh(provider, system, manager="main", notify_signal="USR2")
        self.refresh(provider, system, manager="main")
        assert system.signals == []
        assert status(provider, system, spec_of(manager="main")) == "running"


class TestDeclaration:
    @pytest.mark.parametrize(
        ("declared", "message"),
        [
            ({"name": "../x"}, "not a service's name"),
            ({"name": "-x"}, "not a service's name"),
            ({"state": "on"}, "must be 'running' or 'stopped'"),
            ({"notify_signal": "KILL"}, "`notify_signal` must be 'HUP', "),
            ({"notify_signal": "TERM"}, "`notify_signal` must be 'HUP', "),
            ({"start": "a 'b"}, "cannot be split into words"),
            ({"start": ""}, "a program is a list of words"),
            ({"start": "bin/x"}, "is relative: name the program"),
            ({"reload": "x", "notify_signal": "HUP"}, "exclude each other"),
            ({"stop": "x", "stop_signal": "INT"}, "exclude each other"),
            ({"background": True}, "go with a `start`"),
            ({"manager": "main", "state": "stopped"}, "is not stopped from inside"),
            ({"manager": "s6", "pidfile": "/run/x"}, "`pidfile` is for a plain process"),
            ({"manager": "main", "start": "x"}, "`start` is for a plain process"),
            ({"start": "x", "environment": {"A=B": "c"}}, "is no name of a variable"),
            ({"timeout": 0}, "more than 0"),
            ({"log": "relative"}, "not an absolute path"),
        ],
    )
    def test_problems(self, declared, message):
        with pytest.raises(AssertionError, match=message):
            spec_of(**declared)

    def test_depends(self, provider):
        spec = spec_of(start="/opt/web/run -x", user="app", log="/var/log/web/out")
        found = set(provider.depends(spec))
        assert {
            "package:web", "user:app", "file:/opt/web/run", "directory:/var/log/web",
            "file:/etc/service/web/run", "file:/run/service/web/run", "download:/opt/web/run",
        } <= found  # fmt: skip

    def test_stopping_is_no_deletion(self, provider, system, proc):
        proc.add(50, ["web"])
        (change,) = plan(provider, [spec_of(state="stopped")], system)
        assert provider.deletions(change) == 0


def test_no_process_is_touched_below_a_root_prefix(provider, tmp_path):
    from converge.errors import CannotManageError
    from converge.system import System

    FakeProc(tmp_path / "root")
    system = System(str(tmp_path / "root"))
    with pytest.raises(CannotManageError, match="process 7 is not signalled below --root"):
        system.signal(7, 7, 0)
