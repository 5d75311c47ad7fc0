"""A deployed pipeline as an engineer sees it: its API, tables, queues and alarms."""

from __future__ import annotations

import json
import time
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import cached_property
from typing import TYPE_CHECKING, Any

from orderctl import flow, reading, stack, tokens
from orderctl.api_client import ApiClient, Reply
from orderctl.consumers import Consumer
from orderctl.dead_letters import DeadLetterQueue, FailedInvocations, UndeliveredEvents
from orderctl.errors import OrderctlError
from orderctl.logs import FunctionLog
from orderctl.queues import Queue
from orderctl.stock import Stock

if TYPE_CHECKING:
    import boto3
    from mypy_boto3_cloudwatch.type_defs import MetricAlarmTypeDef

_READ_AT_ONCE = 100
_THROTTLED_PAUSE_SECONDS = 0.2
_DLQ_OUTPUT = "DLQUrl"
# What came from no queue, and so cannot be moved back by SQS.
_DELIVERED_FROM_HERE = {
    "NotificationsDLQUrl": FailedInvocations,
    "UndeliverableEventsDLQUrl": UndeliveredEvents,
}
_EVENT_BUS = "order-events"
_METRIC_PERIOD_SECONDS = 60
_METRIC_WINDOW = timedelta(minutes=10)


_FUNCTION = "AWS::Lambda::Function"


class MissingResourceError(OrderctlError):
    """The stack lacks something that this version of the template has."""


