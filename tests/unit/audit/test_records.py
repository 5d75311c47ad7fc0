"""The items of the tables, as the audit reads them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from orders.audit.decisions import Order, Unreadable
from orders.audit.records import read_order, read_payment, read_reservation, read_stock
from orders.aws.items import to_item


@pytest.mark.parametrize(
    ("read", "table"),
    [
        (read_order, "orders"),
        (read_payment, "payments"),
        (read_reservation, "reservations"),
        (read_stock, "stock"),
    ],
)
def test_what_cannot_be_read_names_its_table(read: Callable[[Any], Any], table: str) -> None:
    unreadable = read({})
    assert isinstance(unreadable, Unreadable)
    assert unreadable.table == table


@pytest.mark.parametrize("steps", [0, 1, 3])
def test_of_a_history_the_newest_step_is_kept(steps: int) -> None:
    history = [{"type": "payment.charged", "at": f"at {n}"} for n in range(steps)]
    order = read_order(to_item({"order_id": "a", "placed_at": "then", "history": history}))
    assert isinstance(order, Order)
    assert [step.at for step in order.history] == [f"at {n}" for n in range(steps)][-1:]
