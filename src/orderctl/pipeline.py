"""A deployed pipeline as an engineer sees it: its API, tables, queues and alarms."""

from __future__ import annotations

import json
import urllib.error
import urllib.request
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from boto3.dynamodb.types import TypeDeserializer

if TYPE_CHECKING:
    import boto3

_API_TIMEOUT_SECONDS = 30
_READ_AT_ONCE = 100
_DLQ_OUTPUT = "DLQUrl"


@dataclass(frozen=True, slots=True)
class Answer:
    """What the API answered."""

    status: int
    body: Any


class Pipeline:
    """Reads and drives one stack through AWS's public APIs."""

    def __init__(self, session: boto3.Session, outputs: Mapping[str, str]) -> None:
        """Take the stack's outputs.

        Args:
            session: the account and region of the stack.
            outputs: the stack's outputs, with addresses that can be reached from here.
        """
        self.outputs = outputs
        self._dynamodb = session.client("dynamodb")
        self._sqs = session.client("sqs")
        self._cloudwatch = session.client("cloudwatch")

    def place(self, order: Mapping[str, Any]) -> Answer:
        """Post an order to the API; an error answer is an answer, too."""
        request = urllib.request.Request(  # noqa: S310 - the stack's own URL
            f"{self.outputs['ApiUrl']}/orders",
            data=json.dumps(order).encode(),
            headers={"Content-Type": "application/json"},
        )
        try:
            with urllib.request.urlopen(request, timeout=_API_TIMEOUT_SECONDS) as response:  # noqa: S310
                return Answer(response.status, json.load(response))
        except urllib.error.HTTPError as error:
            with error:
                return Answer(error.code, json.loads(error.read() or b"null"))

    def set_stock(self, available: Mapping[str, int]) -> None:
        """Set how much there is of each SKU."""
        for sku, quantity in available.items():
            self._dynamodb.put_item(
                TableName=self.outputs["StockTableName"],
                Item={"sku": {"S": sku}, "available": {"N": str(quantity)}},
            )

    def available(self) -> dict[str, int]:
        """How much there is of each SKU."""
        pages = self._dynamodb.get_paginator("scan").paginate(
            TableName=self.outputs["StockTableName"], ConsistentRead=True
        )
        return {
            item["sku"]["S"]: int(item["available"]["N"])
            for page in pages
            for item in page["Items"]
        }

    def payments(self, order_ids: Sequence[str]) -> dict[str, dict[str, Any]]:
        """The payments of these orders, by order id; an order without one is left out."""
        return self._items(self.outputs["PaymentsTableName"], order_ids)

    def reservations(self, order_ids: Sequence[str]) -> dict[str, dict[str, Any]]:
        """The reservations of these orders, by order id; an order without one is left out."""
        return self._items(self.outputs["ReservationsTableName"], order_ids)

    def take_updates(self) -> list[dict[str, Any]]:
        """Receive order updates, as a shop's own service would, and delete them."""
        queue = self.outputs["OrderUpdatesQueueUrl"]
        messages = self._sqs.receive_message(QueueUrl=queue, MaxNumberOfMessages=10).get(
            "Messages", []
        )
        for message in messages:
            self._sqs.delete_message(QueueUrl=queue, ReceiptHandle=message["ReceiptHandle"])
        return [json.loads(message["Body"]) for message in messages]

    def parked(self) -> dict[str, int]:
        """How many messages are in each dead-letter queue, by the queue's name."""
        urls = [url for name, url in self.outputs.items() if name.endswith(_DLQ_OUTPUT)]
        return {url.rsplit("/", 1)[1]: self._depth(url) for url in urls}

    def alarms(self) -> dict[str, str]:
        """The state of each of the stack's alarms, by its name."""
        topic = self.outputs["PipelineAlarmsTopicArn"]
        pages = self._cloudwatch.get_paginator("describe_alarms").paginate()
        return {
            alarm["AlarmName"]: alarm["StateValue"]
            for page in pages
            for alarm in page["MetricAlarms"]
            if topic in alarm["AlarmActions"]
        }

    def redrive(self, queue_output: str) -> None:
        """Move the messages of a dead-letter queue back to the queues they came from.

        Args:
            queue_output: the output that names the dead-letter queue, such as PaymentsDLQUrl.
        """
        url = self.outputs[queue_output]
        arn = self._sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["QueueArn"])
        self._sqs.start_message_move_task(SourceArn=arn["Attributes"]["QueueArn"])

    def _items(self, table: str, order_ids: Sequence[str]) -> dict[str, dict[str, Any]]:
        found: dict[str, dict[str, Any]] = {}
        deserialize = TypeDeserializer().deserialize
        for start in range(0, len(order_ids), _READ_AT_ONCE):
            keys = [{"order_id": {"S": i}} for i in order_ids[start : start + _READ_AT_ONCE]]
            answer = self._dynamodb.batch_get_item(RequestItems={table: {"Keys": keys}})
            for item in answer["Responses"].get(table, []):
                plain = {name: deserialize(value) for name, value in item.items()}
                found[plain["order_id"]] = plain
        return found

    def depth(self, queue_output: str) -> int:
        """How many messages are in a queue, those being worked on included.

        Args:
            queue_output: the output that names the queue, such as PaymentsQueueUrl.
        """
        return self._depth(self.outputs[queue_output])

    def _depth(self, url: str) -> int:
        attributes = self._sqs.get_queue_attributes(
            QueueUrl=url,
            AttributeNames=["ApproximateNumberOfMessages", "ApproximateNumberOfMessagesNotVisible"],
        )["Attributes"]
        return sum(int(number) for number in attributes.values())
