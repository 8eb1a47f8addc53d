"""Reading the words of a command line that are plainly right, without argparse (7 ms of every start).

The tables are argparse's own (converge.cli). Whatever is not plain (help, an abbreviation, a wrong
word) is left to argparse, so that there is one set of rules and of messages.
"""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from typing import Any

    Table = Mapping[str, Mapping[str, Any]]


class _NotPlainError(Exception):
    """Something for argparse."""


def read(
    words: Sequence[str],
    options: Callable[[Callable[..., object]], None],
    commands: Mapping[str, tuple[str, Table]],
) -> dict[str, Any] | None:
    """Return what argparse would, as a dict; None: argparse has to be asked."""
    table: dict[str, Mapping[str, Any]] = {}
    options(lambda name, **about: table.update({name: about}))
    try:
        return _Reading(words, table, commands).found
    except _NotPlainError:
        return None


class _Reading:
    """One reading; `found` is the result. Raises _NotPlainError."""

    def __init__(
        self, words: Sequence[str], table: Table, commands: Mapping[str, tuple[str, Table]]
    ) -> None:
        self.found: dict[str, Any] = {"command": None, "once": False}
        self._table, self._commands = table, commands
        self._own: Table = {}
        self._left = list(words)
        places: list[str] = []
        while self._left:
            word = self._left.pop(0)
            if word.startswith("-"):
                self._option(word)
            elif self.found["command"] is None:
                self._command(word)
            elif places:
                raise _NotPlainError  # argparse takes them only side by side
            else:
                places = [word, *self._following()]
        self._positional(places)

    def _following(self) -> list[str]:
        found = []
        while self._left and not self._left[0].startswith("-"):
            found.append(self._left.pop(0))
        return found

    def _command(self, word: str) -> None:
        if word not in self._commands or any(isinstance(v, list) for v in self.found.values()):
            raise _NotPlainError  # argparse forgets what was appended before the command
        self._own = self._commands[word][1]
        self.found["command"] = word
        for name, about in self._own.items():
            if "action" in about:
                self.found[_destination(name)] = False

    def _option(self, word: str) -> None:
        if word == "--once" and self.found["command"] is None:
            self.found["once"] = True
            return
        name, equals, value = word.partition("=")
        about = self._own.get(name) or self._table.get(name)
        if about is None:
            raise _NotPlainError
        place, action = _destination(name), about.get("action")
        if action == "store_true":
            if equals:
                raise _NotPlainError
            self.found[place] = True
        elif action == "append":
            self.found.setdefault(place, []).append(self._value(about, equals, value))
        else:
            self.found[place] = self._value(about, equals, value)

    def _value(self, about: Mapping[str, Any], equals: str, value: str) -> Any:
        if not equals:
            if not self._left or self._left[0].startswith("-"):
                if about.get("nargs") != "?":
                    raise _NotPlainError
                return about["const"]
            value = self._left.pop(0)
        try:
            found = about.get("type", str)(value)
        except ValueError:
            raise _NotPlainError from None
        if found not in about.get("choices", (found,)):
            raise _NotPlainError
        return found

    def _positional(self, places: list[str]) -> None:
        for name, about in self._own.items():
            if name.startswith("-"):
                if about.get("required") and _destination(name) not in self.found:
                    raise _NotPlainError
                continue
            if about.get("nargs") == "*":
                self.found[name], places = places, []
            elif places:
                self.found[name] = places.pop(0)
            elif about.get("nargs") == "?":
                self.found[name] = None
            else:
                raise _NotPlainError
        if places:
            raise _NotPlainError


def _destination(name: str) -> str:
    return name.lstrip("-").replace("-", "_")
