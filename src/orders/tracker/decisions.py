"""How an order stands after an event, and how it ends: plain functions over plain values."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Final

from msgspec import UNSET

from orders.aws.order_table import Order, Status, Step
from orders.events import (
    INVENTORY_REJECTED,
    MAX_REASON,
    ORDER_CANCEL_REQUESTED,
    ORDER_CANCELLED,
    ORDER_CONFIRMED,
    PAYMENT_DECLINED,
    ROUTING,
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
    fitted,
    is_time,
)

if TYPE_CHECKING:
    import msgspec

# What settles an order as cancelled, and how its reason begins.
_CANCELS: Final = {
    PAYMENT_DECLINED: "payment declined: ",
    INVENTORY_REJECTED: "out of stock: ",
    ORDER_CANCEL_REQUESTED: "",
}


def follow(order: Order, event: Outcome) -> Order:
    """The order after an event: what it tells is noted, and the order decided if that settles it.

    A decision stands. Only ``order.cancelled`` itself, from a publisher that is not the tracker,
    is a fact and no question: money and stock go back whatever was decided.

    Returns:
        An equal order when the event tells nothing new.
    """
    noted = _note(order, event)
    if noted.status != "placed" or noted == order:
        return noted
    if noted.payment == "charged" and noted.inventory == "reserved":
        return _decided(noted, "confirmed", event.time)
    step = noted.history[-1]
    if step.type in _CANCELS:
        return _decided(noted, "cancelled", event.time, _CANCELS[step.type] + (step.reason or ""))
    return noted


def news(before: Order, after: Order, event: Outcome) -> msgspec.Struct | None:
    """What is to be published after an event was followed.

    The decision, when it was made; and once more when an event that may have led to it tells
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
    reason = fitted(after.reason or "", MAX_REASON)
    return OrderCancelled(order_id=after.order_id, reason=reason, placed_at=placed_at)


def cause(order: Order) -> str | None:
    """The type of the event that had an order cancelled; None if it is not cancelled."""
    types = [step.type for step in order.history]
    if ORDER_CANCELLED not in types:
        return None
    before = types[types.index(ORDER_CANCELLED) - 1]
    return before if before in _CANCELS else ORDER_CANCELLED


def _note(order: Order, event: Outcome) -> Order:
    """The order with what an event tells, if that is new; what is known already stays."""
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
            return _decided(order, "cancelled", event.time, detail.reason)
        case _:
            return order
    step = Step(ROUTING[type(detail)][1], event.time, getattr(detail, "reason", None))
    return replace(order, history=(*order.history, step))


def _decided(order: Order, status: Status, at: str, reason: str | None = None) -> Order:
    name = ORDER_CONFIRMED if status == "confirmed" else ORDER_CANCELLED
    history = (*order.history, Step(name, at, reason))
    return replace(order, status=status, reason=reason, history=history)
