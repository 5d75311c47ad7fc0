"""The shop is told how an order stands, while the events arrive in any order, and twice."""

from __future__ import annotations

import itertools
import json
from typing import Any

import lab

from orders.aws.order_table import OrderTable
from orders.clock import utc_ago
from orders.notifications.handler import Notifications
from orders.order import Order, Step
from support import aws

TOPIC = "arn:aws:sns:us-east-1:123456789012:order-updates.fifo"
STATUSES = {"order.placed": "placed", "order.confirmed": "confirmed"}
EVENTS = {
    "order.placed": lab.order_placed("a"),
    "order.confirmed": lab.event_of("order.confirmed", "a"),
}
TYPES = list(STATUSES)
# Each event comes once or twice, and in any order.
SCHEDULES = sorted(
    {
        schedule
        for events in (TYPES, TYPES + TYPES[:1], TYPES + TYPES[1:], TYPES * 2)
        for schedule in itertools.permutations(events)
    }
)


class Topic:
    """An SNS topic, and what its readers read. A FIFO topic drops what it has taken already."""

    def __init__(self) -> None:
        """Have a client that publishes to it."""
        self.client = aws.sns()
        self.read: dict[str, str] = {}
        aws.line(self.client).before("Publish", self._take)

    def _take(self, form: dict[str, Any]) -> None:
        self.read.setdefault(form["MessageDeduplicationId"], json.loads(form["Message"])["status"])


def naive(events: tuple[str, ...]) -> str:
    """Tell what each event says, when it comes; a reader believes the last."""
    return [STATUSES[event] for event in events][-1]


def ours(events: tuple[str, ...]) -> str:
    """Tell with our function, of an order that is confirmed by now."""
    topic, table = Topic(), OrderTable(lab.tables(), "orders")
    history = tuple(Step(type_, utc_ago(1)) for type_ in TYPES)
    table.create(Order(order_id="a", placed_at=utc_ago(1), status="confirmed", history=history))
    for event in events:
        lab.quietly(Notifications(table, topic.client, TOPIC), EVENTS[event])
    return list(topic.read.values())[-1]


for name, tell in (("naive", naive), ("ours ", ours)):
    wrong = [events for events in SCHEDULES if tell(events) != "confirmed"]
    print(f"{name}  after {len(wrong)} of {len(SCHEDULES)} schedules the shop believes: placed")
