"""Regular expressions of a profile: Python's `re`, which no pattern makes hang here (ADR 0010).

A backtracking engine takes for ever over `(a+)+$` and 50 times `a`. So what is matched is lines of
limited length, and the whole search has a limit of processor time: the kernel's timer interrupts
it, as `re` looks for signals while it matches. For the main thread, where providers run.
"""

from __future__ import annotations

from converge_resources.parts.texts import EditError

TYPE_CHECKING = False
if TYPE_CHECKING:
    import re
    from collections.abc import Iterator, Sequence

MOST_PATTERN = 1000  # characters
MOST_LINE = 16 << 10  # characters; `re` looks for signals only every 4,096 steps of up to this
_SECONDS = 0.5  # of processor time, for a small text
_RATE = 4 << 20  # characters of a text that a decent pattern gets through in a second


class PatternError(EditError):
    """A pattern that takes too long, or a line that is too long to be matched."""


def problem(pattern: str, template: str | None = None) -> str | None:
    r"""Return what is wrong with a pattern, or with a template of `\1` and such; None: nothing."""
    import re

    if not pattern:
        return "an empty pattern is found in every line"
    if len(pattern) > MOST_PATTERN:
        return f"a pattern of more than {MOST_PATTERN} characters"
    try:
        compiled = compile_(pattern)
    except (re.error, RecursionError, OverflowError) as error:
        return f"{pattern!r} is not a regular expression: {error}"
    try:
        if template is not None:
            compiled.sub(template, "")  # reads the template whether or not anything matches
    except (re.error, IndexError) as error:
        return f"{template!r} does not go with {pattern!r}: {error}"
    return None


def compile_(pattern: str) -> re.Pattern[str]:
    """Return a compiled pattern, and keep it. Raises re.error, RecursionError, OverflowError."""
    import re
    import warnings

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of the future of nested sets
        return re.compile(pattern)


def search(pattern: str, lines: Sequence[str]) -> Iterator[tuple[int, re.Match[str]]]:
    """Yield (index, match) of each line in which the pattern is found. Raises PatternError."""
    find = compile_(pattern).search
    for index, line in enumerate(lines):
        if len(line) > MOST_LINE:
            raise PatternError(
                f"line {index + 1} is longer than {MOST_LINE} characters, too long for a pattern"
            )
        found = find(line)
        if found:
            yield index, found


class limit:  # noqa: N801  reads as what it is in a `with`
    """Give what is done within as much processor time as searching `text` may take.

    Raises PatternError when it is used up.
    """

    def __init__(self, text: str) -> None:
        self._seconds = _SECONDS + len(text) / _RATE

    def __enter__(self) -> None:
        import signal

        self._before = signal.signal(signal.SIGVTALRM, _expire)
        signal.setitimer(signal.ITIMER_VIRTUAL, self._seconds)

    def __exit__(self, *_: object) -> None:
        import signal

        signal.setitimer(signal.ITIMER_VIRTUAL, 0)
        signal.signal(signal.SIGVTALRM, self._before)


def _expire(*_: object) -> None:
    raise PatternError(
        "a pattern takes too long over this file",
        "write it without a repetition inside a repetition, such as `(a+)+`",
    )
