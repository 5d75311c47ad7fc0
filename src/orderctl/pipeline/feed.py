"""Every event on the bus as it passes, taken from nobody.

A feed has a rule and a queue of its own, which are there only while it is followed. The queue's
name starts like those of all feeds of the stack, and its tag says until when it is followed at
least: what a crash has left behind is known by that, and removed by the next feed.
"""

from __future__ import annotations

import json
import secrets
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, Final

from orderctl.pipeline import reading
from orderctl.pipeline.queues import Queue
from orderctl.pipeline.times import format_time

if TYPE_CHECKING:
    import boto3
    from mypy_boto3_events import EventBridgeClient
    from mypy_boto3_sqs import SQSClient

    from orderctl.pipeline.stack import Stack

_NAME: Final = "orderctl-feed-"
_FOLLOWED_UNTIL: Final = "followed-until"
_FOLLOWED_FOR = timedelta(minutes=15)
_RENEW_EVERY = timedelta(minutes=5)
_RETENTION_SECONDS = 300
_TARGET = "feed"
_MOST_SECONDS_OF_A_RECEIVE = 20

Pattern = Mapping[str, Any]
"""An event pattern of EventBridge."""

EVERYTHING: Final[Pattern] = {"source": [{"prefix": ""}]}


def pattern(
    order_ids: Sequence[str] = (), types: Sequence[str] = (), given: str | None = None
) -> Pattern:
    """The pattern of the events that fit all of these.

    Args:
        order_ids: the orders that they are about; of any by default.
        types: their detail-types; one that ends in `*` stands for all that start so.
        given: a pattern of EventBridge, as JSON.

    Raises:
        ValueError: the given pattern is no JSON object, or names orders or types, too.
    """
    chosen: dict[str, Any] = {}
    if given is not None:
        chosen = reading.parse_json_object(given)
        if not chosen:
            raise ValueError(f"{given!r} is not a JSON object with the fields of an event")
    if types:
        if "detail-type" in chosen:
            raise ValueError("the pattern has a detail-type: leave out the types")
        chosen["detail-type"] = [
            {"prefix": each[:-1]} if each.endswith("*") else each for each in types
        ]
    if order_ids:
        detail = chosen.setdefault("detail", {})
        if not isinstance(detail, dict) or "order_id" in detail:
            raise ValueError("the pattern's detail has an order_id: leave out the orders")
        detail["order_id"] = list(order_ids)
    return chosen or EVERYTHING


@dataclass(frozen=True, slots=True)
class SeenEvent:
    """An event as EventBridge delivered it. Anybody may have published it."""

    id: str
    at: datetime | None
    """When it was published: to the millisecond where its detail says so."""
    source: str
    type: str
    order_id: str | None
    """None for one that is not about an order."""
    detail: Mapping[str, Any]
    replay: str | None
    """The replay that has brought it back; None for one that is new."""
    body: str
    """The whole event, as JSON."""


class Feed:
    """The events that pass while it is followed."""

    def __init__(self, sqs: SQSClient, url: str) -> None:
        """Take the URL of the feed's queue."""
        self._sqs = sqs
        self._url = url
        self._queue = Queue(sqs, url)
        self._renewed = datetime.now(UTC)

    def next(self, wait_seconds: float = _MOST_SECONDS_OF_A_RECEIVE) -> list[SeenEvent]:
        """The next events, oldest first: those that are there, or the first that comes.

        Args:
            wait_seconds: how long to wait for the first, at most 20.

        Raises:
            ClientError, BotoCoreError: a call to AWS failed.
        """
        messages = self._queue.receive(int(wait_seconds))
        self._queue.delete(messages)
        self._renew()
        seen = [read(message.body) for message in messages]
        return sorted(seen, key=lambda event: event.at or reading.FIRST)

    def _renew(self) -> None:
        now = datetime.now(UTC)
        if now - self._renewed >= _RENEW_EVERY:
            self._sqs.tag_queue(QueueUrl=self._url, Tags=_tags(now))
            self._renewed = now


