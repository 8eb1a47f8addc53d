"""The kind `service`: a program that runs, where there is no init that keeps it so."""

from __future__ import annotations

import signal

from converge.errors import ApplyError
from converge.provider import Change, Provider, Spec, State, Unmanageable, each
from converge_resources.programs import argvs

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence
    from typing import Annotated, Literal

    from converge.declared import Asked, Declared
    from converge.fields import AbsolutePath, Argv, Doc, Matching, Owner, Seconds
    from converge.system import ReadOnlySystem, System
    from converge_resources.services import Found, Manager

_PLAIN = ("start", "stop", "restart", "process", "pidfile", "user", "runs_as", "log")
_ARGV = ("start", "stop", "restart", "reload")


class ServiceSpec(Spec):
    """A service: what a supervisor keeps running, or a plain process."""

    name: Annotated[
        str,
        Matching(r"[A-Za-z0-9_][A-Za-z0-9_.@:+-]{0,127}", "a service's name"),
        Doc("Name: of the service directory, of the program in supervisord, or of the process."),
    ]
    state: Annotated[Literal["running", "stopped"], Doc("Whether it runs.")] = "running"
    manager: Annotated[
        Literal["auto", "s6", "runit", "supervisord", "systemd", "process", "main"],
        Doc("What keeps it running; `auto`: the one that is found to have it, else `process`."),
    ] = "auto"
    start: Annotated[Argv | None, Doc("Program, with arguments, that starts a plain process.")] = (
        None
    )
    stop: Annotated[Argv | None, Doc("Program that stops it, in place of `stop_signal`.")] = None
    restart: Annotated[
        Argv | None, Doc("Program that restarts it, in place of stop and start.")
    ] = None
    reload: Annotated[
        Argv | None, Doc("Program that has it read its files again, when notified.")
    ] = None
    notify_signal: Annotated[
        Literal["HUP", "USR1", "USR2", "WINCH", "ALRM", "CONT", "TTIN", "TTOU"] | None,
        Doc("Signal that has it read its files again, when notified; without one it is restarted."),
    ] = None
    stop_signal: Annotated[
        Literal["TERM", "INT", "QUIT", "HUP", "USR1", "USR2", "WINCH", "KILL"],
        Doc("Signal that ends a plain process."),
    ] = "TERM"
    timeout: Annotated[
        Seconds, Doc("Seconds to start, or to end before it is killed (a plain process).")
    ] = 30
    background: Annotated[
        bool, Doc("`start` stays in the foreground: it is sent to the background.")
    ] = False
    log: Annotated[
        AbsolutePath | Literal["container"] | None,
        Doc("File that gets the output of `start`; `container`: where that of PID 1 goes."),
    ] = None
    process: Annotated[
        str | Sequence[str] | None,
        Doc("Name or path of its program, or a list: patterns of its first words. Default: name."),
    ] = None
    pidfile: Annotated[AbsolutePath | None, Doc("File in which it keeps its process id.")] = None
    user: Annotated[Owner | None, Doc("User that it is started as. Default: the agent's.")] = None
    runs_as: Annotated[
        Owner | None, Doc("User that it becomes by itself, if not the one that it is started as.")
    ] = None
    environment: Annotated[
        Mapping[str, str], Doc("Variables that `start` gets, besides PATH.")
    ] = {}
    directory: Annotated[AbsolutePath, Doc("Directory that `start` is run in.")] = "/"
    service_directory: Annotated[
        AbsolutePath | None, Doc("Its directory (s6, runit), if that is at no usual place.")
    ] = None

    def problems(self) -> Iterable[tuple[str, str]]:
        """Say what does not go together."""
        for name in _ARGV:
            declared = getattr(self, name)
            if declared is not None:
                yield from ((name, text) for text in argvs.problems(declared))
        if self.reload is not None and self.notify_signal is not None:
            yield "reload", "`reload` and `notify_signal` exclude each other"
        if self.stop is not None and self.stop_signal != "TERM":
            yield "stop", "`stop` and `stop_signal` exclude each other"
        if self.start is None and (self.background or self.environment):
            yield "start", "`background` and `environment` go with a `start`"
        yield from self._contradictions()

    def _contradictions(self) -> Iterable[tuple[str, str]]:
        if self.manager == "main" and self.state == "stopped":
            yield "state", "the container's main process is not stopped from inside"
        if self.manager not in ("auto", "process"):
            for name in _PLAIN:
                if getattr(self, name) is not None:
                    yield name, f"`{name}` is for a plain process, not for {self.manager}"
        for name in self.environment:
            if not name or "=" in name or "\0" in name + self.environment[name]:
                yield "environment", f"{name!r} is no name of a variable"


class ServiceState(State):
    """How it stands: running, or on its way (starting, stopping). What is stopped is absent."""

    status: str


