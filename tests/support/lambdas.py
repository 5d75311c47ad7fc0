"""Invocations as the Lambda service makes them."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

import msgspec

from orders.events import ORDERS, ROUTING, OrderPlaced


@dataclass
class Context:
    """The part of the Lambda context that the functions use."""

    remaining_milliseconds: int = 10_000
    aws_request_id: str = "request-1"

    def get_remaining_time_in_millis(self) -> int:
        return self.remaining_milliseconds


def order_placed(
    order_id: str = "order-1", amount: object = 42, **fields: object
) -> dict[str, Any]:
    """An ``order.placed`` event in the envelope EventBridge puts around it."""
    return {
        "version": "0",
        "id": "17793124-05d4-b198-2fde-7ededc63b103",
        "detail-type": "order.placed",
        "source": "com.myapp.orders",
        "account": "123456789012",
        "time": "2026-08-18T09:30:00Z",
        "region": "us-east-1",
        "resources": [],
        "detail": {"order_id": order_id, "amount": amount, **fields},
    }


def event_of(detail_type: str, order_id: str = "order-1", **fields: object) -> dict[str, Any]:
    """Any other event in its envelope, from the source that publishes such events."""
    source = next((s for s, name in ROUTING.values() if name == detail_type), ORDERS)
    detail = {"order_id": order_id, **fields}
    return {**order_placed(), "detail-type": detail_type, "source": source, "detail": detail}


def order_cancelled(order_id: str = "order-1") -> dict[str, Any]:
    """An ``order.cancelled`` event in its envelope."""
    return event_of("order.cancelled", order_id, reason="changed my mind")


def fingerprint(event: dict[str, Any]) -> str:
    """The fingerprint of what an ``order.placed`` says."""
    return msgspec.convert(event["detail"], OrderPlaced).fingerprint


def sqs_event(*bodies: dict[str, Any] | str, attempt: int = 1) -> dict[str, Any]:
    """An invocation by an SQS event source mapping; message ids are ``m0``, ``m1`` and so on."""
    return {
        "Records": [
            {
                "messageId": f"m{number}",
                "receiptHandle": f"handle-{number}",
                "body": body if isinstance(body, str) else json.dumps(body),
                "attributes": {"ApproximateReceiveCount": str(attempt)},
                "messageAttributes": {},
                "eventSource": "aws:sqs",
                "eventSourceARN": "arn:aws:sqs:us-east-1:123456789012:queue",
                "awsRegion": "us-east-1",
            }
            for number, body in enumerate(bodies)
        ]
    }


def failed(response: Any) -> list[str]:  # noqa: ANN401 - what the function answered
    """The message ids a partial batch response reports, after checking its shape."""
    assert list(response) == ["batchItemFailures"]
    assert all(list(item) == ["itemIdentifier"] for item in response["batchItemFailures"])
    return [item["itemIdentifier"] for item in response["batchItemFailures"]]
