"""A deployed pipeline as an engineer sees it: its API, tables, queues and alarms."""

from __future__ import annotations

import http.client
import json
import urllib.error
import urllib.request
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any
from urllib.parse import quote, urlsplit

from boto3.dynamodb.types import TypeDeserializer

from orderctl import stack
from orderctl.dead_letters import DeadLetterQueue, FailedInvocations, UndeliveredEvents
from orderctl.errors import OrderctlError
from orderctl.processes import LOOPBACK
from orderctl.queues import Queue

if TYPE_CHECKING:
    import boto3
    from mypy_boto3_cloudwatch.type_defs import MetricAlarmTypeDef

_API_TIMEOUT_SECONDS = 30
_READ_AT_ONCE = 100
_DLQ_OUTPUT = "DLQUrl"
# What came from no queue, and so cannot be moved back by SQS.
_DELIVERED_FROM_HERE = {
    "NotificationsDLQUrl": FailedInvocations,
    "UndeliverableEventsDLQUrl": UndeliveredEvents,
}
_EVENT_BUS = "order-events"
_METRIC_PERIOD_SECONDS = 60
_METRIC_WINDOW = timedelta(minutes=10)


class ApiError(OrderctlError):
    """The order API cannot be reached."""


@dataclass(frozen=True, slots=True)
class Answer:
    """What the API answered."""

    status: int
    body: Any


