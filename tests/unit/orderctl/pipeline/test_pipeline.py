"""What is read from a pipeline's tables."""

from __future__ import annotations

from typing import Any

from orderctl.pipeline.orders import Orders
from support import aws


def test_keys_that_dynamodb_leaves_out_are_read_again() -> None:
    table = aws.boto3_dynamodb()
    ids = [f"order-{number}" for number in range(3)]
    for order_id in ids:
        item = {"order_id": {"S": order_id}, "state": {"S": "charged"}}
        table.put_item(TableName="payments", Item=item)
    orders = Orders(table, {"PaymentsTableName": "payments"})

    def throttle(parsed: dict[str, Any]) -> None:
        """Answer for one item, as DynamoDB may."""
        first, *rest = parsed["Responses"]["payments"]
        parsed["Responses"]["payments"] = [first]
        if rest:
            left = [{"order_id": item["order_id"]} for item in rest]
            parsed["UnprocessedKeys"] = {"payments": {"Keys": left}}

    aws.line(table).after("BatchGetItem", throttle)
    assert sorted(orders.payments(ids)) == ids
