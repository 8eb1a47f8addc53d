"""Custom facts: what a site knows of its containers, from files in /etc/converge/facts.d.

`NAME.json`, `NAME.yaml` and `NAME.yml` are read; any other file is run, and prints JSON. Each only
when a profile uses `facts.custom.NAME`. All must be trusted as a profile must (converge.files.trust).
"""

from __future__ import annotations

import os

from converge.errors import ConvergeError, MissingError, ProfileError
from converge.facts.noted import Noted
from converge.files import trust
from converge.jsontext import no_number

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

LIMIT = 1 << 20  # bytes of a file, and of what a program prints
DEADLINE = 10.0  # seconds that a program may take
_DATA = (".json", ".yaml", ".yml")


class CustomFacts(Noted):
    """The custom facts by name; `paths` are the files of those that were asked for."""

    def __init__(self, folder: str) -> None:
        super().__init__()
        self.folder = folder
        self.paths: list[str] = []
        self._files: dict[str, list[str]] | None = None
        self._values: dict[str, Any] = {}

    def missing(self, name: str) -> str:
        """Return where the fact is missing."""
        return f"there is no custom fact `{name}`: no file {self.folder}/{name}.*"

    def _names(self) -> list[str]:
        return sorted(self._found())

    def _found(self) -> dict[str, list[str]]:
        if self._files is None:
            self._files = {}
            for file in _entries(self.folder):
                name = file.partition(".")[0]
                if name and not file.endswith("~"):
                    self._files.setdefault(name, []).append(os.path.join(self.folder, file))
        return self._files

    def _find(self, name: str) -> bytes:
        path, *others = self._found()[name]
        self.paths += [path, *others]
        try:
            if others:
                raise ConvergeError(f"there is {others[0]}, too", "keep one of them")
            return _content(path)
        except ConvergeError as error:
            raise _named(name, path, error) from error

    def _value(self, name: str, raw: bytes) -> Any:
        if name not in self._values:
            path = self._found()[name][0]
            try:
                self._values[name] = _parsed(path, raw)
            except ConvergeError as error:
                raise _named(name, path, error) from error
        return self._values[name]


def _entries(folder: str) -> list[str]:
    try:
        return sorted(os.listdir(trust.directory(folder))) if folder else []
    except MissingError:
        return []
    except OSError as error:
        raise ConvergeError(f"{folder} cannot be read: {error.strerror}") from error


def _named(name: str, path: str, error: ConvergeError) -> ConvergeError:
    return ConvergeError(f"the fact `custom.{name}` of {path}: {error.args[0]}", error.remedy)


def _content(path: str) -> bytes:
    """Return what a file holds, or what it prints where it is a program."""
    if path.endswith(_DATA):
        return trust.read(path, LIMIT)[1]
    real = trust.program(path)
    if not os.access(real, os.X_OK):
        raise ConvergeError(
            "it cannot be run", f"chmod +x {path}, or give its name .json or .yaml at the end"
        )
    from converge.programs import process

    return process.run([real], timeout=DEADLINE, most=LIMIT).check().out.encode()


def _parsed(path: str, raw: bytes) -> Any:
    from converge.language.plain import NotPlainError, plain

    if path.endswith((".yaml", ".yml")):
        from converge.language import yamlfile

        try:
            return yamlfile.load(raw, path).data
        except ProfileError as error:
            raise ConvergeError(str(error.problems[0])) from error
    try:
        return plain(_json(raw))
    except NotPlainError as error:
        raise ConvergeError(str(error)) from error


def _json(raw: bytes) -> Any:
    import json

    try:
        return json.loads(raw, parse_constant=no_number, object_pairs_hook=_no_twins)
    except json.JSONDecodeError as error:
        place = f"line {error.lineno}, column {error.colno}"
        raise ConvergeError(f"not JSON: {error.msg} ({place})", "print one JSON value") from error
    except (ValueError, RecursionError) as error:
        raise ConvergeError(f"not JSON: {error}") from error


def _no_twins(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        raise ValueError("a key is there twice")
    return found