class ServiceProvider(Provider[ServiceSpec, ServiceState]):
    """Starts, stops and reloads services."""

    kind = "service"
    spec = ServiceSpec
    verbs = ("started", "stopped")
    phases = ("start", "run")  # no process outlives the build of an image

    def desired(self, spec: ServiceSpec) -> ServiceState | None:
        """Return what is declared; a service that is to be stopped is to be absent."""
        return ServiceState(status="running") if spec.state == "running" else None

    def inspect(
        self, specs: Sequence[ServiceSpec], system: ReadOnlySystem
    ) -> Mapping[str, ServiceState | Unmanageable]:
        """Ask each manager once; what is stopped is left out."""
        from converge_resources.services.choice import Managers

        states: dict[str, ServiceState | Unmanageable] = {}
        for name, found in Managers(system).look(specs).items():
            if isinstance(found, Unmanageable):
                states[name] = found
            elif found.status != "stopped":
                states[name] = ServiceState(status=found.status)
        return states

    def obstacles(
        self, changes: Sequence[Change[ServiceSpec, ServiceState]], system: ReadOnlySystem
    ) -> Mapping[str, Unmanageable]:
        """Say what may not be started, or stopped, here."""
        found = {}
        for change in changes:
            manager, now = _ask(change.spec, system)
            obstacle = manager.obstacle(change.spec, now)
            if obstacle is not None:
                found[change.spec.name] = obstacle
        return found

    def apply(self, changes: Sequence[Change[ServiceSpec, ServiceState]], system: System) -> None:
        """Start or stop each."""
        each(changes, lambda change: _apply(change, system))

    def refresh(self, spec: ServiceSpec, system: System) -> None:
        """Reload it as declared, else restart it; what is stopped, or yet to start, stays so."""
        manager, found = _ask(spec, system.read_only())
        if "stopped" in (spec.state, found.status):
            return
        if manager.name == "main" and not found.processes:
            return
        if spec.reload is not None:
            from converge_resources.services.starting import run

            run(spec.reload, spec, system)
        elif spec.notify_signal is not None:
            _notify(spec, found, system)
        else:
            manager.restart(spec, system)

    def depends(self, spec: ServiceSpec) -> Iterable[str]:
        """A service goes after its package, if that has its name, its users and its own files."""
        from converge_resources.paths.trees import bringing

        yield f"package:{spec.name}"
        for account in (spec.user, spec.runs_as):
            if account and not account.isdigit():
                yield f"user:{account}"
        for declared in filter(None, (spec.start, spec.stop, spec.restart, spec.reload)):
            yield from bringing(argvs.words(declared)[0])
        if spec.log is not None:
            yield f"directory:{spec.log.rpartition('/')[0]}"
        for place in filter(None, (spec.service_directory, f"/etc/service/{spec.name}")):
            yield from (f"symlink:{place}", f"directory:{place}", f"file:{place}/run")
        yield from (f"directory:/run/service/{spec.name}", f"file:/run/service/{spec.name}/run")
        yield f"file:/etc/supervisor/conf.d/{spec.name}.conf"
        yield f"file:/etc/systemd/system/{spec.name}.service"

    def deletions(self, change: Change[ServiceSpec, ServiceState]) -> int:
        """Stopping deletes nothing."""
        return 0

    def declare(self, asked: Asked, system: ReadOnlySystem) -> Iterable[Declared]:
        """Tell of what runs."""
        from converge_resources.adoption import services

        return services.declare(asked, system)


def _ask(spec: ServiceSpec, system: ReadOnlySystem) -> tuple[Manager, Found]:
    """Return who has a service and how it stands now. Raises OSError, ConvergeError."""
    from converge_resources.services.choice import Managers

    managers = Managers(system)
    manager = managers.of(spec)
    found = manager.look([spec])[spec.name]
    if isinstance(found, Unmanageable):
        raise ApplyError(found.reason, found.remedy)
    return manager, found


def _apply(change: Change[ServiceSpec, ServiceState], system: System) -> None:
    manager, _ = _ask(change.spec, system.read_only())
    act = manager.stop if change.after is None else manager.start
    act(change.spec, system)


def _notify(spec: ServiceSpec, found: Found, system: System) -> None:
    """Send the declared signal to the main processes, if they handle it: it would end the others."""
    from converge_resources.services.procs import Processes

    number = signal.Signals[f"SIG{spec.notify_signal}"]
    processes = Processes(system.read_only())
    for pid, started in found.processes:
        if not processes.catches(pid, number):
            raise ApplyError(
                f"process {pid} does not handle SIG{spec.notify_signal}, which would end it",
                "declare another `notify_signal`, a `reload`, or neither for a restart",
            )
        system.signal(pid, started, number)
