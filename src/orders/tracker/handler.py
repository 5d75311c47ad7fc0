"""``order-tracker``: the queue ``order-outcomes`` in, decisions out."""

from __future__ import annotations

import os
from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from orders.aws import clients, telemetry
from orders.aws.bus import Bus
from orders.aws.dynamodb import CONFLICT
from orders.aws.order_table import Order, OrderTable
from orders.aws.sqs import Batch, BatchResponse, Message, Retry
from orders.events import Outcome, decode_outcome
from orders.tracker.decisions import cause, follow, news

if TYPE_CHECKING:
    import msgspec

    from orders.aws.context import Context

_Messages = list[Message[Outcome]]


@dataclass(frozen=True, slots=True)
class OrderTracker:
    """Follows every order; the only place that decides how one ends."""

    orders: OrderTable
    bus: Bus
    retry: Retry

    def __call__(self, event: dict[str, Any], context: Context) -> BatchResponse:
        """Handle one SQS event; only the messages that failed are reported."""
        telemetry.begin(context)
        batch = Batch.read(event["Records"], decode_outcome)
        decided: Counter[str] = Counter()
        for groups in batch.orders():
            decided += self._follow(batch, groups, context)
        response = batch.finish(self.bus, self.retry, context)
        telemetry.count(
            OrdersConfirmed=decided["confirmed"],
            OrdersCancelled=decided["cancelled"],
            OutcomesFailed=batch.failures,
        )
        return response

    def _follow(
        self, batch: Batch[Outcome], groups: dict[str, _Messages], context: Context
    ) -> Counter[str]:
        """Look, follow each order's events, record, announce what was decided."""
        found, unanswered = self.orders.find(list(groups), context)
        changed: list[tuple[Order, Order, _Messages, msgspec.Struct | None]] = []
        for order_id, messages in groups.items():
            if why := unanswered.get(order_id):
                _fail(batch, messages, why)
                continue
            before = found.get(order_id) or Order(
                order_id=order_id, placed_at=messages[0].event.time
            )
            after, tell = _after(before, [message.event for message in messages])
            if after != before:
                changed.append((before, after, messages, tell))
            elif tell:
                batch.announce(messages[0], tell)
        return self._record(batch, changed, context)

    def _record(
        self,
        batch: Batch[Outcome],
        changed: list[tuple[Order, Order, _Messages, msgspec.Struct | None]],
        context: Context,
    ) -> Counter[str]:
        decided: Counter[str] = Counter()
        refusals = self.orders.write([after for _, after, _, _ in changed], context)
        for (before, after, messages, tell), why in zip(changed, refusals, strict=True):
            if why == CONFLICT:
                for message in reversed(messages):
                    batch.again(message)
                continue
            if why:
                _fail(batch, messages, why)
                continue
            if before.status != after.status:
                telemetry.info(after.status, order_id=after.order_id, cause=cause(after))
                decided[after.status] += 1
            if tell:
                batch.announce(messages[0], tell)
        return decided


def _after(before: Order, events: list[Outcome]) -> tuple[Order, msgspec.Struct | None]:
    """The order after its events of this batch, and what is to be published of them."""
    order, tell = before, None
    for event in events:
        after = follow(order, event)
        if after.status != order.status:
            tell = None  # overtaken by a cancel from outside
        tell = news(order, after, event) or tell
        order = after
    return order, tell


def _fail(batch: Batch[Outcome], messages: _Messages, why: str) -> None:
    for message in messages:
        batch.fail(message, "order not followed", why)


handler = OrderTracker(
    orders=OrderTable(clients.dynamodb(), os.environ["ORDERS_TABLE"]),
    bus=Bus(clients.events(), os.environ["EVENT_BUS"]),
    retry=Retry(clients.sqs, os.environ["QUEUE_URL"], int(os.environ["RETRY_DELAY_SECONDS"])),
)
