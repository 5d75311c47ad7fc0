"""Many orders on record, put straight into the table: to send them would take minutes."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any, Final

from orderctl.pipeline import Pipeline
from orders.aws.order_table import OrderTable
from orders.clock import timestamp
from orders.events import OrderLine, OrderPlaced
from orders.order import Order
from support.lambdas import Context

_A_WRITE: Final = 25
_SKUS: Final = ("mug", "tea", "lamp")
EVERY: Final = timedelta(seconds=8)
"""10,000 of them are of less than a day."""
UNFINISHED_IN: Final = 100
REASON: Final = "out of stock: lamp"


def put(pipeline: Pipeline, name: str, count: int) -> None:
    """Put orders on record: of every hundred one is not finished, and every third was cancelled.

    The caretaker soon ends what is past its deadline.

    Args:
        pipeline: whose table gets them.
        name: their ids begin so; then comes a number, 0 for the newest.
        count: how many.
    """
    client = pipeline.session.client("dynamodb")
    table = OrderTable(client, pipeline.stack.outputs["OrdersTableName"])
    made = list(_orders(name, count))
    for start in range(0, count, _A_WRITE):
        assert table.write(made[start : start + _A_WRITE], Context()) == {}


def _orders(name: str, count: int) -> Iterator[Order]:
    now = datetime.now(UTC)
    for number in range(count):
        order_id = f"{name}-{number}"
        yield Order(
            order_id=order_id,
            placed_at=timestamp(now - number * EVERY),
            ordered=OrderPlaced(
                order_id=order_id,
                amount=Decimal("12.5"),
                customer_id=f"customer-{number}",
                items=(OrderLine(_SKUS[number % 3], 1),),
            ),
            **_end(number),
        )


def _end(number: int) -> dict[str, Any]:
    if number % UNFINISHED_IN == UNFINISHED_IN - 1:
        return {"status": "placed", "payment": "charged"}
    if number % 3 == 2:
        return {
            "status": "cancelled",
            "payment": "refunded",
            "inventory": "rejected",
            "reason": REASON,
        }
    return {"status": "confirmed", "payment": "charged", "inventory": "reserved"}
