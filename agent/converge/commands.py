"""What each command does. Each takes the settings and returns an exit code."""

from __future__ import annotations

import sys

from converge import stopping
from converge.errors import ConvergeError, MissingError, Problem, ProfileError, UsageError
from converge.reports.output import Painter, print_report
from converge.textdiff import escaped

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import Any

    from converge.config import Settings


def once(settings: Settings) -> int:
    """Converge once (with `noop`: only show what that would change)."""
    from converge import runner

    if settings.noop:
        report = runner.dry_run(settings)
    else:
        stopping.on_signals()
        report = _delivered(settings) if settings.report_to else runner.once(settings)
    _show(report, settings)
    return int(report["exit_code"])


def _delivered(settings: Settings) -> dict[str, Any]:
    from converge import delivery, runner

    return delivery.around(settings, lambda: runner.once(settings))


def bake(settings: Settings) -> int:
    """Converge what is of the image, and leave in it what makes the first start cheap."""
    return once(settings.replace(phase="bake", report_to=()))


def plan(settings: Settings) -> int:
    """Show what a run would change."""
    return once(settings.replace(noop=True))


def validate(settings: Settings, sources: Sequence[str]) -> int:
    """Check profiles without touching anything; all problems of all of them are shown.

    An assertion that does not hold here is only a warning: the profile may be for elsewhere.
    """
    from converge import loading
    from converge.system import System

    problems: list[Problem] = []
    unmet: list[Problem] = []
    notes: list[str] = []
    for source in sources or [settings.profile]:
        own, system = settings.replace(profile=source), System(settings.root)
        try:
            catalog = loading.check(own, system, _read, unmet)
        except ProfileError as error:
            problems += error.problems
        else:
            notes += loading.told(catalog)
            if not settings.json and not settings.quiet:
                count = len(catalog.resources)
                _say(f"{source}: {count} resource{'s' * (count != 1)}, no problems")
    for problem in () if settings.json else (*unmet, *notes):
        print(f"warning: {escaped(str(problem))}", file=sys.stderr)
    if problems:
        raise ProfileError(problems)
    if settings.json:
        plain = [problem.as_dict() for problem in unmet]
        _print_json({"version": 1, "problems": [], "unmet": plain, "notes": notes})
    return 0


def _read(path: str) -> tuple[str, bytes]:
    """Read a profile that is only checked, whoever may change it."""
    import os

    try:
        with open(path, "rb") as file:
            return os.path.realpath(path), file.read()
    except (FileNotFoundError, NotADirectoryError) as error:
        raise MissingError(f"there is no {path}") from error
    except OSError as error:
        remedy = "name a file in it" if isinstance(error, IsADirectoryError) else ""
        raise UsageError(f"{path}: {error.strerror}", remedy) from error


def schema(_settings: Settings) -> int:
    """Print the JSON schema of the profile language, plug-ins included."""
    from converge import kinds as all_kinds
    from converge.language.schema import profile_schema

    _print_json(profile_schema(all_kinds.names()))
    return 0


def kinds(settings: Settings, kind: str | None) -> int:
    """List the kinds, or describe the attributes of one."""
    from converge.language import reference

    if settings.json:
        _print_json(reference.plain(kind))
    else:
        _say(reference.text(kind))
    return 0


def facts(settings: Settings) -> int:
    """Show the facts; the environment's values may be secrets and are shown by --verbose only.

    Custom facts that cannot be had are told on stderr: exit 1.
    """
    from converge import loading
    from converge.facts import text as facts_text
    from converge.system import System

    asked = loading.facts_of(settings, System(settings.root))
    found, errors = facts_text.gather(asked, hidden=not settings.verbose)
    if settings.json:
        _print_json(found)
    else:
        for line in facts_text.outline(found):
            _say(line)
    for error in errors:
        print(f"converge: {escaped(str(error))}", file=sys.stderr)
    return 1 if errors else 0


def status(settings: Settings) -> int:
    """Show the last run, the next, and what stands unresolved. Exit 1 if there was no run."""
    from converge.reports import standing_text

    found = standing_text.gather(settings)
    if settings.json:
        _print_json(found)
    else:
        for line in standing_text.lines(found):
            _say(line)
        print_report(found["report"] | {"error": ""}, settings)  # which is among the lines
    return 0


def health(settings: Settings, *, start_only: bool = False) -> int:
    """Exit 0 only if the container is converged, lately, with nothing unresolved."""
    from converge import health as asked

    return asked.show(asked.check(settings, start_only=start_only), settings)


def trigger(settings: Settings, *, wait: bool) -> int:
    """Ask the resident agent for a run now; with `wait` print its report and take its exit code."""
    from converge import client
    from converge.state import directory as states

    reply = client.ask(settings, "trigger wait" if wait else "trigger", wait=wait)
    if not wait:
        return 0
    state = states.find(settings.state_dir, settings.root, create=False)
    report = state.last_report() if state else None
    if state and report and report["id"] != reply.get("run"):
        report = state.report(reply.get("run", ""))
    if report:
        _show(report, settings)
    elif not settings.quiet:
        _say("the run left no report; see the agent's log")
    return int(reply.get("code", "1"))


def pause(settings: Settings, *, reason: str) -> int:
    """Keep the resident agent from repairing anything until `resume`."""
    from converge import client

    if not reason.strip() or "\n" in reason:
        raise UsageError("--reason must be one line of text")
    reply = client.ask(settings, f"pause {reason}")
    if reply.get("message"):
        _say(reply["message"])
    return 0


def resume(settings: Settings) -> int:
    """Let the resident agent go on; it runs at once."""
    from converge import client

    reply = client.ask(settings, "resume")
    if reply.get("message"):
        _say(reply["message"])
    return 0


def explain(settings: Settings, resource: str, attribute: str | None = None) -> int:
    """Tell where a resource, one of its attributes or a var comes from, and how it is now."""
    from converge.explain import explanation
    from converge.explain import text as explanation_text

    painter = Painter(settings.color, sys.stdout)
    kind, _, name = resource.partition(":")
    is_var = kind == "var"
    if is_var and attribute:
        raise UsageError("a var has no attributes", f"converge explain {resource}")
    found = (
        explanation.explain_var(settings, name)
        if is_var
        else explanation.explain(settings, resource, attribute)
    )
    if settings.json:
        _print_json(found)
    elif is_var:
        explanation_text.print_var(found, painter)
    else:
        explanation_text.print_resource(found, painter, attribute)
    return 0


def print_error(error: ConvergeError, *, as_json: bool) -> None:
    """Print what went wrong: every problem of a profile on a line of its own."""
    problems = list(error.problems) if isinstance(error, ProfileError) else []
    if as_json:
        plain = [problem.as_dict() for problem in problems]
        _print_json({"version": 1, "error": str(error), "problems": plain, "exit_code": 1})
        return
    for text in [str(problem) for problem in problems] or [f"converge: {error}"]:
        print(escaped(text, keep="\n"), file=sys.stderr)
    if problems:
        noun = "problem" if len(problems) == 1 else "problems"
        print(f"converge: {len(problems)} {noun}; nothing was touched", file=sys.stderr)


def _show(report: dict[str, Any], settings: Settings) -> None:
    if settings.json:
        _print_json(report)
    else:
        print_report(report, settings)


def _print_json(data: Any) -> None:
    import json

    _say(json.dumps(data, indent=2, ensure_ascii=True))


def _say(text: str) -> None:
    Painter("never", sys.stdout).line(text)
