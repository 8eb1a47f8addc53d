"""The settings of the agent: a flag beats the environment, which beats /etc/converge/agent.yaml.

Every setting has one name: `allow_deletions` is `--allow-deletions`, `CONVERGE_ALLOW_DELETIONS`
and a key of the file. Other variables that begin with CONVERGE_ are left alone: Kubernetes makes
some for every service (CONVERGE_PORT, CONVERGE_SERVICE_HOST).
"""

from __future__ import annotations

import os

from converge.errors import Problem, UsageError
from converge.jsontext import no_number
from converge.record import Record
from converge.setting_checks import CHECKS, PATHS, is_var

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Any

FILE = "/etc/converge/agent.yaml"
PREFIX = "CONVERGE_"
_VAR_PREFIX = "CONVERGE_VAR_"
_WORDS = {
    **dict.fromkeys(("1", "true", "yes", "on"), True),
    **dict.fromkeys(("0", "false", "no", "off"), False),
}


class Settings(Record):
    """Every setting with its default. Sizes are in bytes, times in seconds unless the name says."""

    profile: str = "/etc/converge/profile.yaml"
    root: str = "/"
    state_dir: str | None = None
    runtime_dir: str | None = None
    facts_dir: str = "/etc/converge/facts.d"
    vars: Mapping[str, Any] = {}
    noop: bool = False
    phase: str | None = None
    tags: tuple[str, ...] = ()
    json: bool = False
    detailed_exitcodes: bool = False
    color: str = "auto"
    quiet: bool = False
    verbose: bool = False
    full: bool = False
    wait: float = 0.0
    allow_deletions: int = 50
    backup_bytes: int = 64 << 20
    backup_days: int = 90
    interval: float = 1800.0
    splay: bool = True
    deadline: float = 3600.0
    events: str = "on"
    poll: float = 10.0
    log_format: str = "logfmt"
    log_to: str = "stderr"
    metrics_listen: str | None = None
    resident: bool = False
    bundle_name: str | None = None
    keys: tuple[str, ...] = ()
    threshold: int = 1
    unsigned: bool = False
    groups: tuple[str, ...] = ()
    ca_file: str | None = None
    client_certificate: str | None = None
    client_key: str | None = None
    token_file: str | None = None
    redirects: tuple[str, ...] = ()
    report_to: tuple[str, ...] = ()
    report_token_file: str | None = None


def load(
    flags: Mapping[str, Any], environment: Mapping[str, str], file: str | None = FILE
) -> Settings:
    """Return the settings; a flag or variable that is None or empty is not given.

    `flags` has the names of Settings; `file` may be missing. Raises UsageError with everything that
    is wrong and where it came from, UntrustedError if somebody else could change the file.
    """
    found, problems = _from_file(file) if file else ({}, [])
    variables: dict[str, Any] = dict(found.get("vars", {}))
    for given, trouble in (_from_environment(environment), _from_flags(flags)):
        variables |= given.pop("vars", {})
        found |= given
        problems += trouble
    if problems:
        raise UsageError("\n".join(str(problem) for problem in problems))
    settings = Settings(**{**found, "vars": variables})
    if settings.color == "auto" and environment.get("NO_COLOR"):  # https://no-color.org
        settings = settings.replace(color="never")
    return settings


def var_sources(
    settings: Settings, environment: Mapping[str, str], file: str = FILE
) -> dict[str, list[tuple[str, Any]]]:
    """Return the values that were given to each var, weak to strong, each after its place.

    A place is the path of the settings, the name of an environment variable, or `--var NAME`.
    """
    sources: dict[str, list[tuple[str, Any]]] = {}
    for name, value in _from_file(file)[0].get("vars", {}).items():
        sources[name] = [(file, value)]
    for name, value in _from_environment(environment)[0]["vars"].items():
        sources.setdefault(name, []).append((_VAR_PREFIX + name, value))
    for name, value in settings.vars.items():
        known = sources.setdefault(name, [])
        if not known or known[-1][1] != value:
            known.append((f"--var {name}", value))
    return sources


def is_remote(profile: str) -> bool:
    """Tell whether a profile is a URL (converge.sources), not a path."""
    scheme, colon, _ = profile.partition("://")
    return bool(colon) and scheme.isidentifier()


def parse_var(text: str) -> tuple[str, Any]:
    """Return name and value of `name=value`: JSON if it is that (a number, true, a list), or text.

    Raises UsageError.
    """
    import json

    name, equals, value = text.partition("=")
    if not equals or not is_var(name):
        raise UsageError(
            f"--var {text!r} is not NAME=VALUE", "a name has letters, digits and underscores"
        )
    try:
        return name, json.loads(value, parse_constant=no_number)
    except (ValueError, RecursionError):
        return name, value


def _from_file(file: str) -> tuple[dict[str, Any], list[Problem]]:
    if not os.path.lexists(file):
        return {}, []
    from converge.files import trust
    from converge.language import yamlfile

    real, text = trust.read(file)
    document = yamlfile.load(text, real)
    data = {} if document.data is None else document.data
    if not isinstance(data, dict):
        return {}, [Problem(message="the settings must be a mapping of names to values", file=real)]
    found, problems = {}, []
    for name, value in data.items():
        line, column = document.place((name,))
        try:
            if name not in CHECKS:
                raise ValueError(f"there is no setting `{name}`{_close(str(name))}")
            found[name] = CHECKS[name](value)
        except ValueError as error:
            known = str(name) if name in CHECKS else ""
            problems.append(
                Problem(message=str(error), file=real, line=line, column=column, resource=known)
            )
    return found, problems


def _close(name: str) -> str:
    import difflib

    close = difflib.get_close_matches(name.replace("-", "_"), CHECKS, 1)
    return f"; did you mean `{close[0]}`?" if close else ""


def _from_environment(environment: Mapping[str, str]) -> tuple[dict[str, Any], list[Problem]]:
    found: dict[str, Any] = {"vars": {}}
    problems = []
    for variable, text in environment.items():
        if not variable.startswith(PREFIX):
            continue
        name = variable.removeprefix(PREFIX).lower()
        try:
            if variable.startswith(_VAR_PREFIX):
                found["vars"] |= CHECKS["vars"]({variable.removeprefix(_VAR_PREFIX): text})
            elif name in CHECKS and name != "vars" and variable == PREFIX + name.upper() and text:
                found[name] = CHECKS[name](_converted(name, text))
        except ValueError as error:
            problems.append(Problem(message=str(error), file=variable))
    return found, problems


def _converted(name: str, text: str) -> Any:
    """Return the text of a variable as the type that its setting has, or as it is."""
    kind = type(getattr(Settings, name))
    if kind is bool:
        return _WORDS.get(text.lower(), text)
    if kind in (int, float):
        try:
            return kind(text)
        except ValueError:
            return text
    return text


def _from_flags(flags: Mapping[str, Any]) -> tuple[dict[str, Any], list[Problem]]:
    found, problems = {}, []
    for name, value in flags.items():
        if value is None:
            continue
        if name in PATHS and isinstance(value, str) and value:
            value = os.path.abspath(value)
        try:
            found[name] = CHECKS[name](value)
        except ValueError as error:
            flag = "--var" if name == "vars" else "--" + name.replace("_", "-")
            problems.append(Problem(message=str(error), file=flag))
    return found, problems
