"""What inventory decides, for every state that a reservation can have and every event."""

from __future__ import annotations

import json
from decimal import Decimal

import pytest
from msgspec.structs import replace

from orders.events import (
    MAX_REASON,
    Command,
    InventoryRejected,
    InventoryReleased,
    InventoryReserved,
    OrderLine,
    OrderPlaced,
    decode_command,
)
from orders.inventory.decisions import Reservation, is_for_another, outcome, reject, settle
from support.lambdas import order_cancelled, order_placed

LINES = (OrderLine("mug", 2), OrderLine("tea", 1))
PLACED = decode_command(
    json.dumps(
        order_placed("a", items=[{"sku": "mug", "quantity": 2}, {"sku": "tea", "quantity": 1}])
    )
)
CANCELLED = decode_command(json.dumps(order_cancelled("a")))

FINGERPRINT = OrderPlaced(order_id="a", amount=Decimal(42), items=LINES).fingerprint
RESERVED = Reservation(order_id="a", state="reserved", at="then", lines=LINES)
REJECTED = Reservation(order_id="a", state="rejected", at="then", lines=LINES, reason="none left")
RELEASED = Reservation(order_id="a", state="released", at="then", lines=LINES)
VOIDED = Reservation(order_id="a", state="voided", at="then")


@pytest.mark.parametrize(
    ("reservation", "event", "after"),
    [
        (None, PLACED, replace(RESERVED, at="now", fingerprint=FINGERPRINT)),
        (RESERVED, PLACED, RESERVED),
        (REJECTED, PLACED, REJECTED),
        (RELEASED, PLACED, RELEASED),
        (VOIDED, PLACED, VOIDED),
        (None, CANCELLED, Reservation(order_id="a", state="voided", at="now")),
        (RESERVED, CANCELLED, Reservation(order_id="a", state="released", at="now", lines=LINES)),
        (REJECTED, CANCELLED, REJECTED),
        (RELEASED, CANCELLED, RELEASED),
        (VOIDED, CANCELLED, VOIDED),
    ],
)
def test_a_reservation_after_an_event(
    reservation: Reservation | None, event: Command, after: Reservation
) -> None:
    assert settle(reservation, event, at="now") == after


@pytest.mark.parametrize(
    ("reservation", "event", "told"),
    [
        (RESERVED, PLACED, InventoryReserved(order_id="a", items=LINES)),
        (REJECTED, PLACED, InventoryRejected(order_id="a", reason="none left")),
        # Not that it is reserved: the tracker would confirm what is in the stock again.
        (RELEASED, PLACED, InventoryReleased(order_id="a", items=LINES)),
        (VOIDED, PLACED, None),
        (RESERVED, CANCELLED, None),
        (REJECTED, CANCELLED, None),
        (RELEASED, CANCELLED, InventoryReleased(order_id="a", items=LINES)),
        (VOIDED, CANCELLED, None),
    ],
)
def test_what_is_told_of_a_reservation(
    reservation: Reservation, event: Command, told: object
) -> None:
    assert outcome(reservation, event) == told


def test_a_rejection_without_a_reason_is_told_all_the_same() -> None:
    """A record may be older than the reason."""
    rejected = Reservation(order_id="a", state="rejected", at="then")
    assert outcome(rejected, PLACED) == InventoryRejected(order_id="a", reason="")


def test_a_rejection_says_what_fell_short_and_keeps_what_was_wanted() -> None:
    rejected = reject(RESERVED, {"mug": 1, "tea": None})
    assert (rejected.state, rejected.lines) == ("rejected", LINES)
    assert rejected.reason == "mug: 2 wanted, 1 available; unknown SKU tea"


def test_a_long_reason_is_cut_to_the_contract() -> None:
    lines = tuple(OrderLine("x" * 60 + str(n), 1) for n in range(20))
    rejected = reject(
        Reservation(order_id="a", state="reserved", at="then", lines=lines),
        {line.sku: None for line in lines} | {"y" * MAX_REASON: None},
    )
    assert rejected.reason is not None
    assert len(rejected.reason) == MAX_REASON


@pytest.mark.parametrize(
    ("reservation", "event", "expected"),
    [
        (None, PLACED, False),
        (VOIDED, PLACED, False),
        (RESERVED, CANCELLED, False),
        # Without a fingerprint, the lines are compared.
        (RESERVED, PLACED, False),
        (replace(RESERVED, lines=()), PLACED, True),
        (replace(RESERVED, fingerprint=FINGERPRINT), PLACED, False),
        (replace(RESERVED, fingerprint="another"), PLACED, True),
    ],
)
def test_a_reservation_is_for_the_order_whose_fingerprint_or_lines_it_has(
    reservation: Reservation | None, event: Command, expected: bool
) -> None:
    assert is_for_another(reservation, event) is expected
