"""Reads the order updates as a shop's own service would, or beside it."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import TYPE_CHECKING, Any, Final

from orderctl.pipeline.queues import Queue
from orderctl.pipeline.temporary import TemporaryQueue, TemporaryQueues

if TYPE_CHECKING:
    import boto3
    from mypy_boto3_sns import SNSClient

    from orderctl.pipeline.stack import Stack

_NAME: Final = "orderctl-updates-"


class OrderUpdates(Queue):
    """The queue that is subscribed to the topic of order updates."""

    def take(self) -> list[dict[str, Any]]:
        """Receive up to ten updates that are there now, and delete them."""
        messages = self.receive(wait_seconds=0)
        self.delete(messages)
        return [json.loads(message.body) for message in messages]


class UpdateFeeds:
    """Subscriptions to the topic of order updates that are there only while they are followed."""

    def __init__(self, session: boto3.Session, stack: Stack) -> None:
        """Take the stack."""
        self._sns: SNSClient = session.client("sns")
        self._topic = stack.outputs["OrderUpdatesTopicArn"]
        self._queues = TemporaryQueues(
            session.client("sqs"), f"{stack.prefix}{_NAME}", suffix=".fifo"
        )

    @contextmanager
    def follow(self) -> Iterator[TemporaryQueue]:
        """Follow the updates from now on: queue and subscription are gone after the block.

        Raises:
            ClientError, BotoCoreError: a call to AWS failed.
        """
        self.remove_left()
        name = self._queues.new_name()
        arn = self._arn(name)
        with ExitStack() as leaving:
            leaving.callback(self._remove, name)
            queue = self._queues.create(name, _lets_in(self._topic, arn), {"FifoQueue": "true"})
            self._sns.subscribe(
                TopicArn=self._topic,
                Protocol="sqs",
                Endpoint=arn,
                Attributes={"RawMessageDelivery": "true"},
            )
            yield queue

    def remove_left(self, *, followed_too: bool = False) -> int:
        """Remove what was left behind by those that ended without removing it themselves.

        Args:
            followed_too: remove those that somebody may follow just now, too.

        Returns:
            How many there were.
        """
        left = self._queues.names(followed_too=followed_too)
        for name in left:
            self._remove(name)
        return len(left)

    def _remove(self, name: str) -> None:
        pages = self._sns.get_paginator("list_subscriptions_by_topic")
        for page in pages.paginate(TopicArn=self._topic):
            for subscription in page["Subscriptions"]:
                if subscription["Endpoint"] == self._arn(name):
                    self._sns.unsubscribe(SubscriptionArn=subscription["SubscriptionArn"])
        self._queues.delete(name)

    def _arn(self, name: str) -> str:
        _, partition, _, region, account, _ = self._topic.split(":", 5)
        return f"arn:{partition}:sqs:{region}:{account}:{name}"


def _lets_in(topic: str, queue: str) -> str:
    """A queue policy that lets SNS in, for this topic alone."""
    return json.dumps(
        {
            "Version": "2012-10-17",
            "Statement": [
                {
                    "Effect": "Allow",
                    "Principal": {"Service": "sns.amazonaws.com"},
                    "Action": "sqs:SendMessage",
                    "Resource": queue,
                    "Condition": {"ArnEquals": {"aws:SourceArn": topic}},
                }
            ],
        }
    )
