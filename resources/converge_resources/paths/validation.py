"""The program that must accept a new content before it is put in place."""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from converge.system import System


def problems(declared: str | Sequence[str]) -> Iterator[str]:
    """Yield what is wrong with a declared program."""
    from converge_resources.programs import argvs

    try:
        words = argvs.words(declared)
    except ValueError as error:
        yield f"{declared!r} cannot be split into words: {error}"
        return
    if not words or not words[0].startswith("/"):
        yield "the program is named by its absolute path, such as /usr/sbin/visudo"
    if not any("%" in word for word in words[1:]):
        yield "no argument has a `%`, which stands for the path of the new file"


def validator(system: System, declared: str | Sequence[str] | None) -> Callable[[str], None] | None:
    """Return what System.write calls with the staged file's path; it raises ApplyError to refuse."""
    if declared is None:
        return None
    from converge_resources.programs import argvs

    words = argvs.words(declared)

    def check(staged: str) -> None:
        system.run([word.replace("%", staged) for word in words]).check()

    return check
