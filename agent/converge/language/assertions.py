"""Assertions: what a profile needs of the container and of its vars, checked before anything else."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from converge.errors import ConvergeError, Problem, ProfileError, close_match
from converge.record import Record

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from converge.language.template import Templates
    from converge.language.yamlfile import Document

PHASES = ("bake", "start", "run")
_KEYS = ("that", "message", "phase")
_FORM = "write `- that: EXPRESSION` and `message: WHAT IT MEANS`"


class Assertion(Record):
    """One item of `assert` as it was written: a condition, and what to say where it is false.

    `phase` are those in which it is asked; empty: in all.
    """

    that: Any
    message: str
    phase: tuple[str, ...]
    document: Document
    index: int

    def problem(self, message: str, remedy: str = "", key: str = "that") -> Problem:
        """Return a problem at the place of the assertion."""
        return self.document.problem(("assert", self.index, key), message, remedy)


def parse(document: Document, index: int, item: Any) -> tuple[Assertion | None, list[Problem]]:
    """Return an item of `assert`, and what is wrong with its shape."""
    place = ("assert", index)
    if not isinstance(item, dict):
        return None, [document.problem(place, "an assertion is a mapping", _FORM)]
    problems = [
        document.problem((*place, key), f"unknown key `{key}`", close_match(key, _KEYS) or _FORM)
        for key in item
        if key not in _KEYS
    ]
    if "that" not in item:
        problems.append(document.problem(place, "an assertion needs `that`", _FORM))
    elif not isinstance(item["that"], str | bool):
        problems.append(document.problem((*place, "that"), "`that` is an expression, a string"))
    message = item.get("message", "")
    if not isinstance(message, str):
        problems.append(document.problem((*place, "message"), "`message` is a text"))
    phase = item.get("phase", [])
    phases = phase if isinstance(phase, list) else [phase]
    if not all(one in PHASES for one in phases) or ("phase" in item and not phases):
        words = f"`phase` is one of {', '.join(PHASES)}, or a list of them"
        problems.append(document.problem((*place, "phase"), words))
    if problems:
        return None, problems
    return Assertion(
        that=item["that"], message=message, phase=tuple(phases), document=document, index=index
    ), []


def enforce(
    assertions: Iterable[Assertion],
    templates: Templates,
    names: Mapping[str, Any],
    unmet: list[Problem] | None,
) -> None:
    """Raise ProfileError with all that do not hold or cannot be decided.

    A list `unmet` takes those that do not hold, which then are no error.
    """
    wrong: list[Problem] = []
    failed = wrong if unmet is None else unmet
    for assertion in assertions:
        try:
            if not templates.condition(assertion.that, names):
                failed.append(_unmet(assertion, templates, names))
        except ConvergeError as error:
            wrong.append(assertion.problem(f"the assertion cannot be decided: {error}"))
    if wrong:
        raise ProfileError(wrong)


def _unmet(assertion: Assertion, templates: Templates, names: Mapping[str, Any]) -> Problem:
    if not assertion.message:
        return assertion.problem(f"the profile asserts `{assertion.that}`, which is false here")
    try:
        message = str(templates.value(assertion.message, names))
    except ConvergeError as error:
        message = f"{assertion.message} [the message cannot be rendered: {error}]"
    return assertion.problem(message.strip(), f"`{assertion.that}` is false here")
