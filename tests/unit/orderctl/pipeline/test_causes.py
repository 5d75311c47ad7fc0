"""An order's story: nothing comes before what it follows from, whatever the clocks say."""

from __future__ import annotations

import json
import random
from datetime import UTC, datetime, timedelta
from typing import Any

import msgspec
import pytest

from orderctl.pipeline import trace
from orderctl.pipeline.causes import in_order
from orders.clock import timestamp
from orders.events import decode_outcome
from orders.order import Order, Step
from orders.tracker.decisions import follow
from support.lambdas import event_of

PLACED_AT = datetime(2026, 8, 18, 9, 29, 58, tzinfo=UTC)
ENDS: dict[str, list[dict[str, Any]]] = {
    "confirmed": [
        event_of("payment.charged", amount=1, currency="USD", charge_id="ch"),
        event_of("inventory.reserved"),
    ],
    "out of stock": [
        event_of("payment.charged", amount=1, currency="USD", charge_id="ch"),
        event_of("inventory.rejected", reason="unknown SKU x"),
        event_of("payment.refunded", amount=1, currency="USD"),
    ],
    "declined": [
        event_of("inventory.reserved"),
        event_of("payment.declined", reason="no funds"),
        event_of("inventory.released"),
    ],
    "cancelled": [
        event_of("inventory.reserved"),
        event_of("order.cancel_requested", reason="changed my mind"),
        event_of("inventory.released"),
    ],
}
BACK = ("payment.refunded", "inventory.released")


def history(events: list[dict[str, Any]], draw: random.Random) -> list[dict[str, Any]]:
    """What the tracker notes of an order: functions whose clocks differ by up to 50 ms tell it."""

    def told_at(after: datetime) -> str:
        return timestamp(after + timedelta(milliseconds=draw.randint(-50, 50)))

    placed = Step("order.placed", timestamp(PLACED_AT))
    order = Order(order_id="order-1", placed_at=placed.at, history=(placed,))
    first = [event for event in events if event["detail-type"] not in BACK]
    draw.shuffle(first)
    for number, event in enumerate([*first, *(e for e in events if e["detail-type"] in BACK)]):
        at = told_at(PLACED_AT + timedelta(milliseconds=10 * number))
        detail = {**event["detail"], "at": at}
        order = follow(order, decode_outcome(json.dumps({**event, "detail": detail})))
    found: list[dict[str, Any]] = [msgspec.to_builtins(step) for step in order.history]
    return found


@pytest.mark.parametrize("events", ENDS.values(), ids=ENDS)
def test_of_many_orders_each_is_told_in_causal_order(events: list[dict[str, Any]]) -> None:
    draw = random.Random(1)
    for _ in range(200):
        noted = history(events, draw)
        told = [step["type"] for step in in_order(noted)]
        assert told == [
            entry.what
            for entry in sorted(
                trace.order_entries({"history": noted}), key=lambda entry: entry.place
            )
        ]
        assert told[0] == "order.placed"
        (decision,) = (t for t in told if t in ("order.confirmed", "order.cancelled"))
        noted_types = [step["type"] for step in noted]
        before = noted_types[: noted_types.index(decision)]
        assert set(before) <= set(told[: told.index(decision)])
        assert all(told.index(kind) > told.index(decision) for kind in BACK if kind in told)


def test_a_decision_is_not_earlier_than_what_it_follows_from() -> None:
    draw = random.Random(2)
    for events in ENDS.values():
        noted = history(events, draw)
        types = [step["type"] for step in noted]
        decided = next(n for n, kind in enumerate(types) if kind.startswith("order.c") and n > 1)
        decided = decided if types[decided] != "order.cancel_requested" else decided + 1
        assert noted[decided]["at"] >= max(step["at"] for step in noted[:decided])


def test_what_nobody_can_read_is_told_too() -> None:
    noted: list[dict[str, Any]] = [{"type": ["x"]}, {"at": "t"}, {"type": "order.placed"}]
    assert in_order(noted) == noted
