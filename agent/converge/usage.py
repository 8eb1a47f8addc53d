"""The command line as argparse reads it: help, and what is wrong with words that are not plain."""

from __future__ import annotations

import argparse
import re
from functools import partial
from typing import TYPE_CHECKING, Any, NoReturn

from converge import __version__
from converge.errors import UsageError, close_match

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping


_ELSEWHERE = {  # words of other systems, and of habit
    **dict.fromkeys(("apply", "run", "once", "up", "converge"), "converge --once"),
    **dict.fromkeys(("check", "diff", "test", "dry-run", "noop"), "converge plan"),
    **dict.fromkeys(("--check", "--dry-run", "--diff", "--test", "-n"), "converge plan"),
    **dict.fromkeys(("lint", "parser", "syntax-check"), "converge validate"),
    **dict.fromkeys(("agent", "daemon", "start"), "converge, without a command"),
    **dict.fromkeys(("show", "report"), "converge status"),
    **dict.fromkeys(("version", "-V"), "converge --version"),
    **dict.fromkeys(("help", "-?"), "converge --help"),
    **dict.fromkeys(("-e", "--extra-vars"), "--var NAME=VALUE"),
    **dict.fromkeys(("-t",), "--tags TAG,…"),
    "resource": "converge adopt",
}


class Parser(argparse.ArgumentParser):
    """A parser that raises for wrong usage: the exit code is 1, as for all that could not run."""

    def error(self, message: str) -> NoReturn:
        choice = re.match(r"argument COMMAND: invalid choice: '(.*)' \(choose from (.*)\)", message)
        more, _, unknown = message.partition("unrecognized arguments: ")
        remedy = ""
        if choice:
            message = f"there is no command `{choice[1]}`"
            remedy = _meant(choice[1], re.findall(r"[\w-]+", choice[2]))
        elif unknown and not more:
            shown = self._option_string_actions.items()
            options = [name for name, about in shown if about.help != argparse.SUPPRESS]
            remedy = _meant(unknown.split()[0], options)
        raise UsageError(message, remedy or f"see `{self.prog} --help`")


def _meant(word: str, known: list[str]) -> str:
    """Return what was meant by a word that is not known here, or ""."""
    if word in _ELSEWHERE:
        return f"write `{_ELSEWHERE[word]}`"
    if word.endswith((".yaml", ".yml")) and not word.startswith("-"):
        return f"a profile is named by `--profile {word}`"
    return close_match(word, known)


def _add(common: argparse.ArgumentParser, name: str, **about: Any) -> None:
    if about["help"] == argparse.SUPPRESS:
        about["help"] = argparse.SUPPRESS  # which argparse knows by identity
    common.add_argument(name, **about)


def parser(
    options: Callable[[Callable[..., object]], None],
    commands: Mapping[str, tuple[str, Mapping[str, Mapping[str, Any]]]],
    epilog: str,
) -> argparse.ArgumentParser:
    """Return the parser of the whole command line; the tables are those of converge.cli."""
    common = Parser(add_help=False, argument_default=argparse.SUPPRESS)
    options(partial(_add, common))  # that every command takes, before or after its name
    top = Parser(
        prog="converge",
        parents=[common],
        epilog=epilog,
        description="Keep a container as its profile declares it.",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    top.add_argument("--version", action="version", version=f"converge {__version__}")
    top.add_argument("--once", action="store_true", help="converge once and exit")
    found = top.add_subparsers(dest="command", metavar="COMMAND", title="commands")
    for name, (text, arguments) in commands.items():
        command = found.add_parser(name, help=text, description=text, parents=[common])
        for argument, about in arguments.items():
            command.add_argument(argument, **about)
    return top
