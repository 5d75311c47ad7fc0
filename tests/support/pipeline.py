"""The deployed pipeline, driven from outside by the public AWS APIs alone."""

from __future__ import annotations

import json
import os
import uuid
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from datetime import UTC, datetime, timedelta
from typing import Any, Self

import boto3
import pytest

from orderctl.localcloud.lifecycle import LocalCloud
from orderctl.pipeline import Pipeline
from orderctl.pipeline.steps import CONSUMERS, url_output
from orderctl.pipeline.updates import OrderUpdates
from orderctl.waiting import wait_until
from orders.clock import timestamp

AT_ONCE = 10
# The deployed stack that is tried, in place of one of our own; see `make test-aws`.
STACK = os.environ.get("ORDERCTL_TEST_STACK")


# On AWS a failed charge waits for its retry, and an alarm for its minute.
PATIENCE_SECONDS = 300 if STACK else 30


def eventually(holds: Callable[[], object], within: float = PATIENCE_SECONDS) -> None:
    """Wait until something holds; fail with its last value when it does not."""
    value = wait_until(holds, patience_seconds=within, poll_seconds=0.1)
    assert value, f"not within {within} s; last seen: {value!r}"


def in_tens(things: Sequence[Any]) -> Iterator[Sequence[Any]]:
    """The things in groups of as many as a batch call takes."""
    for start in range(0, len(things), AT_ONCE):
        yield things[start : start + AT_ONCE]


