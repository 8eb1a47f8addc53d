"""Arguments → calls; no logic."""

from __future__ import annotations

import os
import sys

from converge import words as plain_words
from converge.errors import ConvergeError, UsageError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from argparse import ArgumentParser
    from collections.abc import Callable, Sequence
    from typing import Any, NoReturn

_HIDDEN = "==SUPPRESS=="  # argparse.SUPPRESS
_OWN = ("sources", "kind", "resource", "attribute", "reason", "start_only")  # of one command alone
_EPILOG = """exit codes: 0 converged; 1 could not run, nothing touched; 2 changes were made
(--detailed-exitcodes) or drift was found (plan); 4 some resources failed or cannot be managed
here; 6 both. Every option is also a setting in /etc/converge/agent.yaml and a variable
CONVERGE_* of the environment (option > environment > file)."""


# Each command: what it does, and its own arguments.
_COMMANDS: dict[str, tuple[str, dict[str, dict[str, Any]]]] = {
    "plan": ("show what a run would change; exit 2 if it would change something", {}),
    "bake": ("converge an image, in a Dockerfile: RUN converge bake", {}),
    "facts": ("show what the agent knows of this container", {}),
    "status": ("show the last run, the next one and the resident agent", {}),
    "health": (
        "tell whether the container is converged, lately, with nothing unresolved: exit 0",
        {"--start-only": {
            "action": "store_true",
            "help": "as an image's health check: the run may be old where no agent was asked to stay",
        }},
    ),
    "trigger": ("ask the resident agent for a run now", {}),
    "pause": (
        "keep the resident agent from repairing anything, until `resume`",
        {"--reason": {"required": True, "help": "why, for those who look at the status"}},
    ),
    "resume": ("go on repairing drift after `pause`", {}),
    "exec": (
        "converge, leave the agent beside, become a command: converge exec -- COMMAND …", {}
    ),
    "validate": (
        "check profiles; nothing is touched", {"sources": {"nargs": "*", "metavar": "PROFILE"}}
    ),
    "schema": ("print the JSON schema of the profile language", {}),
    "kinds": (
        "list the kinds of resources, or describe one", {"kind": {"nargs": "?", "metavar": "KIND"}}
    ),
    "bundle": ("make, sign and verify bundles of profiles: converge bundle --help", {}),
    "fleet": ("show how many containers stand: converge fleet --help", {}),
    "adopt": ("write what is there as a profile: converge adopt --help", {}),
    "explain": (
        "tell where a resource or a var comes from, what it waits for and how it is",
        {
            "resource": {"metavar": "KIND:NAME", "help": "or var:NAME"},
            "attribute": {"nargs": "?", "metavar": "ATTRIBUTE", "help": "this one alone"},
        },
    ),
}  # fmt: skip


def options(add: Callable[..., object]) -> None:
    """Call `add`, as argparse's add_argument, for each option of every command."""
    add("--profile", metavar="FILE", help="the profile (/etc/converge/profile.yaml)")
    add("--root", metavar="DIR", help="treat DIR as the root of the file system")
    add("--var", metavar="NAME=VALUE", action="append", help="set a var of the profile")
    add("--tags", metavar="TAG,…", help="only resources that have one of these tags")
    add("--phase", choices=("bake", "start", "run"), help="of which phase the run is (start)")
    add("--noop", action="store_true", help="change nothing (a dry run)")
    add("--json", action="store_true", help="print the report as JSON")
    add("--detailed-exitcodes", action="store_true", help="exit 2 when something was changed")
    add("--color", choices=("auto", "always", "never"), help="colours (auto)")
    add("--full", action="store_true", help="read also what looks as it did when it was right")
    add("--quiet", action="store_true", help="print only what failed")
    add("--verbose", action="store_true", help="facts: show the values of the environment, too")
    add(
        "--wait",
        type=float,
        nargs="?",
        const=0.0,
        metavar="SECONDS",
        help="wait for another run to end (0 s); with trigger: for the report",
    )
    add("--allow-deletions", type=int, metavar="N", help="deletions allowed in one run (50)")
    add("--state-dir", metavar="DIR", help="where state is kept (/var/lib/converge)")
    add("--interval", type=float, metavar="SECONDS", help="time between two runs (1800)")
    add("--deadline", type=float, metavar="SECONDS", help="the longest that a run may take (3600)")
    add("--events", choices=("on", "off"), help="repair at once what drifts (on)")
    add("--log-format", choices=("logfmt", "json"), help="of the resident agent's log (logfmt)")
    add("--log-to", choices=("stderr", "syslog"), help="where the resident agent logs to (stderr)")
    add("--metrics-listen", metavar="ADDRESS", help="loopback HOST:PORT or unix:/PATH for metrics")
    add("--ready-fd", type=int, help=_HIDDEN)
    add("--beside", type=int, help=_HIDDEN)
    add("--runtime-dir", metavar="DIR", help="where the lock is (/run/converge)")