@dataclass(frozen=True, slots=True)
class StackResource:
    """A resource of the stack."""

    type: str
    physical_id: str


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

    def place(self, order: Mapping[str, Any]) -> Reply:
        """Post an order to the API; an error answer is an answer, too."""
        return self.api.place(json.dumps(order).encode())

    def api_client(self, connections: int) -> ApiClient:
        """The API over so many connections, for many orders at once."""
        url = self.outputs["ApiUrl"]
        return ApiClient(self._session, url, connections=connections, token=self._api_token)

    @cached_property
    def api(self) -> ApiClient:
        """The API over one connection."""
        return self.api_client(connections=1)

    @cached_property
    def _api_token(self) -> str | None:
        """The token that the API wants; None when it takes signed requests, or all."""
        if self.outputs.get("ApiAuthorization") != tokens.JWT:
            return None
        return tokens.for_orderctl(self._session, self.outputs["ApiUrl"], self.parameters())

    def show(self, order_id: str) -> Reply:
        """Ask the API how an order stands; an error answer is an answer, too."""
        return self.api.show(order_id)

    def cancel(self, order_id: str) -> Reply:
        """Ask the API to cancel an order; an error answer is an answer, too."""
        return self.api.cancel(order_id)

    def set_stock(self, available: Mapping[str, int]) -> None:
        """Set how much there is of each SKU."""
        for sku, quantity in available.items():
            self._dynamodb.put_item(
                TableName=self.outputs["StockTableName"],
                Item={"sku": {"S": sku}, "available": {"N": str(quantity)}},
            )

    def available(self) -> dict[str, int]:
        """How much there is of each SKU; an item that cannot be read is left out."""
        return {sku: number for sku, number in self.stock_levels().items() if number is not None}

    def stock_levels(self) -> dict[str, int | None]:
        """How much there is of each SKU; None where that cannot be read."""
        pages = self._dynamodb.get_paginator("scan").paginate(
            TableName=self.outputs["StockTableName"], ConsistentRead=True
        )
        return {
            item["sku"]["S"]: reading.whole(item.get("available", {}).get("N"))
            for page in pages
            for item in page["Items"]
        }

    def reserved_stock(self) -> tuple[dict[str, int], list[str]]:
        """How much of each SKU orders hold, from all reservations: a scan of their table.

        Returns:
            How much by SKU; and the orders whose reservations cannot be read and are not in it.
        """
        held: Counter[str] = Counter()
        unreadable: list[str] = []
        pages = self._dynamodb.get_paginator("scan").paginate(
            TableName=self.outputs["ReservationsTableName"],
            FilterExpression="#state = :reserved",
            ExpressionAttributeNames={"#state": "state", "#lines": "lines"},
            ExpressionAttributeValues={":reserved": {"S": "reserved"}},
            ProjectionExpression="order_id, #lines",
        )
        for page in pages:
            for item in page["Items"]:
                reservation = _plain(item)
                lines = reserved_lines(reservation)
                if lines is None:
                    unreadable.append(reservation["order_id"])
                else:
                    held.update(lines)
        return dict(held), unreadable

    def orders(self, order_ids: Sequence[str]) -> dict[str, dict[str, Any]]:
        """How these orders stand, by order id; an order that is not tracked yet is left out."""
        return self._items(self.outputs["OrdersTableName"], order_ids)

    def payments(self, order_ids: Sequence[str]) -> dict[str, dict[str, Any]]:
        """The payments of these orders, by order id; an order without one is left out."""
        return self._items(self.outputs["PaymentsTableName"], order_ids)

    def reservations(self, order_ids: Sequence[str]) -> dict[str, dict[str, Any]]:
        """The reservations of these orders, by order id; an order without one is left out."""
        return self._items(self.outputs["ReservationsTableName"], order_ids)

    def take_updates(self, queue: str | None = None) -> list[dict[str, Any]]:
        """Receive order updates, as a shop's own service would, and delete them.

        Args:
            queue: The URL of a queue that is subscribed to them; the stack's own if not given.
        """
        queue = queue or self.outputs["OrderUpdatesQueueUrl"]
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

        In a dead-letter queue that is since it was parked, though its retention counts from when
        it was sent ("Setting up dead-letter queue retention", SQS developer guide).

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
            placed_before: leaves out what was placed later; not what does not say when, which
                needs somebody to look.
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
            if (reading.time(item["placed_at"]["S"]) or placed_before) <= placed_before
        ]
        # The index lags behind the table.
        orders = [order for order in self.orders(ids).values() if "unfinished" in order]
        return sorted(orders, key=lambda order: str(order.get("placed_at")))

    def unfinished_count(self) -> tuple[int, datetime | None]:
        """How many orders are not finished, and when the oldest was placed, as far as they say."""
        pages = self._dynamodb.get_paginator("scan").paginate(
            TableName=self.outputs["OrdersTableName"],
            IndexName="unfinished",
            ProjectionExpression="placed_at",
        )
        times = [reading.time(item["placed_at"]["S"]) for page in pages for item in page["Items"]]
        return len(times), min(filter(None, times), default=None)

    def queue_counts(self, queue_output: str) -> tuple[int, int]:
        """How many messages wait in a queue, and how many are being worked on.

        Args:
            queue_output: the output that names the queue, such as PaymentsQueueUrl.
        """
        return Queue(self._sqs, self.outputs[queue_output]).counts()

    def name_prefix(self) -> str:
        """What stands before every name of this stack: its parameter NamePrefix."""
        return self.outputs["EventBusName"].removesuffix(_EVENT_BUS)

    def parameter(self, name: str) -> str:
        """The value of a parameter of the stack.

        Raises:
            MissingResourceError: it has no such parameter.
        """
        values = self.parameters()
        if name not in values:
            raise MissingResourceError(
                f"Stack {self.stack_name} has no parameter {name}: it was deployed from an older "
                "template. Deploy the present one."
            )
        return values[name]

    def parameters(self) -> dict[str, str]:
        """The values of the stack's parameters."""
        cloudformation = self._session.client("cloudformation")
        (found,) = cloudformation.describe_stacks(StackName=self.stack_name)["Stacks"]
        return stack.parameters_of(found)

    @property
    def session(self) -> boto3.Session:
        """The account and region of the stack, for what has a module of its own."""
        return self._session

    @cached_property
    def resources(self) -> Mapping[str, StackResource]:
        """The stack's resources, by logical id."""
        pages = self._session.client("cloudformation").get_paginator("list_stack_resources")
        return {
            found["LogicalResourceId"]: StackResource(
                found["ResourceType"], found.get("PhysicalResourceId", "")
            )
            for page in pages.paginate(StackName=self.stack_name)
            for found in page["StackResourceSummaries"]
        }

    def physical_id(self, logical_id: str) -> str:
        """What a resource of the template is called in the account.

        Raises:
            MissingResourceError: the stack has no such resource.
        """
        if logical_id not in self.resources:
            raise MissingResourceError(
                f"Stack {self.stack_name} has no {logical_id}: it was deployed from an older "
                "template. Deploy the present one."
            )
        return self.resources[logical_id].physical_id

    def functions(self) -> list[str]:
        """The names of the stack's functions."""
        found = self.resources.values()
        return sorted(each.physical_id for each in found if each.type == _FUNCTION)

    def function_log(self, function: str) -> FunctionLog:
        """The log of a function, by its name."""
        settings = self._session.client("lambda").get_function_configuration(FunctionName=function)
        group = settings.get("LoggingConfig", {}).get("LogGroup", f"/aws/lambda/{function}")
        return FunctionLog(self._session.client("logs"), group, function)

    def stock(self) -> Stock:
        """The table of the stock."""
        return Stock(self._dynamodb, self.outputs["StockTableName"])

    def consumer(self, name: str) -> Consumer:
        """One of the consumers of the queues, by its name in `flow.CONSUMERS`."""
        mapping = self.physical_id(flow.CONSUMERS[name].event_source or "")
        return Consumer(self._session.client("lambda"), name, mapping)

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
        for start in range(0, len(order_ids), _READ_AT_ONCE):
            keys = [{"order_id": {"S": i}} for i in order_ids[start : start + _READ_AT_ONCE]]
            wanted: Any = {table: {"Keys": keys}}
            while wanted:
                answer = self._dynamodb.batch_get_item(RequestItems=wanted)
                for item in answer["Responses"].get(table, []):
                    plain = _plain(item)
                    found[plain["order_id"]] = plain
                # What DynamoDB leaves out when it is throttled, or past 16 MB.
                if wanted := answer.get("UnprocessedKeys"):
                    time.sleep(_THROTTLED_PAUSE_SECONDS)
        return found

    def depth(self, queue_output: str) -> int:
        """How many messages are in a queue, those being worked on included.

        Args:
            queue_output: the output that names the queue, such as PaymentsQueueUrl.
        """
        return self._depth(self.outputs[queue_output])

    def _depth(self, url: str) -> int:
        return Queue(self._sqs, url).depth()


def reserved_lines(reservation: Mapping[str, Any]) -> dict[str, int] | None:
    """How much of each SKU a reservation holds; None when that cannot be read."""
    held: Counter[str] = Counter()
    lines = reservation.get("lines")
    for line in lines if isinstance(lines, list) else [None]:
        match line:
            case {"sku": str(sku), "quantity": quantity}:
                number = reading.whole(quantity)
            case _:
                return None
        if number is None:
            return None
        held[sku] += number
    return dict(held)


def _plain(item: Mapping[str, Any]) -> dict[str, Any]:
    """An item with plain values instead of the low-level API's."""
    from boto3.dynamodb.types import TypeDeserializer  # noqa: PLC0415 — slow to load

    deserialize = TypeDeserializer().deserialize
    return {name: deserialize(value) for name, value in item.items()}
