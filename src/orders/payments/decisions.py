"""What to do about an order's payment: plain functions over plain values."""

from __future__ import annotations

from dataclasses import replace
from enum import Enum, auto
from typing import TYPE_CHECKING

from orders.events import (
    MAX_CHARGE_ID,
    MAX_REASON,
    Command,
    OrderCancelledEvent,
    OrderPlaced,
    OrderPlacedEvent,
    PaymentCharged,
    PaymentDeclined,
    PaymentRefunded,
    fitted,
)
from orders.payments.ledger import Payment
from orders.payments.provider import Charged, Declined

if TYPE_CHECKING:
    import msgspec


class Step(Enum):
    """What to ask of the card processor."""

    CHARGE = auto()
    CANCEL = auto()
    NOTHING = auto()


def next_step(payment: Payment | None, event: Command) -> Step:
    """The step an event calls for.

    Args:
        payment: what is on record for the order, if anything.
        event: the order was placed, or it was cancelled.
    """
    state = payment.state if payment else None
    if isinstance(event, OrderPlacedEvent):
        if state is None:
            return Step.CHARGE
        # The cancel came first, but a charge may have been on its way then: it must not stand.
        return Step.CANCEL if state == "voided" else Step.NOTHING
    return Step.CANCEL if state in (None, "charged") else Step.NOTHING


def answered(order: OrderPlaced, answer: Charged | Declined, *, attempt: int, at: str) -> Payment:
    """The payment that a final answer of the card processor makes of an order."""
    charged = isinstance(answer, Charged)
    return Payment(
        order_id=order.order_id,
        state="charged" if charged else "declined",
        at=at,
        amount=order.amount,
        currency=order.currency,
        charge_id=fitted(answer.charge_id, MAX_CHARGE_ID) if isinstance(answer, Charged) else None,
        reason=fitted(answer.reason, MAX_REASON) if isinstance(answer, Declined) else None,
        attempt=attempt,
    )


def cancelled(payment: Payment | None, order_id: str, *, at: str) -> Payment:
    """The payment after the card processor has cancelled it.

    A cancel that overtakes its own order leaves a voided payment, so that the late charge does
    nothing.
    """
    if payment is None:
        return Payment(order_id=order_id, state="voided", at=at)
    if payment.state == "charged":
        return replace(payment, state="refunded", at=at)
    return payment


def outcome(payment: Payment, event: Command) -> msgspec.Struct | None:
    """The event that tells of a payment's state; a voided payment is nobody's news.

    A cancel is answered by a refund or not at all: the tracker answers a decline with a cancel,
    and the two would go on for ever.
    """
    if isinstance(event, OrderCancelledEvent) and payment.state != "refunded":
        return None
    order_id, amount, currency = payment.order_id, payment.amount, payment.currency
    if payment.state == "declined":
        return PaymentDeclined(order_id=order_id, reason=payment.reason or "")
    if amount is None or currency is None:
        return None
    if payment.state == "refunded":
        return PaymentRefunded(order_id=order_id, amount=amount, currency=currency)
    return PaymentCharged(
        order_id=order_id, amount=amount, currency=currency, charge_id=payment.charge_id or ""
    )