class PipelineUnderTest(Pipeline):
    """What tests do to the pipeline beyond what an engineer does."""

    def __init__(self, session: boto3.Session, stack_name: str, cloud: LocalCloud | None) -> None:
        """Take a stack.

        Args:
            session: its account and region.
            stack_name: its name.
            cloud: the local cloud it is in, if it is in one of ours.
        """
        super().__init__(session, stack_name)
        self._cloud = cloud
        self._started = datetime.now(UTC)
        self.events = session.client("events")
        self.sqs = session.client("sqs")
        self.logs = session.client("logs")
        self.iam = session.client("iam")
        self.dynamodb = session.client("dynamodb")
        self.apigateway = session.client("apigateway")
        self.cloudformation = session.client("cloudformation")
        # Ids and articles of its own, so that tests do not meet in the tables.
        self._name = uuid.uuid4().hex[:8]
        self._updates: str | None = None
        self._stocked: set[str] = set()

    @property
    def cloud(self) -> LocalCloud:
        """The local cloud, for what is not done to a stack that others use: the test is skipped."""
        if self._cloud is None:
            pytest.skip("it changes or breaks the stack, which is done to the local cloud's only")
        return self._cloud

    def ids(self, count: int) -> list[str]:
        """That many order ids nobody else uses."""
        return [f"{self._name}-{number}" for number in range(count)]

    def sku(self, name: str) -> str:
        """An article nobody else has; the role of delivery/ may set the stock of such ones only."""
        return f"smoke-{self._name}-{name}"

    @contextmanager
    def visiting(self) -> Iterator[Self]:
        """With a subscription of its own, so that the shop's services miss no update.

        That, its queue and the stock of its articles are gone afterwards, whatever happens.
        """
        sns = self.session.client("sns")
        topic = self.stack.outputs["OrderUpdatesTopicArn"]
        name = f"{self.stack.prefix}order-pipeline-smoke-{self._name}.fifo"
        with ExitStack() as leaving:
            queue = self.sqs.create_queue(QueueName=name, Attributes={"FifoQueue": "true"})
            leaving.callback(self.sqs.delete_queue, QueueUrl=queue["QueueUrl"])
            found = self.sqs.get_queue_attributes(
                QueueUrl=queue["QueueUrl"], AttributeNames=["QueueArn"]
            )
            arn = found["Attributes"]["QueueArn"]
            self.sqs.set_queue_attributes(
                QueueUrl=queue["QueueUrl"], Attributes={"Policy": _lets_in(topic, arn)}
            )
            subscription = sns.subscribe(
                TopicArn=topic,
                Protocol="sqs",
                Endpoint=arn,
                Attributes={"RawMessageDelivery": "true"},
                ReturnSubscriptionArn=True,
            )
            leaving.callback(sns.unsubscribe, SubscriptionArn=subscription["SubscriptionArn"])
            leaving.callback(self._clear_stock)
            self._updates = queue["QueueUrl"]
            yield self

    def take_updates(self) -> list[dict[str, Any]]:
        """The updates that have come since the last time, for its own subscription."""
        return OrderUpdates(self.sqs, self._updates).take() if self._updates else []

    def set_stock(self, available: Mapping[str, int]) -> None:
        """Put in that much of articles that are new, and are cleared away at the end."""
        self._stocked |= available.keys()
        for sku, quantity in available.items():
            number = {"N": str(quantity)}
            item = {"sku": {"S": sku}, "available": number, "put_in": number}
            self.dynamodb.put_item(TableName=self.stack.outputs["StockTableName"], Item=item)

    def _clear_stock(self) -> None:
        for sku in self._stocked:
            self.dynamodb.delete_item(
                TableName=self.stack.outputs["StockTableName"], Key={"sku": {"S": sku}}
            )

    def publish(self, *details: Mapping[str, Any]) -> None:
        """Put ``order.placed`` events on the bus, as any publisher could."""
        self.publish_events([("order.placed", detail) for detail in details])

    def publish_events(
        self, events: Sequence[tuple[str, Mapping[str, Any]]], source: str = "com.myapp.orders"
    ) -> None:
        """Put events of one source on the bus: their detail-types and details."""
        for group in in_tens(events):
            answer = self.events.put_events(
                Entries=[
                    {
                        "EventBusName": self.stack.outputs["EventBusName"],
                        "Source": source,
                        "DetailType": detail_type,
                        "Detail": json.dumps(detail),
                    }
                    for detail_type, detail in group
                ]
            )
            assert answer["FailedEntryCount"] == 0

    def send(self, queue_output: str, *bodies: str) -> None:
        """Put raw messages on a queue, where nobody minds."""
        assert self.cloud
        for group in in_tens(bodies):
            answer = self.sqs.send_message_batch(
                QueueUrl=self.stack.outputs[queue_output],
                Entries=[
                    {"Id": str(number), "MessageBody": body} for number, body in enumerate(group)
                ],
            )
            assert not answer.get("Failed")

    def charged(self, ids: Sequence[str]) -> set[str]:
        """Which of these orders are charged."""
        return {
            i for i, payment in self.orders.payments(ids).items() if payment["state"] == "charged"
        }

    def reserved(self, ids: Sequence[str]) -> set[str]:
        """Which of these orders are reserved."""
        return {i for i, r in self.orders.reservations(ids).items() if r["state"] == "reserved"}

    def idle(self) -> bool:
        """Whether no message is on its way in the queues of the consumers."""
        return not any(self.queue(step.queue).depth() for step in CONSUMERS.values())

    def statuses(self, ids: Sequence[str]) -> dict[str, str]:
        """How these orders stand; those that are not tracked yet are left out."""
        return {order_id: order["status"] for order_id, order in self.orders.find(ids).items()}

    def unfinished(self) -> list[str]:
        """The orders in the index of the unfinished."""
        pages = self.dynamodb.get_paginator("scan").paginate(
            TableName=self.stack.outputs["OrdersTableName"], IndexName="unfinished"
        )
        return [item["order_id"]["S"] for page in pages for item in page["Items"]]

    def backdate(self, order_id: str, by: timedelta) -> None:
        """Make an order as old as if it had been placed earlier."""
        self.dynamodb.update_item(
            TableName=self.stack.outputs["OrdersTableName"],
            Key={"order_id": {"S": order_id}},
            UpdateExpression="SET placed_at = :time",
            ExpressionAttributeValues={":time": {"S": timestamp(datetime.now(UTC) - by)}},
        )

    def log_lines(self, function: str) -> list[dict[str, Any]]:
        """Every structured line a function has logged."""
        pages = self.logs.get_paginator("filter_log_events").paginate(
            logGroupName=f"/aws/lambda/{self.stack.prefix}{function}",
            startTime=int(self._started.timestamp() * 1000),
        )
        messages = (event["message"] for page in pages for event in page["events"])
        return [json.loads(message) for message in messages if message.startswith("{")]

    def drain_dead_letter_queues(self) -> None:
        """Throw away what earlier tests parked, and wait until the queues' alarms have seen it.

        On a stack that others use nothing is thrown away: there must be nothing.
        """
        if self._cloud is None:
            assert not any(self.dead_letters.depths().values()), (
                "redrive or purge the dead-letter queues first"
            )
            return
        eventually(lambda: not self._drained_of_any() and self._dead_letter_alarms() == {"OK"})

    def _drained_of_any(self) -> bool:
        """Whether there was a message to throw away: the caretaker may still bring some back."""
        filled = [queue for queue in self.dead_letters.queues() if queue.depth()]
        for queue in filled:
            output = url_output(queue.step.dead_letter_queue)
            self.sqs.purge_queue(QueueUrl=self.stack.outputs[output])
        return bool(filled)

    def _dead_letter_alarms(self) -> set[str]:
        """The states that the dead-letter queues' alarms are in."""
        states = self.alarms.states()
        return {states[name] for name in states if name.endswith("-dlq")}

    @contextmanager
    def without_permission(self, role_output: str, action: str) -> Iterator[None]:
        """Take an action out of a role's policy for a while.

        Args:
            role_output: the logical id of the role.
            action: such as ``sns:Publish``.
        """
        found = self.cloudformation.describe_stack_resource(
            StackName=self.cloud.state.stack_name, LogicalResourceId=role_output
        )
        role = found["StackResourceDetail"]["PhysicalResourceId"]
        policy, document = next(
            (name, found)
            for name in self.iam.list_role_policies(RoleName=role)["PolicyNames"]
            for found in [
                self.iam.get_role_policy(RoleName=role, PolicyName=name)["PolicyDocument"]
            ]
            if any(action in _as_list(s["Action"]) for s in found["Statement"])
        )
        kept = [s for s in document["Statement"] if action not in _as_list(s["Action"])]
        self._put_policy(role, policy, {**document, "Statement": kept})
        try:
            yield
        finally:
            self._put_policy(role, policy, document)

    def _put_policy(self, role: str, policy: str, document: Mapping[str, Any]) -> None:
        self.iam.put_role_policy(
            RoleName=role, PolicyName=policy, PolicyDocument=json.dumps(document)
        )


def _lets_in(topic: str, queue: str) -> str:
    """The policy of a queue that a topic may send to."""
    statement = {
        "Effect": "Allow",
        "Principal": {"Service": "sns.amazonaws.com"},
        "Action": "sqs:SendMessage",
        "Resource": queue,
        "Condition": {"ArnEquals": {"aws:SourceArn": topic}},
    }
    return json.dumps({"Version": "2012-10-17", "Statement": [statement]})


def _as_list(value: str | list[str]) -> list[str]:
    return value if isinstance(value, list) else [value]
