"""``payments-processor``: the queue ``payments`` in, charges out."""

from __future__ import annotations

import os
from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from orders.aws import clients, telemetry
from orders.aws.clients import AWS_ERRORS, reason
from orders.aws.clock import utc_now
from orders.aws.dynamodb import DUPLICATE_ITEM
from orders.aws.sqs import Batch, BatchResponse, Message, Retry, time_is_up
from orders.events import OrderPlaced, decode_order_placed
from orders.payments.ledger import Ledger, Payment
from orders.payments.provider import (
    CardProcessor,
    Charged,
    ChargeFailedError,
    Declined,
    SimulatedCardProcessor,
)

if TYPE_CHECKING:
    from orders.aws.context import Context


@dataclass(frozen=True, slots=True)
class PaymentsProcessor:
    """Charges every order of a batch that has no payment yet."""

    ledger: Ledger
    processor: CardProcessor
    retry: Retry

    def __call__(self, event: dict[str, Any], context: Context) -> BatchResponse:
        """Handle one SQS event; only the messages that failed are reported."""
        telemetry.begin(context)
        batch = Batch.read(event["Records"], decode_order_placed)
        settled: Counter[str] = Counter()
        for messages in batch.rounds():
            try:
                settled += self._settle(batch, messages, context)
            except AWS_ERRORS as error:
                for message in messages:
                    batch.fail(message, "payment not settled", reason(error))
        telemetry.count(
            PaymentsCharged=settled["charged"],
            PaymentsDeclined=settled["declined"],
            PaymentsFailed=batch.failures,
        )
        return batch.response(self.retry)

    def _settle(
        self,
        batch: Batch[OrderPlaced],
        messages: list[Message[OrderPlaced]],
        context: Context,
    ) -> Counter[str]:
        """Look, charge, record. No order stands twice in ``messages``."""
        settled, unanswered = self.ledger.settled([m.event.order_id for m in messages])
        answered: list[tuple[Message[OrderPlaced], Payment]] = []
        for message in messages:
            order_id = message.event.order_id
            if order_id in settled:
                telemetry.info("already settled", order_id=order_id, attempt=message.attempt)
            elif order_id in unanswered:
                batch.fail(message, "payment not settled", "DynamoDB did not answer for this order")
            elif time_is_up(context):
                batch.fail(message, "payment not settled", "the function is about to time out")
            else:
                try:
                    answered.append((message, self._charge(message)))
                except ChargeFailedError as error:
                    batch.fail(message, "charge failed", str(error))
        return self._record(batch, answered)

    def _charge(self, message: Message[OrderPlaced]) -> Payment:
        order = message.event
        answer = self.processor.charge(order.order_id, order.amount, order.currency)
        return payment_of(order, answer, attempt=message.attempt, at=utc_now())

    def _record(
        self, batch: Batch[OrderPlaced], answered: list[tuple[Message[OrderPlaced], Payment]]
    ) -> Counter[str]:
        """Write what the processor answered; log each payment only once it is on record."""
        recorded: Counter[str] = Counter()
        codes = self.ledger.record([payment for _, payment in answered])
        for (message, payment), code in zip(answered, codes, strict=True):
            if code not in (None, DUPLICATE_ITEM):
                batch.fail(message, "payment not recorded", f"{code} from DynamoDB")
                continue
            telemetry.info(
                payment.state,
                order_id=payment.order_id,
                amount=str(payment.amount),
                currency=payment.currency,
                attempt=payment.attempt,
                reason=payment.reason,
            )
            recorded[payment.state] += 1
        return recorded


def payment_of(order: OrderPlaced, answer: Charged | Declined, *, attempt: int, at: str) -> Payment:
    """The payment that a final answer of the card processor makes of an order."""
    charged = isinstance(answer, Charged)
    return Payment(
        order_id=order.order_id,
        state="charged" if charged else "declined",
        amount=order.amount,
        currency=order.currency,
        charge_id=answer.charge_id if isinstance(answer, Charged) else None,
        reason=answer.reason if isinstance(answer, Declined) else None,
        attempt=attempt,
        at=at,
    )


handler = PaymentsProcessor(
    ledger=Ledger(clients.dynamodb(), os.environ["PAYMENTS_TABLE"]),
    processor=SimulatedCardProcessor(
        failure_rate=float(os.environ["CHARGE_FAILURE_RATE"]),
        decline_rate=float(os.environ["CHARGE_DECLINE_RATE"]),
    ),
    retry=Retry(clients.sqs(), os.environ["QUEUE_URL"], int(os.environ["RETRY_DELAY_SECONDS"])),
)
