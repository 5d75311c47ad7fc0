from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import boto3
from botocore.stub import Stubber

from orders.aws.clock import timestamp
from orders.aws.order_table import Order, OrderTable
from orders.stuck.handler import StuckOrders
from support.lambdas import Context

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient

NOW = datetime(2026, 8, 18, 9, 30, tzinfo=UTC)


def test_counts_the_orders_that_are_older_than_an_order_should_get(
    dynamodb: DynamoDBClient,
) -> None:
    orders = OrderTable(dynamodb, "orders")
    for number, minutes in enumerate((1, 14, 16, 60)):
        placed_at = timestamp(NOW - timedelta(minutes=minutes))
        orders.create(Order(order_id=f"o{number}", placed_at=placed_at))
    ended = Order(order_id="ended", placed_at="2026", status="confirmed")
    orders.create(ended)
    client = boto3.client("cloudwatch")
    stuck = StuckOrders(orders, client, "order-events", timedelta(minutes=15), now=lambda: NOW)
    metric = {
        "MetricName": "StuckOrders",
        "Dimensions": [{"Name": "EventBus", "Value": "order-events"}],
        "Value": 2,
        "Unit": "Count",
    }
    with Stubber(client) as cloudwatch:
        expected = {"Namespace": "OrderPipeline", "MetricData": [metric]}
        cloudwatch.add_response("put_metric_data", {}, expected)
        stuck({}, Context())
        cloudwatch.assert_no_pending_responses()
