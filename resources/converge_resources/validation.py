"""The program that must accept a new content before it is put in place."""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from converge.system import System


def argv(declared: str | Sequence[str]) -> list[str]:
    """Return the words of a declared program, a string split as sh(1) would; ValueError: it cannot."""
    if not isinstance(declared, str):
        return list(declared)
    import shlex

    return shlex.split(declared)


def problems(declared: str | Sequence[str]) -> Iterator[str]:
    """Yield what is wrong with a declared program."""
    try:
        words = argv(declared)
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
    words = argv(declared)

    def check(staged: str) -> None:
        system.run([word.replace("%", staged) for word in words]).check()

    return check
