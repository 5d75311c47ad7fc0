"""Every event on the bus as it passes, taken from nobody.

A feed has a rule and a queue of its own, which are there only while it is followed. What a crash
has left behind is removed by the next feed, and by `orderctl destroy`.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any, Final

from orderctl.pipeline import reading
from orderctl.pipeline.temporary import TemporaryQueue, TemporaryQueues

if TYPE_CHECKING:
    import boto3
    from mypy_boto3_events import EventBridgeClient

    from orderctl.pipeline.stack import Stack

_NAME: Final = "orderctl-feed-"
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

    def __init__(self, queue: TemporaryQueue) -> None:
        """Take the feed's queue."""
        self._queue = queue

    def next(self, wait_seconds: float = _MOST_SECONDS_OF_A_RECEIVE) -> list[SeenEvent]:
        """The next events, oldest first: those that are there, or the first that comes.

        Args:
            wait_seconds: how long to wait for the first, at most 20.

        Raises:
            ClientError, BotoCoreError: a call to AWS failed.
        """
        seen = [read(message.body) for message in self._queue.next(wait_seconds)]
        return sorted(seen, key=lambda event: event.at or reading.FIRST)


class Feeds:
    """The feeds of one stack's bus."""

    def __init__(self, session: boto3.Session, stack: Stack) -> None:
        """Take the stack."""
        self._events: EventBridgeClient = session.client("events")
        self._queues = TemporaryQueues(session.client("sqs"), f"{stack.prefix}{_NAME}")
        self._bus = stack.outputs["EventBusName"]

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
        name = self._queues.new_name()
        bus_arn = self._events.describe_event_bus(Name=self._bus)["Arn"]
        _, partition, _, region, account, _ = bus_arn.split(":", 5)
        queue_arn = f"arn:{partition}:sqs:{region}:{account}:{name}"
        rule_arn = f"arn:{partition}:events:{region}:{account}:rule/{self._bus}/{name}"
        with ExitStack() as leaving:
            # The queue is the first to come and the last to go: by it the rule is found.
            leaving.callback(self._remove, name)
            queue = self._queues.create(name, _lets_in(rule_arn, queue_arn), {})
            self._events.put_rule(
                Name=name,
                EventBusName=self._bus,
                EventPattern=json.dumps(what),
                Description="orderctl events: removed when it ends.",
            )
            self._events.put_targets(
                Rule=name, EventBusName=self._bus, Targets=[{"Id": _TARGET, "Arn": queue_arn}]
            )
            yield Feed(queue)

    def remove_left(self, *, followed_too: bool = False) -> int:
        """Remove what feeds have left behind that ended without removing it themselves.

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
        with suppress(self._events.exceptions.ResourceNotFoundException):
            self._events.remove_targets(Rule=name, EventBusName=self._bus, Ids=[_TARGET])
        with suppress(self._events.exceptions.ResourceNotFoundException):
            self._events.delete_rule(Name=name, EventBusName=self._bus)
        self._queues.delete(name)


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
