"""What to do about an order's stock: plain functions over plain values."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal

import msgspec
from msgspec import UNSET

from orders.events import (
    MAX_REASON,
    Command,
    Detail,
    InventoryRejected,
    InventoryReleased,
    InventoryReserved,
    OrderCancelled,
    OrderLine,
    OrderPlaced,
    fit,
)


class Reservation(msgspec.Struct, frozen=True, kw_only=True):
    """What an order holds of the stock, or why it holds nothing."""

    order_id: str
    state: Literal["reserved", "rejected", "released", "voided"]
    at: str
    """Since when."""
    lines: tuple[OrderLine, ...] = ()
    taken: dict[str, int] | None = None
    """How many were taken from each shelf; None if all were taken from their SKUs' first ones."""
    reason: str | None = None
    fingerprint: str | None = None
    """Of the order it is for; None if voided before that came, or from before this was noted."""


def settle(reservation: Reservation | None, event: Command, *, at: str) -> Reservation:
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
    detail = event.detail
    if isinstance(detail, OrderPlaced):
        if reservation is None:
            return Reservation(
                order_id=detail.order_id,
                state="reserved",
                lines=detail.items,
                fingerprint=detail.fingerprint,
                at=at,
            )
    elif reservation is None:
        return Reservation(order_id=detail.order_id, state="voided", at=at)
    elif reservation.state == "reserved":
        return msgspec.structs.replace(reservation, state="released", at=at)
    return reservation


def is_for_another(reservation: Reservation | None, event: Command) -> bool:
    """Whether a reservation is for a different order than the one that was placed under its id.

    Nothing is reserved then, and the reservation on record is told: the tracker knows which order
    it is. Where no fingerprint is on record, the lines are compared; a voided one is for any order.
    """
    placed = event.detail
    if reservation is None or not isinstance(placed, OrderPlaced):
        return False
    if reservation.fingerprint is None:
        return reservation.state != "voided" and set(reservation.lines) != set(placed.items)
    return reservation.fingerprint != placed.fingerprint


def reject(reservation: Reservation, available: Mapping[str, int | None]) -> Reservation:
    """Turn down a reservation that the stock does not cover.

    Args:
        reservation: as it was to be.
        available: what there is of each SKU that fell short; None for a SKU that is not known.
    """
    reason = fit(describe_shortage(reservation.lines, available), MAX_REASON)
    return msgspec.structs.replace(reservation, state="rejected", reason=reason)


def describe_shortage(lines: tuple[OrderLine, ...], available: Mapping[str, int | None]) -> str:
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


def outcome(reservation: Reservation, event: Command) -> Detail | None:
    """The event that reports a reservation's state; nobody needs to hear of a voided one.

    A cancel is answered by a release or not at all: the tracker answers a rejection with a
    cancel, and the two would go on for ever.
    """
    if isinstance(event.detail, OrderCancelled) and reservation.state != "released":
        return None
    order_id, lines = reservation.order_id, reservation.lines
    fingerprint = reservation.fingerprint or UNSET
    match reservation.state:
        case "reserved":
            return InventoryReserved(order_id=order_id, items=lines, fingerprint=fingerprint)
        case "rejected":
            return InventoryRejected(
                order_id=order_id, reason=reservation.reason or "", fingerprint=fingerprint
            )
        case "released":
            return InventoryReleased(order_id=order_id, items=lines)
        case "voided":
            return None
