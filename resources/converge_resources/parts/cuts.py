"""Cutting pieces out of a text and putting others in their place."""

from __future__ import annotations

from itertools import pairwise

from converge_resources.parts.plain_data import same

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence
    from typing import Any, Protocol

    Cut = tuple[int, int, str]  # from, to before, and what comes there

    class Node(Protocol):
        """A value, which ends somewhere."""

        @property
        def end(self) -> int: ...

    class Item(Protocol):
        """A member or element, which begins somewhere and ends with its value."""

        @property
        def start(self) -> int: ...

        @property
        def node(self) -> Node: ...


def applied(text: str, cuts: Iterable[Cut]) -> str:
    """Return a text with all cuts made; they do not overlap. At one place the first comes first."""
    pieces, at = list[str](), 0
    for start, end, new in sorted(cuts, key=lambda cut: cut[0]):
        pieces += (text[at:start], new)
        at = end
    return "".join([*pieces, text[at:]])


def leaving(items: Sequence[Item], kept: Sequence[Item]) -> Iterator[Cut]:
    """Yield the cuts that leave these items (one at least) of a list that is parted by commas.

    Each takes a comma along: the one after it, at the end the one before.
    """
    starts, last = {item.start for item in kept}, kept[-1]
    for item, following in pairwise(items):
        if item.start not in starts and item.start < last.start:
            yield item.start, following.start, ""
    if last.start < items[-1].start:
        yield last.node.end, items[-1].node.end, ""


def remaining(old: Sequence[Any], new: Sequence[Any]) -> list[int] | None:
    """Return which items of a list are left in one that is a part of it; None: it is not."""
    left: list[int] = []
    at = 0
    for item in new:
        while at < len(old) and not same(old[at], item):
            at += 1
        if at == len(old):
            return None
        left.append(at)
        at += 1
    return left if len(left) < len(old) else None
