"""How an order stands after an event, and how it ends: plain functions over plain values."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from msgspec import UNSET
from msgspec.structs import replace

from orders.events import (
    MAX_REASON,
    Detail,
    InventoryRejected,
    InventoryReleased,
    InventoryReserved,
    OrderCancelled,
    OrderCancelRequested,
    OrderConfirmed,
    Outcome,
    PaymentCharged,
    PaymentDeclined,
    PaymentRefunded,
    fit,
    is_time,
)
from orders.order import Order, Status, Step

# What settles an order as cancelled, and how its reason begins.
_CANCELS: Final = {
    PaymentDeclined.detail_type: "payment declined: ",
    InventoryRejected.detail_type: "out of stock: ",
    OrderCancelRequested.detail_type: "",
}


def follow_all(order: Order, events: Sequence[Outcome]) -> tuple[Order, Detail | None]:
    """Follow several events of an order.

    Returns:
        The order after them, and what is to be published, if anything.
    """
    published = None
    for event in events:
        after = follow(order, event)
        if after.status != order.status:
            published = None  # overtaken by a cancel from outside
        published = announcement(order, after, event) or published
        order = after
    return order, published


def follow(order: Order, event: Outcome) -> Order:
    """Note what an event says, and decide the order if that settles it.

    A decision stands. Only ``order.cancelled`` itself, from a publisher that is not the tracker,
    is a fact and no question: money and stock go back whatever was decided.

    Returns:
        An equal order when the event says nothing new.
    """
    noted = _note(order, event)
    if noted.status != "placed" or noted == order:
        return noted
    if noted.payment == "charged" and noted.inventory == "reserved":
        return _decide(noted, "confirmed", event.time)
    step = noted.history[-1]
    if step.type in _CANCELS:
        return _decide(noted, "cancelled", event.time, _CANCELS[step.type] + (step.reason or ""))
    return noted


def announcement(before: Order, after: Order, event: Outcome) -> Detail | None:
    """The event to be published after another one was followed.

    The decision, when it was made; and once more when an event that may have led to it says
    nothing new: the function may have ended before the decision was published.
    """
    if isinstance(event.detail, PaymentRefunded | InventoryReleased | OrderCancelled):
        return None  # what follows from a decision, and its echo: to answer would never end
    if after.status == "placed" or (before.status != "placed" and before != after):
        return None
    # A record may be older than the contract's bounds.
    placed_at = after.placed_at if is_time(after.placed_at) else UNSET
    if after.status == "confirmed":
        return OrderConfirmed(order_id=after.order_id, placed_at=placed_at)
    reason = fit(after.reason or "", MAX_REASON)
    return OrderCancelled(order_id=after.order_id, reason=reason, placed_at=placed_at)


def cause(order: Order) -> str | None:
    """The type of the event that had an order cancelled; None if it is not cancelled."""
    types = [step.type for step in order.history]
    if OrderCancelled.detail_type not in types:
        return None
    cancelled = types.index(OrderCancelled.detail_type)
    if cancelled and types[cancelled - 1] in _CANCELS:
        return types[cancelled - 1]
    return OrderCancelled.detail_type  # from outside; perhaps the first that was heard of the order


def _note(order: Order, event: Outcome) -> Order:
    """Note what an event says, if that is new; what is known already stays."""
    detail = event.detail
    match detail:
        case PaymentCharged() if order.payment is None:
            order = replace(order, payment="charged")
        case PaymentDeclined() if order.payment is None:
            order = replace(order, payment="declined")
        case PaymentRefunded() if order.payment != "refunded":
            order = replace(order, payment="refunded")
        case InventoryReserved() if order.inventory is None:
            order = replace(order, inventory="reserved")
        case InventoryRejected() if order.inventory is None:
            order = replace(order, inventory="rejected")
        case InventoryReleased() if order.inventory != "released":
            order = replace(order, inventory="released")
        case OrderCancelRequested() if order.status == "placed":
            pass
        case OrderCancelled() if order.status != "cancelled":
            return _decide(order, "cancelled", event.time, detail.reason)
        case _:
            return order
    step = Step(detail.detail_type, event.time, getattr(detail, "reason", None))
    return replace(order, history=(*order.history, step))


def _decide(order: Order, status: Status, at: str, reason: str | None = None) -> Order:
    event = OrderConfirmed if status == "confirmed" else OrderCancelled
    history = (*order.history, Step(event.detail_type, at, reason))
    return replace(order, status=status, reason=reason, history=history)
