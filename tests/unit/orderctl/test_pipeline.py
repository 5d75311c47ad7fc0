"""What is read from a pipeline's tables."""

from __future__ import annotations

from typing import Any

import boto3

from orderctl.pipeline.pipeline import Pipeline
from support import aws


def test_keys_that_dynamodb_leaves_out_are_read_again() -> None:
    table = aws.dynamodb()
    ids = [f"order-{number}" for number in range(3)]
    for order_id in ids:
        item = {"order_id": {"S": order_id}, "state": {"S": "charged"}}
        table.put_item(TableName="payments", Item=item)
    outputs = {"ApiUrl": "http://127.0.0.1:1", "PaymentsTableName": "payments"}
    pipeline = Pipeline(boto3.Session(), outputs)
    client = pipeline._dynamodb
    aws.connect(client, "dynamodb")

    def throttle(parsed: dict[str, Any], **_: object) -> None:
        """Answer for one item, as DynamoDB may."""
        first, *rest = parsed["Responses"]["payments"]
        parsed["Responses"]["payments"] = [first]
        if rest:
            left = [{"order_id": item["order_id"]} for item in rest]
            parsed["UnprocessedKeys"] = {"payments": {"Keys": left}}

    client.meta.events.register("after-call.dynamodb.BatchGetItem", throttle)
    assert sorted(pipeline.orders.payments(ids)) == ids
