"""``order-tracker``: the queue ``order-outcomes`` in, decisions out."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from orders.aws import clients, telemetry
from orders.aws.bus import Bus
from orders.aws.order_table import OrderTable
from orders.aws.sqs import FAILED, Batch, BatchResponse, Message, Retry, consume
from orders.events import Detail, Outcome, decode_outcome
from orders.order import Order
from orders.tracker.decisions import cause, follow_all

if TYPE_CHECKING:
    from orders.aws.context import Context

_Change = tuple[list[Message[Outcome]], Order, Order, Detail | None, int]
"""An order's messages, how it stood, how it stands after them, what is to be published, and the
number of the message that this answers."""

_METRICS: Final = {
    "confirmed": "OrdersConfirmed",
    "cancelled": "OrdersCancelled",
    FAILED: "OutcomesFailed",
}


@dataclass(frozen=True, slots=True)
class OrderTracker:
    """Follows every order; the only place that decides how one ends."""

    orders: OrderTable
    bus: Bus
    retry: Retry

    def __call__(self, event: dict[str, Any], context: Context) -> BatchResponse:
        """Handle one SQS event; only the messages that failed are reported."""
        return consume(
            event,
            context,
            decode=decode_outcome,
            settle=self._settle,
            bus=self.bus,
            retry=self.retry,
            metrics=_METRICS,
        )

    def _settle(self, batch: Batch[Outcome], context: Context) -> None:
        for messages_by_order in batch.rounds_by_order():
            self._record(batch, self._decide(batch, messages_by_order, context), context)

    def _decide(
        self,
        batch: Batch[Outcome],
        messages_by_order: Mapping[str, list[Message[Outcome]]],
        context: Context,
    ) -> list[_Change]:
        """Look, and follow each order's events."""
        orders, refusals = self.orders.find(list(messages_by_order), context)
        changes: list[_Change] = []
        for order_id, messages in messages_by_order.items():
            if why := refusals.get(order_id):
                batch.refuse(messages, "order not followed", why)
                continue
            events = [message.event for message in messages]
            before = orders.get(order_id) or Order(order_id=order_id, placed_at=events[0].time)
            changes.append((messages, before, *follow_all(before, events)))
        return changes

    def _record(self, batch: Batch[Outcome], changes: list[_Change], context: Context) -> None:
        """Write what is new, then announce what was decided, now or before."""
        new = [after for _, before, after, *_ in changes if after != before]
        refusals = self.orders.write(new, context)
        for messages, before, after, announcement, answered in changes:
            if why := refusals.get(after.order_id):
                batch.refuse(messages, "order not followed", why)
                continue
            if after.status != before.status:
                telemetry.info(after.status, order_id=after.order_id, cause=cause(after))
                batch.count(after.status)
            if announcement:
                batch.announce(messages[answered], announcement)


handler = OrderTracker(
    orders=OrderTable(
        clients.dynamodb(),
        os.environ["ORDERS_TABLE"],
        int(os.environ["UNFINISHED_ORDER_KEYS"]),
        lists_ended=os.environ["ORDERS_INDEX"] == "true",
    ),
    bus=Bus(clients.events(), os.environ["EVENT_BUS"]),
    retry=Retry(clients.sqs, os.environ["QUEUE_URL"], int(os.environ["RETRY_DELAY_SECONDS"])),
)
