"""Programs as a profile declares them: lists of words, or a string that is split into words."""

from __future__ import annotations

from converge.errors import ApplyError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from converge.read_only import ReadOnlySystem

_FOR_A_SHELL = ("|", "||", "&", "&&", ">", ">>", "<", "<<", "2>", "2>&1", "&>")


def words(declared: str | Sequence[str]) -> list[str]:
    """Return the words of a program; a string is split as sh(1) would. ValueError: it cannot be."""
    if not isinstance(declared, str):
        return list(declared)
    import shlex

    return shlex.split(declared)


def problems(declared: str | Sequence[str]) -> Iterator[str]:
    """Yield what is wrong with a declared program."""
    try:
        found = words(declared)
    except ValueError as error:
        yield f"{declared!r} cannot be split into words: {error}"
        return
    if not found or not found[0]:
        yield "there is no program to run"
    elif "/" in found[0] and not found[0].startswith("/"):
        yield f"{found[0]!r} is relative: name the program by its absolute path, or its name alone"
    if any("\0" in word for word in found):
        yield "a NUL cannot be in an argument"
    shell = [word for word in found if word in _FOR_A_SHELL]
    if isinstance(declared, str) and shell:
        yield f"no shell reads this, so `{shell[0]}` means nothing; for one, write [sh, -c, '…']"


def located(argv: Sequence[str], system: ReadOnlySystem) -> list[str]:
    """Return the words, the program by its absolute path. ApplyError: it is not here."""
    program = argv[0] if argv[0].startswith("/") else system.which(argv[0])
    if program is None:
        raise ApplyError(f"there is no program {argv[0]!r}", "install it, or give its whole path")
    return [program, *argv[1:]]
