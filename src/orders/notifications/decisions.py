"""What to tell the shop of an order: plain functions over plain values."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from msgspec import UNSET

from orders.events import MAX_REASON, Milestone, OrderPlaced, OrderUpdate, fit, is_time
from orders.order import STATUS_AFTER, Order

_FRESH_SECONDS: Final = 240
"""How old an order is of which the topic certainly drops each update that it had: it does so for
five minutes ("Message deduplication for FIFO topics" in the SNS developer guide). The rest is for
clocks that differ, and for an invocation that takes its time."""
_HEARD_OF_SECONDS: Final = 30
"""The same for an order from another publisher, which is on record only since it was first heard
of: up to four minutes after the shop was told that it was placed."""


def order_updates(order: Order | None, event: Milestone) -> list[OrderUpdate]:
    """Each status that an order has had, so that the last is how it stands.

    An event says that something happened and not what came after it: it may be late, or be
    published by somebody who does not know. So what is on record is told, whatever the event is.

    Args:
        order: what is on record; an order from another publisher is not, at first.
        event: why the shop is told.

    Returns:
        Nothing when it is to be told later: a cancel that the tracker has yet to follow.
    """
    order_id = event.detail.order_id
    if order is None:
        if not isinstance(event.detail, OrderPlaced):
            return []
        return [OrderUpdate(order_id=order_id, status="placed", version=0, at=event.time)]
    updates = [
        OrderUpdate(
            order_id=order_id,
            status=STATUS_AFTER[step.type],
            version=version,
            at=step.at if is_time(step.at) else event.time,
            reason=UNSET if step.reason is None else fit(step.reason, MAX_REASON),
        )
        for version, step in order.milestones()
    ]
    if not updates or updates[0].status != "placed":
        at = order.placed_at if is_time(order.placed_at) else event.time
        placed = OrderUpdate(order_id=order_id, status="placed", version=0, at=at)
        updates.insert(0, placed)
    return updates


def is_fresh(order: Order | None, ago: Callable[[float], str]) -> bool:
    """Whether the topic takes each of an order's updates only once, and so in their sequence.

    It does while the order is younger than what the topic remembers, as whoever tells of a status
    tells of those before it first.

    Args:
        order: what is on record.
        ago: the time so many seconds ago.
    """
    if order is None or not is_time(order.placed_at):
        return False
    return order.placed_at > ago(_FRESH_SECONDS if order.ordered else _HEARD_OF_SECONDS)
