"""The command line as argparse reads it: help, and what is wrong with words that are not plain."""

from __future__ import annotations

import argparse
from functools import partial
from typing import TYPE_CHECKING, Any, NoReturn

from converge import __version__
from converge.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping


class Parser(argparse.ArgumentParser):
    """A parser that raises for wrong usage: the exit code is 1, as for all that could not run."""

    def error(self, message: str) -> NoReturn:
        raise UsageError(f"{message}", f"see `{self.prog} --help`")


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
