"""What the shop is told of an order."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest

from orders.events import OrderPlaced, convert_milestone
from orders.notifications.decisions import is_fresh, order_updates
from orders.order import Order, Step
from support.lambdas import event_of, order_placed

AT = "2026-08-18T09:30:00.123Z"
EVENT_AT = "2026-08-18T09:30:00Z"
ORDERED = OrderPlaced(order_id="a", amount=Decimal(1))


def told(order: Order | None, event: dict[str, Any]) -> list[tuple[object, ...]]:
    updates = order_updates(order, convert_milestone(event))
    return [(update.status, update.version, update.at) for update in updates]


def test_an_order_whose_record_does_not_say_that_it_was_placed_was_placed_first() -> None:
    steps = (Step("payment.charged", AT), Step("order.confirmed", AT))
    order = Order(order_id="a", placed_at=AT, history=steps)
    placed = ("placed", 0, AT)
    assert told(order, event_of("order.confirmed", "a")) == [placed, ("confirmed", 2, AT)]
    assert told(Order(order_id="a", placed_at=AT), order_placed("a")) == [placed]


def test_a_time_that_is_none_is_that_of_the_event() -> None:
    order = Order(order_id="a", placed_at="then", history=(Step("order.placed", "then"),))
    assert told(order, order_placed("a")) == [("placed", 1, EVENT_AT)]
    unplaced = Order(order_id="a", placed_at="then")
    assert told(unplaced, order_placed("a")) == [("placed", 0, EVENT_AT)]


def test_an_end_that_is_not_on_record_is_told_later() -> None:
    assert told(None, event_of("order.cancelled", "a")) == []


@pytest.mark.parametrize(("ordered", "seconds"), [(ORDERED, 240), (None, 30)])
def test_how_long_an_order_is_fresh(ordered: OrderPlaced | None, seconds: float) -> None:
    asked: list[float] = []

    def ago(some: float) -> str:
        asked.append(some)
        return AT

    def order(placed_at: str) -> Order:
        return Order(order_id="a", placed_at=placed_at, ordered=ordered)

    assert is_fresh(order("2026-08-18T09:30:00.124Z"), ago)
    assert not is_fresh(order(AT), ago)
    assert asked == [seconds, seconds]


def test_what_is_not_on_record_or_has_no_time_is_not_fresh() -> None:
    assert not is_fresh(None, lambda _: AT)
    assert not is_fresh(Order(order_id="a", placed_at="then"), lambda _: AT)
