"""``payments-processor``: the queue ``payments`` in, charges and refunds out."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, Any, Final

from orders.aws import clients, telemetry
from orders.aws.bus import Bus
from orders.aws.context import time_is_up
from orders.aws.sqs import FAILED, REFUSED, Batch, BatchResponse, Message, Retry, consume
from orders.clock import utc_now
from orders.events import Command, OrderPlaced, decode_command
from orders.payments.decisions import (
    Action,
    Payment,
    cancel,
    is_for_another,
    next_action,
    outcome,
    settle,
)
from orders.payments.ledger import Ledger
from orders.payments.provider import (
    CardProcessor,
    ProcessorFailedError,
    SimulatedCardProcessor,
)
from orders.payments.tries import Tries

if TYPE_CHECKING:
    from orders.aws.context import Context

_Change = tuple[Message[Command], Payment | None, Payment]
"""A message, what was on record for its order, and what is to be."""

_METRICS: Final = {
    "charged": "PaymentsCharged",
    "declined": "PaymentsDeclined",
    "refunded": "PaymentsRefunded",
    REFUSED: "OrdersRefused",
    FAILED: "PaymentsFailed",
}


@dataclass(frozen=True, slots=True)
class PaymentsProcessor:
    """Charges every placed order once, and gives the money of every cancelled one back."""

    ledger: Ledger
    processor: CardProcessor
    bus: Bus
    retry: Retry
    tries: Tries
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
            self._record(batch, self._decide(batch, messages, context), context)
        if notice := self.tries.take_notice():
            batch.notify(notice)
        if self.tries.are_failing():
            # Lambda takes a minute or two to pause a queue: its messages keep their receives.
            batch.retry_after(self.tries.pause)

    def _decide(
        self, batch: Batch[Command], messages: list[Message[Command]], context: Context
    ) -> list[_Change]:
        """Look, and ask the card processor. No order is twice in ``messages``."""
        payments, refusals = self.ledger.find([message.order_id for message in messages], context)
        changes: list[_Change] = []
        for message in messages:
            if why := refusals.get(message.order_id):
                batch.fail(message, "payment not settled", why)
                continue
            if time_is_up(context):
                batch.fail(message, "payment not settled", "the function is about to time out")
                continue
            before = payments.get(message.order_id)
            try:
                changes.append((message, before, self._ask(message, before)))
            except ProcessorFailedError as error:
                self.tries.note(failed=True)
                placed = isinstance(message.event.detail, OrderPlaced)
                batch.fail(message, "charge failed" if placed else "refund failed", str(error))
        return changes

    def _ask(self, message: Message[Command], before: Payment | None) -> Payment:
        """The payment as it is to be, after what the card processor had to do for it."""
        action, order = next_action(before, message.event), message.event.detail
        if action is Action.CHARGE and isinstance(order, OrderPlaced):
            answer = self.processor.charge(order.order_id, order.amount, order.currency)
            self.tries.note(failed=False)
            return settle(order, answer, attempt=message.attempt, at=self.now())
        if action is Action.CANCEL or before is None:
            self.processor.cancel(message.order_id)
            self.tries.note(failed=False)
            return cancel(before, message.order_id, at=self.now())
        return before

    def _record(self, batch: Batch[Command], changes: list[_Change], context: Context) -> None:
        """Write what is new, then announce what is on record, new or not."""
        new = [(before, payment) for _, before, payment in changes if payment != before]
        refusals = self.ledger.write(new, context)
        for message, before, payment in changes:
            if why := refusals.get(payment.order_id):
                batch.refuse([message], "payment not recorded", why)
                continue
            if payment != before:
                _log(message, payment)
                batch.count(payment.state)
            if is_for_another(before, message.event):
                batch.refuse_order(message)
            if event := outcome(payment, message.event):
                batch.announce(message, event)


def _log(message: Message[Command], payment: Payment) -> None:
    telemetry.info(
        payment.state,
        order_id=payment.order_id,
        amount=None if payment.amount is None else str(payment.amount),
        currency=payment.currency,
        attempt=message.attempt if message.attempt > 1 else None,
    )


handler = PaymentsProcessor(
    ledger=Ledger(clients.dynamodb(), os.environ["PAYMENTS_TABLE"]),
    processor=SimulatedCardProcessor(
        failure_rate=float(os.environ["CHARGE_FAILURE_RATE"]),
        decline_rate=float(os.environ["CHARGE_DECLINE_RATE"]),
    ),
    bus=Bus(clients.events(), os.environ["EVENT_BUS"]),
    retry=Retry(clients.sqs, os.environ["QUEUE_URL"], int(os.environ["RETRY_DELAY_SECONDS"])),
    tries=Tries(
        least=int(os.environ["BREAKER_TRIES"]),
        failed_share=float(os.environ["BREAKER_FAILED_SHARE"]),
        pause=timedelta(seconds=int(os.environ["BREAKER_PAUSE_SECONDS"])),
    ),
)
