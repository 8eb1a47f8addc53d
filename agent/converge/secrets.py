"""Secrets by reference: where a value is to be had, and that it is never shown once it was.

A profile says `{ env: NAME }`, `{ file: /run/secrets/x }` or `{ command: [program, …] }` where a kind
takes a secret (the type `Secret` of converge.fields). The catalog holds the reference. A run fills
it in, in the process that does the run, just before the resource is inspected; so providers meet
plain text, as a `Concealed` string. Every value that was had is masked wherever text leaves the process.

Imported only where a profile has secrets.
"""

from __future__ import annotations

import os
import sys

from converge import jsontext, textdiff
from converge.errors import ConvergeError
from converge.language.secret_references import Concealed, filled

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from types import TracebackType
    from typing import Any

    from converge.provider import Spec
    from converge.system import ReadOnlySystem

_LIMIT = 1 << 20  # bytes of a secret
_SHORTEST = 4  # characters; a shorter value would mask half of every text
_SHORTEST_LINE = 8  # of one of several lines
_PATIENCE = 60.0  # seconds that a program may take


class SecretError(ConvergeError):
    """A secret cannot be had, or is not what the resource takes. Fails that resource alone."""


class Secrets:
    """Fills in references, for one run. A program is asked once, the rest each time."""

    def __init__(self) -> None:
        self._answers: dict[str, bytes] = {}

    def fill(self, spec: Spec, system: ReadOnlySystem) -> Spec:
        """Return a spec with the values of its secrets. Raises ConvergeError, OSError."""
        plain = {
            name: filled(value, lambda found, n=name: self._text(found, system, spec, n))
            for name, value in spec.as_dict().items()
        }
        made = type(spec)(**plain)
        for attribute, problem in made.problems():
            raise SecretError(f"the secret in `{attribute}`: {problem}")
        return made

    def _text(self, reference: dict[str, Any], system: ReadOnlySystem, spec: Spec, at: str) -> str:
        value = self._value(reference, system)
        text = value.decode(errors="surrogateescape")
        if at not in spec.whole_secrets:
            text = text.removesuffix("\n").removesuffix("\r")
        if not text:
            raise SecretError(f"the secret {_about(reference)} is empty")
        conceal(text)
        return Concealed(text)

    def _value(self, reference: dict[str, Any], system: ReadOnlySystem) -> bytes:
        ((source, where),) = reference.items()
        if source == "env":
            return _from_environment(where)
        if source == "file":
            return _from_file(where)
        key = repr(where)
        if key not in self._answers:
            self._answers[key] = _from_program(where, system)
        return self._answers[key]


def conceal(text: str) -> None:
    """Mask a value, and each of its lines, in whatever leaves this process from now on."""
    _guard_process()
    lines = [line.strip() for line in text.splitlines()]
    found = [text.strip(), *(line for line in lines if len(line) >= _SHORTEST_LINE)]
    textdiff.mask(form for value in found if len(value) >= _SHORTEST for form in _forms(value))


def _forms(value: str) -> Iterator[str]:
    """Yield a value as it is, and as it is spelled where it is quoted or escaped."""
    yield value
    yield textdiff.escaped(value)
    yield repr(str(value))[1:-1]
    yield repr(value.encode(errors="surrogateescape"))[2:-1]
    yield jsontext.dumps(value)[1:-1]


def _about(reference: Mapping[str, Any]) -> str:
    ((source, where),) = reference.items()
    return f"{source}: {where if isinstance(where, str) else where[0]}"


def _from_environment(name: str) -> bytes:
    value = os.environb.get(name.encode())
    if value is None:
        raise SecretError(
            f"the secret env: {name} is not in the agent's environment",
            f"start the container with it (`--env {name}`)",
        )
    return value


def _from_file(path: str) -> bytes:
    """Read a file of the agent's own side, whatever `--root` is, that nobody else could change."""
    from converge.files import trust

    try:
        return trust.read(path, _LIMIT)[1]
    except ConvergeError as error:
        raise SecretError(f"the secret file: {error.args[0]}", error.remedy) from error


def _from_program(argv: list[str], system: ReadOnlySystem) -> bytes:
    """Return what a program prints; what it says of a failure is not repeated: it may be the secret."""
    program = argv[0] if argv[0].startswith("/") else system.which(argv[0])
    if program is None:
        raise SecretError(f"the secret command: {argv[0]}: there is no such program")
    done = system.query([program, *argv[1:]], timeout=_PATIENCE)
    if done.code != 0:
        how = f"exit {done.code}" if done.code > 0 else f"ended by signal {-done.code}"
        raise SecretError(f"the secret command: {argv[0]}: {how}", "run it by hand to see why")
    return done.out.encode(errors="surrogateescape")


_guarded = False


def _guard_process() -> None:
    """Keep what is in memory out of core dumps, other processes' sight, and tracebacks."""
    global _guarded  # noqa: PLW0603  once a process
    if _guarded:
        return
    _guarded = True
    import resource

    from converge.daemon import kernel

    _, most = resource.getrlimit(resource.RLIMIT_CORE)
    resource.setrlimit(resource.RLIMIT_CORE, (0, most))
    kernel.hide_memory()
    sys.excepthook = _print_exception


def _print_exception(
    kind: type[BaseException], error: BaseException, trace: TracebackType | None
) -> None:
    import traceback

    text = "".join(traceback.format_exception(kind, error, trace))
    sys.stderr.write(textdiff.masked(text))
