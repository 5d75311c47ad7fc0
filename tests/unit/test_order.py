"""How an order stands."""

from __future__ import annotations

from typing import Any

import pytest

from orders.order import STATUS_AFTER, Order, Repeats, Step

AT = "2026-08-18T09:30:00.123Z"


def order(*steps: str, **fields: Any) -> Order:  # noqa: ANN401 - of an order
    history = tuple(Step(step, AT) for step in steps)
    return Order(order_id="a", placed_at=AT, history=history, **fields)


def test_its_milestones_are_the_steps_that_changed_its_status() -> None:
    steps = ("order.placed", "payment.charged", "order.confirmed", "order.cancelled")
    moved = [(version, step.type) for version, step in order(*steps).milestones()]
    assert moved == [(1, "order.placed"), (3, "order.confirmed"), (4, "order.cancelled")]
    assert order(*steps).status_version == 4
    assert order("payment.charged").status_version == 0


@pytest.mark.parametrize(
    ("status", "payment", "inventory", "finished"),
    [
        ("placed", None, None, False),
        ("placed", "declined", "rejected", False),
        ("confirmed", "charged", "reserved", True),
        ("cancelled", None, None, True),
        ("cancelled", "charged", "released", False),
        ("cancelled", "refunded", "reserved", False),
        ("cancelled", "refunded", "released", True),
        ("cancelled", "declined", "rejected", True),
    ],
)
def test_it_is_finished_when_money_and_stock_are_where_they_belong(
    status: Any,  # noqa: ANN401 - of an order
    payment: Any,  # noqa: ANN401
    inventory: Any,  # noqa: ANN401
    finished: bool,
) -> None:
    stands = order(status=status, payment=payment, inventory=inventory)
    assert stands.is_finished is finished


def test_each_status_has_the_event_that_leads_to_it() -> None:
    assert STATUS_AFTER == {
        "order.placed": "placed",
        "order.confirmed": "confirmed",
        "order.cancelled": "cancelled",
    }


def test_nothing_was_published_again_at_first() -> None:
    assert Repeats() == Repeats(repeats=0, repeated_at=None)
