"""Where new lines go: `insertafter` and `insertbefore` of Ansible's lineinfile and blockinfile."""

from __future__ import annotations

from converge_resources.parts import patterns

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence


def problems(after: str | None, before: str | None) -> Iterator[tuple[str, str]]:
    """Yield what is wrong with the two attributes."""
    if after is not None and before is not None:
        yield "insertbefore", "`insertafter` and `insertbefore` exclude each other"
    if before == "EOF":
        yield "insertbefore", "use `insertafter: EOF`, which is the default"
    for attribute, pattern in (("insertafter", after), ("insertbefore", before)):
        wrong = None if pattern is None else patterns.problem(pattern)
        if wrong:
            yield attribute, wrong


def find(
    lines: Sequence[str], after: str | None, before: str | None, *, first: bool = False
) -> int:
    """Return the index at which new lines go: the end, if nothing is said or nothing is found.

    `first`: the first match of the pattern counts, not the last. Raises PatternError.
    """
    pattern = before if after is None else after
    if pattern == "BOF":
        return 0
    if pattern is None or pattern == "EOF":
        return len(lines)
    found = [index for index, _ in patterns.search(pattern, lines)]
    if not found:
        return len(lines)
    return (found[0] if first else found[-1]) + (after is not None)
