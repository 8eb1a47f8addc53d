"""Order: a graph of what goes before what, cut into waves."""

from __future__ import annotations

from typing import TYPE_CHECKING

from converge.errors import ConvergeError

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence


class CycleError(ConvergeError):
    """Some nodes wait for each other; `cycle` names them in order, the first one again at the end."""

    def __init__(self, cycle: Sequence[str]) -> None:
        super().__init__(" → ".join(cycle))
        self.cycle = tuple(cycle)


def waves(order: Sequence[str], before: Mapping[str, Collection[str]]) -> list[list[str]]:
    """Cut nodes into waves: each holds, in the given order, those whose predecessors are all earlier.

    `before` maps a node to those that go before it, all of them in `order`. Raises CycleError.
    """
    followers: dict[str, list[str]] = {node: [] for node in order}
    missing = {node: len(set(before.get(node, ()))) for node in order}
    for node in order:
        for earlier in set(before.get(node, ())):
            followers[earlier].append(node)
    rank = {node: i for i, node in enumerate(order)}
    found: list[list[str]] = []
    ready = [node for node in order if not missing[node]]
    while ready:
        found.append(ready)
        following = []
        for node in ready:
            for later in followers[node]:
                missing[later] -= 1
                if not missing[later]:
                    following.append(later)
        ready = sorted(following, key=rank.__getitem__)
    if sum(map(len, found)) < len(order):
        raise CycleError(_cycle(order, before, missing))
    return found


def _cycle(
    order: Sequence[str], before: Mapping[str, Collection[str]], missing: Mapping[str, int]
) -> list[str]:
    """Return one cycle among the nodes that were never ready, in the order in which they would run."""
    stuck = {node for node in order if missing[node]}
    path: list[str] = []
    node = next(node for node in order if node in stuck)
    while node not in path:
        path.append(node)
        node = next(earlier for earlier in sorted(before[node]) if earlier in stuck)
    return [node, *path[path.index(node) :][::-1]]
