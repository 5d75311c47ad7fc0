"""An order is cancelled; its two events reach payments in one order or the other."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import lab

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient

PLACED, CANCELLED = lab.order_placed("order-1"), lab.order_cancelled("order-1")


class Naive:
    """Charges an order that was placed; refunds one that was cancelled, if it was charged."""

    def __init__(self, client: DynamoDBClient, processor: lab.CardProcessor) -> None:
        """Charge with this processor, and write to the table payments."""
        self.client = client
        self.processor = processor

    def __call__(self, event: dict[str, Any], _context: object) -> None:
        """Handle one SQS event."""
        for record in event["Records"]:
            body = json.loads(record["body"])
            key = {"order_id": {"S": body["detail"]["order_id"]}}
            payment = self.client.get_item(TableName="payments", Key=key).get("Item")
            match body["detail-type"]:
                case "order.placed" if not payment:
                    self.processor.charge_anew(key["order_id"]["S"])
                    self.client.put_item(
                        TableName="payments", Item={**key, "state": {"S": "charged"}}
                    )
                case "order.cancelled" if payment:
                    self.processor.charges.pop(key["order_id"]["S"], None)
                    self.client.put_item(
                        TableName="payments", Item={**key, "state": {"S": "refunded"}}
                    )


for name, is_ours in (("naive", False), ("ours ", True)):
    for events in ([PLACED, CANCELLED], [CANCELLED, PLACED]):
        client, processor = lab.tables(), lab.CardProcessor()
        naive = Naive(client, processor)
        handler = lab.payments(client, processor, lab.bus().bus) if is_ours else naive
        for event in events:
            lab.quietly(handler, lab.sqs_event(event))
        (payment,) = client.scan(TableName="payments")["Items"]
        sequence = ", then ".join(event["detail-type"] for event in events)
        state, charges = payment["state"]["S"], processor.charges["order-1"]
        print(f"{name}  {sequence:<34}  {state:<8}  {charges} x charged")
