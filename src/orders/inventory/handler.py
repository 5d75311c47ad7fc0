"""``inventory-processor``: the queue ``inventory`` in, reservations out."""

from __future__ import annotations

import os
from collections import Counter
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from orders.aws import clients, telemetry
from orders.aws.clients import AWS_ERRORS, reason
from orders.aws.clock import utc_now
from orders.aws.dynamodb import DUPLICATE_ITEM
from orders.aws.sqs import Batch, BatchResponse, Message, Retry, time_is_up
from orders.events import OrderPlaced, decode_order_placed
from orders.inventory.decisions import shortage
from orders.inventory.reservations import (
    BusyError,
    OutOfStock,
    Reservation,
    Reservations,
    Taken,
)

if TYPE_CHECKING:
    from orders.aws.context import Context

Orders = list[tuple[Message[OrderPlaced], Reservation]]


@dataclass(frozen=True, slots=True)
class InventoryProcessor:
    """Reserves the stock of every order of a batch that has no reservation yet."""

    reservations: Reservations
    retry: Retry

    def __call__(self, event: dict[str, Any], context: Context) -> BatchResponse:
        """Handle one SQS event; only the messages that failed are reported."""
        telemetry.begin(context)
        batch = Batch.read(event["Records"], decode_order_placed)
        recorded: Counter[str] = Counter()
        for messages in batch.rounds():
            orders = [(message, reservation_of(message.event, utc_now())) for message in messages]
            recorded += self._record(batch, [o for o in orders if not o[1].lines])
            recorded += self._take(batch, [o for o in orders if o[1].lines], context)
        telemetry.count(
            OrdersReserved=recorded["reserved"],
            OrdersRejected=recorded["rejected"],
            ReservationsFailed=batch.failures,
        )
        return batch.response(self.retry)

    def _take(self, batch: Batch[OrderPlaced], orders: Orders, context: Context) -> Counter[str]:
        """Take the stock of each order in a transaction of its own; record what falls short."""
        reserved: Counter[str] = Counter()
        rejected: Orders = []
        for message, reservation in orders:
            if time_is_up(context):
                batch.fail(message, "not reserved", "the function is about to time out")
                continue
            try:
                outcome = self.reservations.take(reservation)
            except (BusyError, *AWS_ERRORS) as error:
                batch.fail(message, "not reserved", reason(error))
                continue
            if isinstance(outcome, OutOfStock):
                why = shortage(reservation.lines, outcome.available)
                rejected.append((message, replace(reservation, state="rejected", reason=why)))
            elif isinstance(outcome, Taken):
                _log(message, reservation)
                reserved["reserved"] += 1
            else:
                _log_known(message)
        return reserved + self._record(batch, rejected)

    def _record(self, batch: Batch[OrderPlaced], orders: Orders) -> Counter[str]:
        """Write reservations that take no stock, all with one call."""
        written: Counter[str] = Counter()
        try:
            codes = self.reservations.record([reservation for _, reservation in orders])
        except AWS_ERRORS as error:
            for message, _ in orders:
                batch.fail(message, "reservation not recorded", reason(error))
            return written
        for (message, reservation), code in zip(orders, codes, strict=True):
            if code is None:
                _log(message, reservation)
                written[reservation.state] += 1
            elif code == DUPLICATE_ITEM:
                _log_known(message)
            else:
                batch.fail(message, "reservation not recorded", f"{code} from DynamoDB")
        return written


def reservation_of(order: OrderPlaced, at: str) -> Reservation:
    """The reservation an order asks for."""
    return Reservation(order.order_id, "reserved", order.items, reason=None, at=at)


def _log(message: Message[OrderPlaced], reservation: Reservation) -> None:
    telemetry.info(
        reservation.state,
        order_id=reservation.order_id,
        lines=len(reservation.lines),
        attempt=message.attempt,
        reason=reservation.reason,
    )


def _log_known(message: Message[OrderPlaced]) -> None:
    telemetry.info("already recorded", order_id=message.event.order_id, attempt=message.attempt)


handler = InventoryProcessor(
    reservations=Reservations(
        clients.dynamodb(), os.environ["RESERVATIONS_TABLE"], os.environ["STOCK_TABLE"]
    ),
    retry=Retry(clients.sqs(), os.environ["QUEUE_URL"], int(os.environ["RETRY_DELAY_SECONDS"])),
)
