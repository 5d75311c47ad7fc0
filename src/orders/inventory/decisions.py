"""What to do about an order's stock: plain functions over plain values."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from orders.events import (
    MAX_REASON,
    Command,
    InventoryRejected,
    InventoryReleased,
    InventoryReserved,
    OrderCancelledEvent,
    OrderLine,
    OrderPlacedEvent,
    fitted,
)
from orders.inventory.reservations import Reservation

if TYPE_CHECKING:
    import msgspec


def wanted(reservation: Reservation | None, event: Command, *, at: str) -> Reservation:
    """The reservation as an event wants it to be.

    A cancel that overtakes its own order leaves a voided reservation, so that the late order
    reserves nothing.

    Args:
        reservation: what is on record for the order, if anything.
        event: the order was placed, or it was cancelled.
        at: the time.

    Returns:
        The very reservation on record when there is nothing to do.
    """
    order_id = event.detail.order_id
    if isinstance(event, OrderPlacedEvent):
        if reservation is None:
            return Reservation(order_id, "reserved", event.detail.items, reason=None, at=at)
    elif reservation is None:
        return Reservation(order_id, "voided", (), reason=None, at=at)
    elif reservation.state == "reserved":
        return replace(reservation, state="released", at=at)
    return reservation


def rejected(reservation: Reservation, available: dict[str, int | None]) -> Reservation:
    """The reservation that could not be had, with the reason.

    Args:
        reservation: what was wanted.
        available: what there is of each SKU that fell short; None for a SKU that is not known.
    """
    reason = fitted(shortage(reservation.lines, available), MAX_REASON)
    return replace(reservation, state="rejected", reason=reason)


def shortage(lines: tuple[OrderLine, ...], available: dict[str, int | None]) -> str:
    """Say why an order cannot be reserved.

    Args:
        lines: what was ordered.
        available: what there is of each SKU that fell short; None for a SKU that is not known.
    """
    quantities = {line.sku: line.quantity for line in lines}
    return "; ".join(
        f"unknown SKU {sku}"
        if there is None
        else f"{sku}: {quantities[sku]} wanted, {there} available"
        for sku, there in available.items()
    )


def outcome(reservation: Reservation, event: Command) -> msgspec.Struct | None:
    """The event that tells of a reservation's state; a voided one is nobody's news.

    A cancel is answered by a release or not at all: the tracker answers a rejection with a
    cancel, and the two would go on for ever.
    """
    if isinstance(event, OrderCancelledEvent) and reservation.state != "released":
        return None
    order_id, lines = reservation.order_id, reservation.lines
    match reservation.state:
        case "reserved":
            return InventoryReserved(order_id=order_id, items=lines)
        case "rejected":
            return InventoryRejected(order_id=order_id, reason=reservation.reason or "")
        case "released":
            return InventoryReleased(order_id=order_id, items=lines)
        case "voided":
            return None
