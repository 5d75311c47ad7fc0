"""``payments-processor``: the queue ``payments`` in, charges and refunds out."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from orders.aws import clients, telemetry
from orders.aws.bus import Bus
from orders.aws.clock import utc_now
from orders.aws.context import time_is_up
from orders.aws.dynamodb import CONFLICT
from orders.aws.sqs import Batch, BatchResponse, Message, Retry
from orders.events import Command, OrderPlacedEvent, decode_command
from orders.payments.decisions import Step, answered, cancelled, next_step, outcome
from orders.payments.ledger import Ledger, Payment
from orders.payments.provider import (
    CardProcessor,
    ProcessorFailedError,
    SimulatedCardProcessor,
)

if TYPE_CHECKING:
    from orders.aws.context import Context

_Change = tuple[Message[Command], Payment | None, Payment]


@dataclass(frozen=True, slots=True)
class PaymentsProcessor:
    """Charges every placed order once, and gives the money of every cancelled one back."""

    ledger: Ledger
    processor: CardProcessor
    bus: Bus
    retry: Retry
    now: Callable[[], str] = utc_now

    def __call__(self, event: dict[str, Any], context: Context) -> BatchResponse:
        """Handle one SQS event; only the messages that failed are reported."""
        telemetry.begin(context)
        batch = Batch.read(event["Records"], decode_command)
        settled: Counter[str] = Counter()
        for messages in batch.rounds():
            settled += self._settle(batch, messages, context)
        response = batch.finish(self.bus, self.retry, context)
        telemetry.count(
            PaymentsCharged=settled["charged"],
            PaymentsDeclined=settled["declined"],
            PaymentsRefunded=settled["refunded"],
            PaymentsFailed=batch.failures,
        )
        return response

    def _settle(
        self, batch: Batch[Command], messages: list[Message[Command]], context: Context
    ) -> Counter[str]:
        """Look, ask the card processor, record. No order stands twice in ``messages``."""
        payments, unanswered = self.ledger.find([message.order_id for message in messages], context)
        changes: list[_Change] = []
        for message in messages:
            if why := unanswered.get(message.order_id):
                batch.fail(message, "payment not settled", why)
                continue
            if time_is_up(context):
                batch.fail(message, "payment not settled", "the function is about to time out")
                continue
            before = payments.get(message.order_id)
            try:
                payment = self._ask(message, before)
            except ProcessorFailedError as error:
                placed = isinstance(message.event, OrderPlacedEvent)
                batch.fail(message, "charge failed" if placed else "refund failed", str(error))
            else:
                changes.append((message, before, payment))
        return self._record(batch, changes, context)

    def _ask(self, message: Message[Command], before: Payment | None) -> Payment:
        """The payment as it is to be, after what the card processor had to do for it."""
        step = next_step(before, message.event)
        if step is Step.CHARGE and isinstance(message.event, OrderPlacedEvent):
            order = message.event.detail
            answer = self.processor.charge(order.order_id, order.amount, order.currency)
            return answered(order, answer, attempt=message.attempt, at=self.now())
        if step is Step.CANCEL or before is None:
            self.processor.cancel(message.order_id)
            return cancelled(before, message.order_id, at=self.now())
        return before

    def _record(
        self, batch: Batch[Command], changes: list[_Change], context: Context
    ) -> Counter[str]:
        """Write what is new, then announce what is on record, new or not."""
        recorded: Counter[str] = Counter()
        new = [change for change in changes if change[1] != change[2]]
        refusals = self.ledger.write([(before, payment) for _, before, payment in new], context)
        refused = {message.id: why for (message, _, _), why in zip(new, refusals, strict=True)}
        for message, before, payment in changes:
            why = refused.get(message.id)
            if why == CONFLICT:
                batch.again(message)
                continue
            if why:
                batch.fail(message, "payment not recorded", why)
                continue
            if payment != before:
                _log(message, payment)
                recorded[payment.state] += 1
            if event := outcome(payment, message.event):
                batch.announce(message, event)
        return recorded


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
)
