"""``inventory-processor``: the queue ``inventory`` in, reservations and releases out."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from orders.aws import clients, telemetry
from orders.aws.bus import Bus
from orders.aws.clients import AWS_ERRORS, reason
from orders.aws.clock import utc_now
from orders.aws.context import time_is_up
from orders.aws.dynamodb import CONFLICT
from orders.aws.patience import Patience
from orders.aws.sqs import Batch, BatchResponse, Message, Retry
from orders.events import Command, decode_command
from orders.inventory.decisions import outcome, rejected, wanted
from orders.inventory.reservations import (
    BusyError,
    Change,
    ConflictError,
    OutOfStockError,
    Reservation,
    Reservations,
    TransactionCancelledError,
    transactions,
)

if TYPE_CHECKING:
    from orders.aws.context import Context

_Change = tuple[Message[Command], Reservation | None, Reservation]

_FIRST_PAUSE_SECONDS: Final = 0.02
"""About as long as the transaction takes that holds the same articles."""


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
            written += self._settle(batch, messages, context)
        response = batch.finish(self.bus, self.retry, context)
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
        found, unanswered = self.reservations.find(
            [message.order_id for message in messages], context
        )
        known: list[_Change] = []
        new: list[_Change] = []
        for message in messages:
            if why := unanswered.get(message.order_id):
                batch.fail(message, "inventory not settled", why)
                continue
            before = found.get(message.order_id)
            now = wanted(before, message.event, at=self.now())
            (known if now == before else new).append((message, before, now))
        return self._done(batch, known) + self._done(batch, self._write(batch, new, context))

    def _write(
        self, batch: Batch[Command], changes: list[_Change], context: Context
    ) -> list[_Change]:
        """Write what is new, with one call: a transaction if any of it moves stock."""
        if not any(now.lines for _, _, now in changes):
            return self._record(batch, changes, context)
        moved: list[_Change] = []
        unmoved: list[_Change] = []
        for part in transactions([(before, now) for _, before, now in changes]):
            together = changes[part]
            try:
                moved += self._move(batch, together, unmoved, context)
            except TransactionCancelledError:
                for change in together:
                    if change[2].lines:
                        moved += self._move(batch, [change], unmoved, context)
                    else:
                        unmoved.append(change)
        return moved + self._record(batch, unmoved, context)

    def _move(
        self,
        batch: Batch[Command],
        changes: list[_Change],
        unmoved: list[_Change],
        context: Context,
    ) -> list[_Change]:
        """Take orders' lines from the stock, or put them back, in one transaction.

        Returns:
            The changes, if they were made; an order that cannot be covered joins ``unmoved``.

        Raises:
            TransactionCancelledError: one of several orders stands in the way of the others.
        """
        why = "the function is about to time out"
        try:
            if not time_is_up(context):
                self._move_patiently([(before, now) for _, before, now in changes], context)
                return changes
        except ConflictError:
            batch.again(changes[0][0])
            return []
        except OutOfStockError as error:
            ((message, before, now),) = changes
            unmoved.append((message, before, rejected(now, error.available)))
            return []
        except (BusyError, *AWS_ERRORS) as error:
            why = reason(error)
        for message, _, _ in changes:
            batch.fail(message, "stock not moved", why)
        return []

    def _move_patiently(self, changes: list[Change], context: Context) -> None:
        """Move the stock; try again soon when another transaction holds the same articles.

        The SDK does not, and an article in demand would use up a message's few deliveries.

        Raises:
            BusyError: it held them each time.
            TransactionCancelledError: the same, for several orders: each may do better by itself.
        """
        patience = Patience(context, _FIRST_PAUSE_SECONDS)
        while True:
            try:
                return self.reservations.move(changes)
            except BusyError as error:
                if patience.wait():
                    continue
                if len(changes) > 1:
                    raise TransactionCancelledError from error
                raise

    def _record(
        self, batch: Batch[Command], changes: list[_Change], context: Context
    ) -> list[_Change]:
        """Write what moves no stock, all with one call."""
        refusals = self.reservations.write([(before, now) for _, before, now in changes], context)
        recorded: list[_Change] = []
        for change, why in zip(changes, refusals, strict=True):
            if why == CONFLICT:
                batch.again(change[0])
            elif why:
                batch.fail(change[0], "reservation not recorded", why)
            else:
                recorded.append(change)
        return recorded

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
        attempt=message.attempt if message.attempt > 1 else None,
    )


handler = InventoryProcessor(
    reservations=Reservations(
        clients.dynamodb(), os.environ["RESERVATIONS_TABLE"], os.environ["STOCK_TABLE"]
    ),
    bus=Bus(clients.events(), os.environ["EVENT_BUS"]),
    retry=Retry(clients.sqs, os.environ["QUEUE_URL"], int(os.environ["RETRY_DELAY_SECONDS"])),
)
