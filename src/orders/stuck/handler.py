"""``stuck-orders``: once a minute, counts the orders that should have ended by now."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

from orders.aws import clients, telemetry
from orders.aws.clock import timestamp
from orders.aws.order_table import OrderTable

if TYPE_CHECKING:
    from orders.aws.context import Context


def _now() -> datetime:
    return datetime.now(UTC)


@dataclass(frozen=True, slots=True)
class StuckOrders:
    """Reports how many unfinished orders are older than they should be."""

    orders: OrderTable
    max_age: timedelta
    now: Callable[[], datetime] = _now

    def __call__(self, event: dict[str, Any], context: Context) -> None:
        """Count, and report the metric the alarm looks at, zero included."""
        telemetry.begin(context)
        stuck = self.orders.count_unfinished(timestamp(self.now() - self.max_age))
        telemetry.gauge(StuckOrders=stuck)
        if stuck:
            telemetry.warning("orders are stuck", orders=stuck)


handler = StuckOrders(
    orders=OrderTable(clients.dynamodb(), os.environ["ORDERS_TABLE"]),
    max_age=timedelta(minutes=float(os.environ["STUCK_AFTER_MINUTES"])),
)
