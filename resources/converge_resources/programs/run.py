"""Running a command and its guards: as whom, where, how often, and what is said when it fails."""

from __future__ import annotations

import os

from converge import stopping
from converge.errors import ApplyError, CannotManageError, StoppedError
from converge.provider import Unmanageable
from converge_resources.programs import argvs, identity

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

    from converge.programs.process import Completed, Context
    from converge.system import ReadOnlySystem, System
    from converge_resources.command import CommandSpec

_NO_LIMIT = 1e9  # seconds


def due(spec: CommandSpec, system: ReadOnlySystem) -> str | Unmanageable:
    """Return why it is to be run, empty if a guard says that it is not. Raises OSError.

    It is run while every guard agrees. A program in `unless` that is not here says, as to a shell,
    that it is to be run; one in `only_if` says nothing.
    """
    missing = [path for path in spec.creates if system.lstat(path) is None]
    left = [path for path in spec.removes if system.lstat(path) is not None]
    if (spec.creates and not missing) or (spec.removes and not left):
        return ""
    why = [f"{path} is missing" for path in missing[:1]] + [f"{path} is there" for path in left[:1]]
    for name, declared, wanted in (("unless", spec.unless, False), ("only_if", spec.only_if, True)):
        if not declared:
            continue
        try:
            code = _ask(spec, declared, system)
        except CannotManageError as error:
            return Unmanageable(reason=f"`{name}`: {error.args[0]}", remedy=error.remedy)
        except ApplyError as error:
            if wanted:
                return Unmanageable(reason=f"`{name}`: {error.args[0]}", remedy=error.remedy)
            why.append(f"`{name}`: {error.args[0]}")
            continue
        if (code == 0) != wanted:
            return ""
        why.append(f"`{name}` exit {code}")
    return "; ".join(why)


def _ask(spec: CommandSpec, declared: str | Sequence[str], system: ReadOnlySystem) -> int:
    """Return the exit code of a guard. Raises ApplyError, CannotManageError, OSError."""
    argv = argvs.located(argvs.words(declared), system)
    try:
        context, environment = _context(spec, system)
        limit = spec.timeout or _NO_LIMIT
        return system.query(argv, timeout=limit, environment=environment, context=context).code
    except FileNotFoundError as error:
        raise ApplyError(f"there is no directory {error.filename or spec.cwd}") from error


def run(spec: CommandSpec, system: System) -> None:
    """Run it until it succeeds, as often as it may be tried. Raises ApplyError, OSError."""
    argv = argvs.located(argvs.words(spec.argv or spec.name), system)
    context, environment = _context(spec, system)
    stdin = spec.stdin.encode(errors="surrogateescape")
    for left in range(spec.tries - 1, -1, -1):
        try:
            done = system.run(
                argv, timeout=spec.timeout or _NO_LIMIT, stdin=stdin,
                environment=environment, context=context,
            )  # fmt: skip
            _check(spec, done)
            return
        except ApplyError:
            if not left:
                raise
        _pause(spec.try_sleep)


def _check(spec: CommandSpec, done: Completed) -> None:
    if done.code in spec.returns:
        return
    if spec.sensitive:
        done = done.replace(out="", err="its output is sensitive")
    if done.code == 0:  # which is none of those that are wanted
        wanted = ", ".join(map(str, spec.returns))
        raise ApplyError(f"{os.path.basename(done.argv[0])}: exit 0, not {wanted}")
    done.check()


def _pause(seconds: float) -> None:
    """Sleep, but not on when the run is asked to stop."""
    import time

    end = time.monotonic() + seconds
    while not stopping.requested() and (left := end - time.monotonic()) > 0:
        time.sleep(min(left, 0.2))
    if stopping.requested():
        raise StoppedError("the run was asked to stop")


def obstacle(spec: CommandSpec, system: ReadOnlySystem) -> Unmanageable | None:
    """Say why it cannot be run as it is declared; None: nothing speaks against it."""
    try:
        _context(spec, system)
    except CannotManageError as error:
        return Unmanageable(reason=str(error.args[0]), remedy=error.remedy)
    except (ApplyError, OSError):
        return None  # an earlier wave may make the user; apply will say
    return None


def _context(spec: CommandSpec, system: ReadOnlySystem) -> tuple[Context, dict[str, str]]:
    """Return where and as whom it runs, and its variables. Raises ApplyError, CannotManageError."""
    context, account = identity.context(
        system, spec.user, spec.group, folder=spec.cwd, umask=int(spec.umask, 8)
    )
    return context, {**account, **spec.env}