def parser() -> ArgumentParser:
    """Return the parser of the whole command line, which words help and what is wrong."""
    from converge import usage

    return usage.parser(options, _COMMANDS, _EPILOG)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a command line and return its exit code."""
    os.umask(0o077)
    _open_missing_streams()
    words = list(sys.argv[1:] if arguments is None else arguments)
    code = 0
    try:
        code = _dispatch(words)
        _flush()
    except ConvergeError as error:
        from converge.commands import print_error

        print_error(error, as_json="--json" in words)
        return 1
    except BrokenPipeError:  # nobody reads it to its end: the run was what it was
        from converge.reports.output import silence

        silence(sys.stdout)
    except KeyboardInterrupt:
        return 130
    return code


def _flush() -> None:
    try:
        sys.stdout.flush()
    except BrokenPipeError:
        raise
    except OSError as error:
        from converge.reports.output import lose

        lose(sys.stdout, error)


def parse(words: list[str]) -> dict[str, Any]:
    """Return what a command line says, by name. Raises UsageError."""
    return plain_words.read(words, options, _COMMANDS) or vars(parser().parse_args(words))


def _dispatch(words: list[str]) -> int:
    if words[:1] == ["bundle"]:
        from converge.bundle import command as bundles

        return bundles.main(words[1:])
    if words[:1] == ["adopt"]:
        from converge.adoption import command as adoption

        return adoption.main(words[1:])
    if words[:1] == ["fleet"]:
        from converge.fleet import command as fleet

        return fleet.main(words[1:])
    from converge import commands, config

    given = parse(words)
    command, run_once = given.pop("command"), given.pop("once")
    own: dict[str, Any] = {name: given.pop(name) for name in _OWN if name in given}
    if "var" in given:
        given["vars"] = dict(config.parse_var(text) for text in given.pop("var"))
    if "tags" in given:
        given["tags"] = tuple(tag for tag in given["tags"].split(",") if tag)
    if command and run_once:
        raise UsageError(f"--once and `{command}` are two commands", "give one of them")
    left = {"ready": given.pop("ready_fd", -1), "beside": given.pop("beside", 0)}
    if command in ("adopt", "bundle", "exec", "fleet"):
        raise UsageError(f"`{command}` is the first word", f"converge {command} …")
    if command == "trigger":
        own["wait"] = given.pop("wait", None) is not None
    if not command and not run_once:
        _stay(given, **left)
    settings = config.load(given, os.environ)
    action = getattr(commands, "once" if run_once else command)
    code: int = action(settings, **own)
    return code


def _stay(options: dict[str, Any], **left: int) -> NoReturn:
    """Become the resident agent."""
    from converge import resident

    if options.get("noop") or options.get("json"):
        raise UsageError("the resident agent has no --noop and no --json", "use `converge plan`")
    resident.become(options, **left)


def _open_missing_streams() -> None:
    """Give a closed stdin, stdout or stderr (`>&-`) a place, which takes its number."""
    if sys.stdin is None:  # else a directory of ours gets 0, which a program's stdin takes from it
        os.open(os.devnull, os.O_RDONLY)
    for name in ("stdout", "stderr"):
        if getattr(sys, name) is None:
            setattr(sys, name, open(os.devnull, "w", encoding="utf-8"))  # noqa: SIM115  for good
        getattr(sys, name).reconfigure(errors="backslashreplace")
