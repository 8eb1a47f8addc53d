"""How a service's own programs are run: `start` so that it outlives the agent, `stop`, `reload`."""

from __future__ import annotations

from converge.programs.launch import Program
from converge_resources.programs import argvs, identity

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from converge.system import System
    from converge_resources.service import ServiceSpec

    Declared = str | Sequence[str]


def run(declared: Declared, spec: ServiceSpec, system: System) -> None:
    """Run a program that ends by itself, as the agent. Raises ApplyError."""
    argv = argvs.located(argvs.words(declared), system)
    system.run(argv, timeout=spec.timeout, environment=spec.environment).check()


def start(
    declared: Declared,
    spec: ServiceSpec,
    system: System,
    runs: Callable[[ServiceSpec, System], bool],
    *,
    stays: bool = False,
) -> None:
    """Start a program as the declared user, and wait until the service `runs`.

    `stays`: it stays in the foreground. Raises OSError, ApplyError, CannotManageError.
    """
    words = argvs.words(declared)
    context, account = identity.context(system, spec.user, None, folder=spec.directory)
    program = Program(
        path=argvs.located(words, system)[0],
        argv=words,  # as declared, so that it is found by what it was given
        environment={**account, **spec.environment},
        context=context,
        stays=stays,
        log=spec.log,
    )
    system.start(program, lambda: runs(spec, system), spec.timeout)
