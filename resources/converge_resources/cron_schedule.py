"""When a job runs: the five fields and the nicknames of crontab(5)."""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

NICKNAMES = (
    "@reboot", "@yearly", "@annually", "@monthly", "@weekly", "@daily", "@midnight", "@hourly",
)  # fmt: skip
_MONTHS = ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec")
_DAYS = ("sun", "mon", "tue", "wed", "thu", "fri", "sat")
_LONGEST = 2  # digits of a number
# name → lowest, highest, names that stand for numbers from `lowest` on
FIELDS: dict[str, tuple[int, int, tuple[str, ...]]] = {
    "minute": (0, 59, ()),
    "hour": (0, 23, ()),
    "day": (1, 31, ()),
    "month": (1, 12, _MONTHS),
    "weekday": (0, 7, _DAYS),
}


def problems(schedule: str) -> Iterator[str]:
    """Yield what is wrong with a schedule."""
    words = schedule.split()
    if schedule.startswith("@"):
        if schedule not in NICKNAMES:
            yield f"{schedule!r} is none of {', '.join(NICKNAMES)}"
    elif len(words) != len(FIELDS):
        yield f"{schedule!r} has {len(words)} fields, not five: {' '.join(FIELDS)}"
    else:
        for name, word in zip(FIELDS, words, strict=True):
            wrong = field_problem(name, word)
            if wrong:
                yield wrong


def field_problem(name: str, text: str) -> str:
    """Return what is wrong with one field; empty: nothing."""
    for part in text.split(","):
        span, slash, step = part.partition("/")
        low, dash, high = span.partition("-")
        if slash and not (step.isdigit() and step.isascii() and 0 < int(step[:4]) < 100):
            return f"{name} {text!r}: {step!r} is no step"
        if span == "*":
            continue
        if slash and not dash:
            return f"{name} {text!r}: a step needs a range, such as */{step or 5}"
        numbers = [_number(name, low), _number(name, high) if dash else _number(name, low)]
        if None in numbers:
            least, most, names = FIELDS[name]
            also = f", or {names[0]} to {names[-1]}" if names else ""
            return f"{name} {text!r}: {span!r} is not within {least}-{most}{also}"
        if (numbers[0] or 0) > (numbers[1] or 0):
            return f"{name} {text!r}: {span!r} is the wrong way round"
    return ""


def _number(name: str, word: str) -> int | None:
    """Return the number of a word of a field; None: it is none, or out of range."""
    least, most, names = FIELDS[name]
    if word.lower() in names:
        return least + names.index(word.lower())
    if not (word.isascii() and word.isdigit()) or len(word) > _LONGEST:
        return None
    return int(word) if least <= int(word) <= most else None
