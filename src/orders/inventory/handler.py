"""``inventory-processor``: the queue ``inventory`` in, reservations and releases out."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from orders.aws import clients, telemetry
from orders.aws.bus import Bus
from orders.aws.sqs import FAILED, REFUSED, Batch, BatchResponse, Message, Retry, consume
from orders.clock import utc_now
from orders.events import Command, OrderPlaced, decode_command
from orders.inventory.decisions import Reservation, is_for_another, outcome, settle
from orders.inventory.moving import write
from orders.inventory.reservations import Reservations, Stock

if TYPE_CHECKING:
    from orders.aws.context import Context

_Change = tuple[Message[Command], Reservation | None, Reservation]
"""A message, what was on record for its order, and what is to be."""

_METRICS: Final = {
    "reserved": "OrdersReserved",
    "rejected": "OrdersRejected",
    "released": "OrdersReleased",
    REFUSED: "OrdersRefused",
    FAILED: "InventoryFailed",
}


@dataclass(frozen=True, slots=True)
class InventoryProcessor:
    """Reserves the stock of every placed order once, and releases that of every cancelled one."""

    reservations: Reservations
    bus: Bus
    retry: Retry
    now: Callable[[], str] = utc_now

    def __call__(self, event: dict[str, Any], context: Context) -> BatchResponse:
        """Handle one SQS event; only the messages that failed are reported."""
        return consume(
            event,
            context,
            decode=decode_command,
            settle=self._settle,
            bus=self.bus,
            retry=self.retry,
            metrics=_METRICS,
        )

    def _settle(self, batch: Batch[Command], context: Context) -> None:
        for messages in batch.rounds():
            changes, stock = self._decide(batch, messages, context)
            self._record(batch, changes, stock, context)

    def _decide(
        self, batch: Batch[Command], messages: list[Message[Command]], context: Context
    ) -> tuple[list[_Change], Stock]:
        """Look, and decide what is to be. No order is twice in ``messages``."""
        order_ids = [message.order_id for message in messages]
        reservations, refusals, stock = self.reservations.find(order_ids, _skus(messages), context)
        changes: list[_Change] = []
        for message in messages:
            if why := refusals.get(message.order_id):
                batch.fail(message, "inventory not settled", why)
                continue
            before = reservations.get(message.order_id)
            changes.append((message, before, settle(before, message.event, at=self.now())))
        return changes, stock

    def _record(
        self, batch: Batch[Command], changes: list[_Change], stock: Stock, context: Context
    ) -> None:
        """Write what is new, and move the stock; then announce what is on record, new or not."""
        new = [(before, now) for _, before, now in changes if now != before]
        written, refusals = write(self.reservations, new, stock, context)
        for message, before, now in changes:
            if why := refusals.get(now.order_id):
                batch.refuse([message], "reservation not recorded", why)
                continue
            reservation = written.get(now.order_id, now)
            if reservation != before:
                _log(message, reservation)
                batch.count(reservation.state)
            if is_for_another(before, message.event):
                batch.refuse_order(message)
            if event := outcome(reservation, message.event):
                batch.announce(message, event)


def _skus(messages: list[Message[Command]]) -> dict[str, None]:
    """What the placed orders among them are of, each SKU once."""
    orders = [message.event.detail for message in messages]
    return {
        line.sku: None for order in orders if isinstance(order, OrderPlaced) for line in order.items
    }


def _log(message: Message[Command], reservation: Reservation) -> None:
    telemetry.info(
        reservation.state,
        order_id=reservation.order_id,
        lines=len(reservation.lines),
        attempt=message.attempt if message.attempt > 1 else None,
    )


handler = InventoryProcessor(
    reservations=Reservations(
        clients.dynamodb(), os.environ["RESERVATIONS_TABLE"], os.environ["STOCK_TABLE"]
    ),
    bus=Bus(clients.events(), os.environ["EVENT_BUS"]),
    retry=Retry(clients.sqs, os.environ["QUEUE_URL"], int(os.environ["RETRY_DELAY_SECONDS"])),
)
