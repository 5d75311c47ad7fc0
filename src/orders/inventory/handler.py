"""``inventory-processor``: the queue ``inventory`` in, reservations and releases out."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from orders.aws import clients, telemetry
from orders.aws.bus import Bus
from orders.aws.clients import AWS_ERRORS, reason
from orders.aws.clock import utc_now
from orders.aws.dynamodb import CONFLICT
from orders.aws.sqs import Batch, BatchResponse, Message, Retry, time_is_up
from orders.events import Command, decode_command
from orders.inventory.decisions import outcome, rejected, wanted
from orders.inventory.reservations import (
    BusyError,
    ConflictError,
    OutOfStockError,
    Reservation,
    Reservations,
)

if TYPE_CHECKING:
    from orders.aws.context import Context

_Change = tuple[Message[Command], Reservation | None, Reservation]


@dataclass(frozen=True, slots=True)
class InventoryProcessor:
    """Reserves the stock of every placed order once, and releases that of every cancelled one."""

    reservations: Reservations
    bus: Bus
    retry: Retry
    now: Callable[[], str] = utc_now

    def __call__(self, event: dict[str, Any], context: Context) -> BatchResponse:
        """Handle one SQS event; only the messages that failed are reported."""
        telemetry.begin(context)
        batch = Batch.read(event["Records"], decode_command)
        written: Counter[str] = Counter()
        for messages in batch.rounds():
            try:
                written += self._settle(batch, messages, context)
            except AWS_ERRORS as error:
                for message in messages:
                    batch.fail(message, "inventory not settled", reason(error))
        response = batch.finish(self.bus, self.retry)
        telemetry.count(
            OrdersReserved=written["reserved"],
            OrdersRejected=written["rejected"],
            OrdersReleased=written["released"],
            InventoryFailed=batch.failures,
        )
        return response

    def _settle(
        self, batch: Batch[Command], messages: list[Message[Command]], context: Context
    ) -> Counter[str]:
        """Look, move the stock, record. No order stands twice in ``messages``."""
        found, unanswered = self.reservations.find([message.order_id for message in messages])
        moved: list[_Change] = []
        unmoved: list[_Change] = []
        for message in messages:
            if message.order_id in unanswered:
                batch.fail(
                    message, "inventory not settled", "DynamoDB did not answer for this order"
                )
                continue
            before = found.get(message.order_id)
            now = wanted(before, message.event, at=self.now())
            if now == before or not now.lines:
                unmoved.append((message, before, now))
            elif time_is_up(context):
                batch.fail(message, "inventory not settled", "the function is about to time out")
            else:
                self._move(batch, (message, before, now), moved, unmoved)
        return self._done(batch, moved) + self._record(batch, unmoved)

    def _move(
        self,
        batch: Batch[Command],
        change: _Change,
        moved: list[_Change],
        unmoved: list[_Change],
    ) -> None:
        """Take an order's lines from the stock or put them back, in a transaction of its own."""
        message, before, now = change
        try:
            if before is None:
                self.reservations.take(now)
            else:
                self.reservations.put_back(now)
        except ConflictError:
            batch.again(message)
        except OutOfStockError as error:
            unmoved.append((message, before, rejected(now, error.available)))
        except (BusyError, *AWS_ERRORS) as error:
            batch.fail(message, "stock not moved", reason(error))
        else:
            moved.append(change)

    def _record(self, batch: Batch[Command], changes: list[_Change]) -> Counter[str]:
        """Write what is new and moves no stock, all with one call."""
        new = [change for change in changes if change[1] != change[2]]
        refusals = self.reservations.write([(before, now) for _, before, now in new])
        refused = {message.id: why for (message, _, _), why in zip(new, refusals, strict=True)}
        recorded = []
        for change in changes:
            why = refused.get(change[0].id)
            if why == CONFLICT:
                batch.again(change[0])
            elif why:
                batch.fail(change[0], "reservation not recorded", why)
            else:
                recorded.append(change)
        return self._done(batch, recorded)

    def _done(self, batch: Batch[Command], changes: list[_Change]) -> Counter[str]:
        """Announce what is on record, new or not."""
        written: Counter[str] = Counter()
        for message, before, now in changes:
            if now != before:
                _log(message, now)
                written[now.state] += 1
            if event := outcome(now, message.event):
                batch.announce(message, event)
        return written


def _log(message: Message[Command], reservation: Reservation) -> None:
    telemetry.info(
        reservation.state,
        order_id=reservation.order_id,
        lines=len(reservation.lines),
        attempt=message.attempt,
        reason=reservation.reason,
    )


handler = InventoryProcessor(
    reservations=Reservations(
        clients.dynamodb(), os.environ["RESERVATIONS_TABLE"], os.environ["STOCK_TABLE"]
    ),
    bus=Bus(clients.events(), os.environ["EVENT_BUS"]),
    retry=Retry(clients.sqs(), os.environ["QUEUE_URL"], int(os.environ["RETRY_DELAY_SECONDS"])),
)