class Pipeline:
    """Reads and drives one stack through AWS's public APIs."""

    def __init__(
        self,
        session: boto3.Session,
        outputs: Mapping[str, str],
        *,
        stack_name: str = stack.DEFAULT_NAME,
    ) -> None:
        """Take the stack's outputs.

        Args:
            session: the account and region of the stack.
            outputs: the stack's outputs, with addresses that can be reached from here.
            stack_name: the stack's name.
        """
        self.outputs = outputs
        self.stack_name = stack_name
        self._session = session
        self._dynamodb = session.client("dynamodb")
        self._sqs = session.client("sqs")
        self._cloudwatch = session.client("cloudwatch")

    @property
    def session(self) -> boto3.Session:
        """The account and region of the stack."""
        return self._session

    def place(self, order: Mapping[str, Any]) -> Answer:
        """Post an order to the API; an error answer is an answer, too."""
        return self._request("POST", "/orders", order)

    def show(self, order_id: str) -> Answer:
        """Ask the API how an order stands; an error answer is an answer, too."""
        return self._request("GET", f"/orders/{quote(order_id, safe='')}")

    def cancel(self, order_id: str) -> Answer:
        """Ask the API to cancel an order; an error answer is an answer, too."""
        return self._request("DELETE", f"/orders/{quote(order_id, safe='')}")

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

    def orders(self, order_ids: Sequence[str]) -> dict[str, dict[str, Any]]:
        """How these orders stand, by order id; an order that is not tracked yet is left out."""
        return self._items(self.outputs["OrdersTableName"], order_ids)

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
        return {alarm["AlarmName"]: alarm["StateValue"] for alarm in self._alarms()}

    def queue_alarms(self) -> dict[str, str]:
        """The state of the alarm on each dead-letter queue, by the queue's name."""
        return {
            dimension["Value"]: alarm["StateValue"]
            for alarm in self._alarms()
            for dimension in alarm.get("Dimensions", [])
            if dimension["Name"] == "QueueName"
        }

    def redrive(self, queue_output: str) -> None:
        """Move the messages of a dead-letter queue back to the queues they came from.

        Args:
            queue_output: the output that names the dead-letter queue, such as PaymentsDLQUrl.
        """
        url = self.outputs[queue_output]
        arn = self._sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["QueueArn"])
        self._sqs.start_message_move_task(SourceArn=arn["Attributes"]["QueueArn"])

    def dead_letter_queues(self) -> list[DeadLetterQueue]:
        """The dead-letter queues, each of the kind that knows the way back."""
        functions = self._session.client("lambda")
        queues: list[DeadLetterQueue] = []
        for output, url in self.outputs.items():
            if output in _DELIVERED_FROM_HERE:
                queues.append(_DELIVERED_FROM_HERE[output](self._sqs, url, functions))
            elif output.endswith(_DLQ_OUTPUT):
                queues.append(DeadLetterQueue(self._sqs, url))
        return queues

    def updates(self) -> Queue:
        """The queue of the order updates."""
        return Queue(self._sqs, self.outputs["OrderUpdatesQueueUrl"])

    def oldest_age(self, queue: str) -> timedelta | None:
        """How long the oldest message has been in a queue; None while CloudWatch has no metric.

        Args:
            queue: the queue's name.
        """
        now = datetime.now(UTC)
        datapoints = self._cloudwatch.get_metric_statistics(
            Namespace="AWS/SQS",
            MetricName="ApproximateAgeOfOldestMessage",
            Dimensions=[{"Name": "QueueName", "Value": queue}],
            StartTime=now - _METRIC_WINDOW,
            EndTime=now,
            Period=_METRIC_PERIOD_SECONDS,
            Statistics=["Maximum"],
        )["Datapoints"]
        if not datapoints:
            return None
        newest = max(datapoints, key=lambda datapoint: datapoint["Timestamp"])
        return timedelta(seconds=newest["Maximum"])

    def unfinished_orders(self, placed_before: datetime) -> list[dict[str, Any]]:
        """The orders that are not finished, oldest first.

        Args:
            placed_before: leaves out what was placed later.
        """
        # A scan, as the index holds nothing else; its keys are only there to spread the writes.
        pages = self._dynamodb.get_paginator("scan").paginate(
            TableName=self.outputs["OrdersTableName"],
            IndexName="unfinished",
        )
        ids = [
            item["order_id"]["S"]
            for page in pages
            for item in page["Items"]
            if datetime.fromisoformat(item["placed_at"]["S"]) <= placed_before
        ]
        # The index lags behind the table.
        orders = [order for order in self.orders(ids).values() if "unfinished" in order]
        return sorted(orders, key=lambda order: str(order["placed_at"]))

    def name_prefix(self) -> str:
        """What stands before every name of this stack: its parameter NamePrefix."""
        return self.outputs["EventBusName"].removesuffix(_EVENT_BUS)

    def parameter(self, name: str) -> str:
        """The value of a parameter of the stack."""
        cloudformation = self._session.client("cloudformation")
        (found,) = cloudformation.describe_stacks(StackName=self.stack_name)["Stacks"]
        return next(p["ParameterValue"] for p in found["Parameters"] if p["ParameterKey"] == name)

    def _request(self, method: str, path: str, body: Mapping[str, Any] | None = None) -> Answer:
        url = self.outputs["ApiUrl"]
        request = urllib.request.Request(  # noqa: S310 - the stack's own URL
            url + path,
            method=method,
            data=None if body is None else json.dumps(body).encode(),
            headers={"Content-Type": "application/json"},
        )
        # A proxy reaches another machine by that address.
        here = urlsplit(url).hostname == LOOPBACK
        opener = urllib.request.build_opener(*[urllib.request.ProxyHandler({})] if here else [])
        try:
            with opener.open(request, timeout=_API_TIMEOUT_SECONDS) as response:
                return _answer(response.status, response.read())
        except urllib.error.HTTPError as error:
            with error:
                return _answer(error.code, error.read())
        except (OSError, http.client.HTTPException) as error:
            raise ApiError(f"The order API does not answer at {url}: {error}") from error

    def _alarms(self) -> Iterator[MetricAlarmTypeDef]:
        """The stack's alarms: those that are told to its topic."""
        topic = self.outputs["PipelineAlarmsTopicArn"]
        pages = self._cloudwatch.get_paginator("describe_alarms").paginate()
        return (
            alarm
            for page in pages
            for alarm in page["MetricAlarms"]
            if topic in alarm["AlarmActions"]
        )

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
        return Queue(self._sqs, url).depth()


def _answer(status: int, body: bytes) -> Answer:
    """An answer of the API; what is not JSON comes from something in between, and is left out."""
    try:
        return Answer(status, json.loads(body))
    except ValueError:
        return Answer(status, None)
