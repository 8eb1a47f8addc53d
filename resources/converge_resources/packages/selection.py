"""Which orders go together: those that can, with the reason why the others cannot."""

from __future__ import annotations

from converge.errors import ApplyError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

    from converge_resources.packages import Backend, Found, Order


def grouped(orders: Iterable[Order]) -> list[list[Order]]:
    """Return the orders by command-line flags, in the order of their first appearance."""
    groups: dict[object, list[Order]] = {}
    for order in orders:
        groups.setdefault(order.flags, []).append(order)
    return list(groups.values())


def accepted(
    backend: Backend,
    orders: Sequence[Order],
    found: Mapping[str, Found],
    errors: dict[str, Exception],
) -> list[Order]:
    """Return the orders with something left to do; put those that are refused into `errors`."""
    left = []
    for order in orders:
        refusal = backend.refuses(order)
        if refusal:
            errors[order.name] = ApplyError(refusal)
        elif not order.satisfied(found.get(order.name)):
            left.append(order)
    return left


def largest(
    orders: Sequence[Order], objection: Callable[[Sequence[Order]], str | None]
) -> tuple[list[Order], dict[str, str]]:
    """Return the orders that can be carried out together, and why the others cannot.

    One bad package fails a whole apt transaction, so each is added to those that work, in the
    order of the profile; the bad ones get a second chance, since a later one may complete them.
    """
    if not orders or objection(orders) is None:
        return list(orders), {}
    kept: list[Order] = []
    refused: dict[str, str] = {}
    for order in [*orders, *orders]:
        if order in kept:
            continue
        why = objection([*kept, order])
        if why is None:
            kept.append(order)
            refused.pop(order.name, None)
        else:
            refused[order.name] = why
    return kept, refused
