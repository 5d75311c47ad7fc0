"""One order, delivered twice: one after the other, and to two instances at once."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import lab

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient

MESSAGE = lab.sqs_event(lab.order_placed("order-1"))


class Forgetful:
    """Charges what it is told to charge."""

    def __init__(self, processor: lab.CardProcessor) -> None:
        """Charge with this processor."""
        self.processor = processor

    def __call__(self, event: dict[str, Any], _context: object) -> None:
        """Handle one SQS event."""
        for record in event["Records"]:
            self.processor.charge_anew(json.loads(record["body"])["detail"]["order_id"])


class LooksFirst:
    """Looks whether the order is paid, charges it, and writes that down."""

    def __init__(self, client: DynamoDBClient, processor: lab.CardProcessor) -> None:
        """Charge with this processor, and write to the table payments."""
        self.client = client
        self.processor = processor

    def __call__(self, event: dict[str, Any], _context: object) -> None:
        """Handle one SQS event."""
        for record in event["Records"]:
            order_id = json.loads(record["body"])["detail"]["order_id"]
            key = {"order_id": {"S": order_id}}
            if "Item" in self.client.get_item(TableName="payments", Key=key):
                continue
            self.processor.charge_anew(order_id)
            self.client.put_item(TableName="payments", Item=key)


def one_after_the_other(handler: lab.Handler) -> None:
    """Deliver the message, and once more."""
    for _ in range(2):
        lab.quietly(handler, MESSAGE)


def at_once(client: DynamoDBClient, handler: lab.Handler) -> None:
    """Deliver the message; before the function writes, deliver it to a second instance."""
    lab.twice_at_once(client, lambda: lab.quietly(handler, MESSAGE))


def show(name: str, make: Callable[[DynamoDBClient, lab.CardProcessor], lab.Handler]) -> None:
    """Print how often the order was charged."""
    counts = []
    for at_the_same_time in (False, True):
        client, processor = lab.tables(), lab.CardProcessor()
        if at_the_same_time:
            at_once(client, make(client, processor))
        else:
            one_after_the_other(make(client, processor))
        counts.append(processor.charges["order-1"])
    print(f"{name}  charged {counts[0]} x one after the other, {counts[1]} x at once")


show("forgetful  ", lambda _client, processor: Forgetful(processor))
show("looks first", LooksFirst)
show("ours       ", lambda client, processor: lab.payments(client, processor, lab.bus().bus))