class Feeds:
    """The feeds of one stack's bus."""

    def __init__(self, session: boto3.Session, stack: Stack) -> None:
        """Take the stack."""
        self._events: EventBridgeClient = session.client("events")
        self._sqs: SQSClient = session.client("sqs")
        self._bus = stack.outputs["EventBusName"]
        self._prefix = f"{stack.prefix}{_NAME}"

    @contextmanager
    def follow(self, what: Pattern = EVERYTHING) -> Iterator[Feed]:
        """Follow the bus: the feed's queue and rule are gone after the block, whatever happens.

        On AWS the first events may be missing: a new rule takes effect within a minute or so.

        Args:
            what: the pattern of the events; see `pattern`.

        Raises:
            ClientError: EventBridge does not take the pattern, or a call to AWS failed.
            BotoCoreError: a call to AWS failed.
        """
        self.remove_left()
        now = datetime.now(UTC)
        name = f"{self._prefix}{now:%Y%m%dt%H%M%S}-{secrets.token_hex(3)}"
        bus_arn = self._events.describe_event_bus(Name=self._bus)["Arn"]
        _, partition, _, region, account, _ = bus_arn.split(":", 5)
        queue_arn = f"arn:{partition}:sqs:{region}:{account}:{name}"
        rule_arn = f"arn:{partition}:events:{region}:{account}:rule/{self._bus}/{name}"
        with ExitStack() as leaving:
            # The queue is the first to come and the last to go: by it the others are found.
            url = self._sqs.create_queue(
                QueueName=name,
                Attributes={
                    "MessageRetentionPeriod": str(_RETENTION_SECONDS),
                    "SqsManagedSseEnabled": "true",
                    "Policy": _lets_in(rule_arn, queue_arn),
                },
                tags=_tags(now),
            )["QueueUrl"]
            leaving.callback(self._remove, url)
            self._events.put_rule(
                Name=name,
                EventBusName=self._bus,
                EventPattern=json.dumps(what),
                Description="orderctl events: removed when it ends.",
            )
            self._events.put_targets(
                Rule=name, EventBusName=self._bus, Targets=[{"Id": _TARGET, "Arn": queue_arn}]
            )
            yield Feed(self._sqs, url)

    def remove_left(self, *, followed_too: bool = False) -> int:
        """Remove what feeds have left behind that ended without removing it themselves.

        Args:
            followed_too: remove those that somebody may follow just now, too.

        Returns:
            How many there were.
        """
        now = format_time(datetime.now(UTC))
        left = [url for url in self._urls() if followed_too or self._followed_until(url) < now]
        for url in left:
            self._remove(url)
        return len(left)

    def _urls(self) -> list[str]:
        pages = self._sqs.get_paginator("list_queues").paginate(QueueNamePrefix=self._prefix)
        return [url for page in pages for url in page.get("QueueUrls", [])]

    def _followed_until(self, url: str) -> str:
        with suppress(self._sqs.exceptions.QueueDoesNotExist):  # its feed has just ended
            return self._sqs.list_queue_tags(QueueUrl=url).get("Tags", {}).get(_FOLLOWED_UNTIL, "")
        return format_time(reading.LAST)

    def _remove(self, url: str) -> None:
        name = url.rsplit("/", 1)[1]
        with suppress(self._events.exceptions.ResourceNotFoundException):
            self._events.remove_targets(Rule=name, EventBusName=self._bus, Ids=[_TARGET])
        with suppress(self._events.exceptions.ResourceNotFoundException):
            self._events.delete_rule(Name=name, EventBusName=self._bus)
        with suppress(self._sqs.exceptions.QueueDoesNotExist):
            self._sqs.delete_queue(QueueUrl=url)


def read(body: str) -> SeenEvent:
    """An event from a message's body; what cannot be read of it is left empty."""
    event = reading.parse_json_object(body)
    detail = event.get("detail")
    detail = detail if isinstance(detail, dict) else {}
    order_id = detail.get("order_id")
    return SeenEvent(
        id=reading.to_text(event.get("id", "")),
        at=reading.parse_time(detail.get("at")) or reading.parse_time(event.get("time")),
        source=reading.to_text(event.get("source", reading.UNREADABLE)),
        type=reading.to_text(event.get("detail-type", reading.UNREADABLE)),
        order_id=order_id if isinstance(order_id, str) else None,
        detail=detail,
        replay=reading.to_text(event["replay-name"]) if event.get("replay-name") else None,
        body=body,
    )


def _tags(now: datetime) -> dict[str, str]:
    return {_FOLLOWED_UNTIL: format_time(now + _FOLLOWED_FOR)}


def _lets_in(rule_arn: str, queue_arn: str) -> str:
    """A queue policy that lets EventBridge in, for this rule alone."""
    return json.dumps(
        {
            "Version": "2012-10-17",
            "Statement": [
                {
                    "Effect": "Allow",
                    "Principal": {"Service": "events.amazonaws.com"},
                    "Action": "sqs:SendMessage",
                    "Resource": queue_arn,
                    "Condition": {"ArnEquals": {"aws:SourceArn": rule_arn}},
                }
            ],
        }
    )
