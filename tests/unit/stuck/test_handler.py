from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import pytest

from orders.aws.clock import timestamp
from orders.aws.order_table import OrderTable
from orders.order import Order
from orders.stuck.handler import StuckOrders
from support.lambdas import Context

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient

NOW = datetime(2026, 8, 18, 9, 30, tzinfo=UTC)


@pytest.mark.parametrize(("ages_in_minutes", "stuck"), [((1, 14, 16, 60), 2), ((1,), 0)])
def test_reports_how_many_orders_are_older_than_an_order_should_get(
    dynamodb: DynamoDBClient,
    capsys: pytest.CaptureFixture[str],
    ages_in_minutes: tuple[int, ...],
    stuck: int,
) -> None:
    orders = OrderTable(dynamodb, "orders")
    for number, minutes in enumerate(ages_in_minutes):
        placed_at = timestamp(NOW - timedelta(minutes=minutes))
        orders.create(Order(order_id=f"o{number}", placed_at=placed_at))
    orders.create(Order(order_id="ended", placed_at="2026", status="confirmed"))
    StuckOrders(orders, timedelta(minutes=15), now=lambda: NOW)({}, Context())
    metric, *_ = [line for line in capsys.readouterr().out.splitlines() if '"_aws"' in line]
    assert json.loads(metric)["StuckOrders"] == stuck
