"""Everything that converge says went wrong, as one small family."""

from __future__ import annotations

from converge.record import Record

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence


_MOST_SHOWN = 50  # problems that one error lists


class Problem(Record):
    """One thing wrong with what the user wrote.

    `line` and `column` count from 1; 0 means that the place is not known.
    """

    message: str
    file: str = ""
    line: int = 0
    column: int = 0
    resource: str = ""
    remedy: str = ""

    def __str__(self) -> str:
        place = self.file
        if self.line:
            place += f":{self.line}:{self.column}"
        parts = [part for part in (place, self.resource, self.message) if part]
        return ": ".join(parts) + (f" ({self.remedy})" if self.remedy else "")


class ConvergeError(Exception):
    """The root of the family. The message names what failed; `remedy` says what would help."""

    def __init__(self, message: str, remedy: str = "") -> None:
        super().__init__(message)
        self.remedy = remedy

    def __str__(self) -> str:
        message = super().__str__()
        return f"{message} ({self.remedy})" if self.remedy else message


class UsageError(ConvergeError):
    """The command or the settings make no sense: exit 1, nothing touched."""


class MissingError(UsageError):
    """There is no such file: exit 1, nothing touched, unless it may be missing."""


class ProfileError(ConvergeError):
    """The profile is wrong: exit 1, nothing touched. Holds every problem that was found."""

    def __init__(self, problems: Sequence[Problem]) -> None:
        super().__init__("\n".join(str(problem) for problem in problems))
        self.problems = tuple(problems)

    @classmethod
    def of(cls, problems: Sequence[Problem]) -> ProfileError:
        """Return an error with the first problems, file by file in the order of their places."""
        files = list(dict.fromkeys(problem.file for problem in problems))
        places = {file: number for number, file in enumerate(files)}
        ordered = sorted(problems, key=lambda one: (places[one.file], one.line, one.column))
        return cls(ordered[:_MOST_SHOWN])


class LockedError(ConvergeError):
    """Another run holds the lock: exit 1, nothing touched."""


class ApplyError(ConvergeError):
    """One resource could not be changed."""


class BatchError(ConvergeError):
    """Some resources of one batch could not be changed: `errors` maps names to what happened."""

    def __init__(self, errors: Mapping[str, Exception]) -> None:
        super().__init__("; ".join(f"{name}: {error}" for name, error in errors.items()))
        self.errors = dict(errors)


class StoppedError(ConvergeError):
    """The run was asked to stop before this resource: it was not touched."""


class CannotManageError(ConvergeError):
    """Found while applying: this container does not allow it. The outcome is `unmanageable`."""


def close_match(word: str, known: Iterable[str]) -> str:
    """Return a remedy `did you mean …?` if a known word is close (or two are, equally), else ""."""
    from difflib import SequenceMatcher, get_close_matches

    close = get_close_matches(word, list(known), 2)
    likeness = [SequenceMatcher(None, one, word).ratio() for one in close]
    if len(close) > 1 and likeness[0] > likeness[1]:
        del close[1]
    return f"did you mean {' or '.join(f'`{one}`' for one in close)}?" if close else ""
