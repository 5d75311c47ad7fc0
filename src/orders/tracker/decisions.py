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

AMBIGUOUS: Final = "a different order was placed under the same id"
"""Why an order is cancelled whose payment or reservation is for another one."""
# What settles an order as cancelled, and how its reason begins.
_CANCELS: Final = {
    PaymentDeclined.detail_type: "payment declined: ",
    InventoryRejected.detail_type: "out of stock: ",
    OrderCancelRequested.detail_type: "",
}


def follow_all(order: Order, events: Sequence[Outcome]) -> tuple[Order, Detail | None, int]:
    """Follow several events of an order.

    Returns:
        The order after them; what is to be published, if anything; and which event that answers:
        if it comes again, so does what is to be published.
    """
    published, answered = None, 0
    for number, event in enumerate(events):
        after = follow(order, event)
        if announced := announcement(order, after, event):
            published, answered = announced, number
        order = after
    return order, published, answered


def follow(order: Order, event: Outcome) -> Order:
    """Note what an event says, and decide the order if that settles it.

    A decision stands. Only ``order.cancelled`` itself, from a publisher that is not the tracker,
    is a fact and no question: money and stock go back whatever was decided. The tracker announces
    it again as its own, when it is on record.

    Returns:
        An equal order when the event says nothing new.
    """
    noted = _note(order, event)
    if noted.status != "placed" or noted == order:
        return noted
    if _is_for_another(order, event.detail):
        return _decide(noted, "cancelled", event.time, AMBIGUOUS)
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
    if after.status == "placed":
        return None
    if before.status == after.status and (before != after or _follows(event.detail)):
        return None
    order_id, version = after.order_id, after.status_version
    # A record may be older than the contract's bounds.
    placed_at = after.placed_at if is_time(after.placed_at) else UNSET
    if after.status == "confirmed":
        return OrderConfirmed(order_id=order_id, placed_at=placed_at, version=version)
    reason = fit(after.reason or "", MAX_REASON)
    return OrderCancelled(order_id=order_id, reason=reason, placed_at=placed_at, version=version)


def _follows(detail: Detail) -> bool:
    """Whether it follows from a decision, or is its echo: to answer would never end.

    From another publisher ``order.cancelled`` has no version.
    """
    if isinstance(detail, OrderCancelled):
        return detail.version is not UNSET
    return isinstance(detail, PaymentRefunded | InventoryReleased)


def cause(order: Order) -> str | None:
    """The type of the event that had an order cancelled; None if it is not cancelled."""
    types = [step.type for step in order.history]
    if OrderCancelled.detail_type not in types:
        return None
    cancelled = types.index(OrderCancelled.detail_type)
    before = types[cancelled - 1] if cancelled else None  # none: the first heard of the order
    settled = before in _CANCELS or order.history[cancelled].reason == AMBIGUOUS
    return before if before and settled else OrderCancelled.detail_type  # or from outside


def _is_for_another(order: Order, detail: Detail) -> bool:
    """Whether it reports on a different order than the one on record under its id.

    Without a fingerprint, from a producer of before, what it says of the order is compared.
    """
    known, ordered = order.fingerprint, order.ordered
    match detail:
        case PaymentCharged() | PaymentDeclined() | InventoryReserved() | InventoryRejected():
            told = detail.fingerprint
        case _:
            return False
    if ordered:
        known = ordered.fingerprint
    if known and told is not UNSET:
        return told != known
    if ordered is None:
        return False
    if isinstance(detail, PaymentCharged):
        return (detail.amount, detail.currency) != (ordered.amount, ordered.currency)
    return isinstance(detail, InventoryReserved) and set(detail.items) != set(ordered.items)


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
    if order.ordered is None and order.fingerprint is None:
        order = replace(order, fingerprint=getattr(detail, "fingerprint", UNSET) or None)
    step = Step(detail.detail_type, event.time, getattr(detail, "reason", None))
    return replace(order, history=(*order.history, step))


def _decide(order: Order, status: Status, at: str, reason: str | None = None) -> Order:
    """Add the decision. It is not earlier than what it follows from, whose clocks may differ."""
    event = OrderConfirmed if status == "confirmed" else OrderCancelled
    latest = max([at, *(step.at for step in order.history if is_time(step.at))])
    history = (*order.history, Step(event.detail_type, latest, reason))
    return replace(order, status=status, reason=reason, history=history)
