"""What is read from a pipeline's tables."""

from __future__ import annotations

from typing import Any

import boto3

from orderctl.pipeline.orders import Orders
from support import aws


def test_keys_that_dynamodb_leaves_out_are_read_again() -> None:
    table = aws.dynamodb()
    ids = [f"order-{number}" for number in range(3)]
    for order_id in ids:
        item = {"order_id": {"S": order_id}, "state": {"S": "charged"}}
        table.put_item(TableName="payments", Item=item)
    client = boto3.client("dynamodb")
    aws.connect(client, "dynamodb")
    orders = Orders(client, {"PaymentsTableName": "payments"})

    def throttle(parsed: dict[str, Any], **_: object) -> None:
        """Answer for one item, as DynamoDB may."""
        first, *rest = parsed["Responses"]["payments"]
        parsed["Responses"]["payments"] = [first]
        if rest:
            left = [{"order_id": item["order_id"]} for item in rest]
            parsed["UnprocessedKeys"] = {"payments": {"Keys": left}}

    client.meta.events.register("after-call.dynamodb.BatchGetItem", throttle)
    assert sorted(orders.payments(ids)) == ids
