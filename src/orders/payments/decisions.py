"""What to do about an order's payment: plain functions over plain values."""

from __future__ import annotations

from decimal import Decimal
from enum import Enum, auto
from typing import Literal

import msgspec
from msgspec import UNSET

from orders.events import (
    MAX_CHARGE_ID,
    MAX_REASON,
    Command,
    Detail,
    OrderCancelled,
    OrderPlaced,
    PaymentCharged,
    PaymentDeclined,
    PaymentRefunded,
    fit,
)
from orders.payments.provider import Charged, Declined


class Payment(msgspec.Struct, frozen=True, kw_only=True):
    """Where an order's payment stands."""

    order_id: str
    state: Literal["charged", "declined", "refunded", "voided"]
    at: str
    """Since when."""
    amount: Decimal | None = None
    """None, as are the following, for a payment that was voided before its order came."""
    currency: str | None = None
    charge_id: str | None = None
    reason: str | None = None
    fingerprint: str | None = None
    """Of the order it is for; None, too, for a payment from before this was noted."""
    attempt: int | None = None
    """The delivery that brought the answer: 1 unless earlier attempts failed."""


class Action(Enum):
    """What to ask of the card processor."""

    CHARGE = auto()
    CANCEL = auto()
    NOTHING = auto()


def next_action(payment: Payment | None, event: Command) -> Action:
    """What an event calls for.

    Args:
        payment: what is on record for the order, if anything.
        event: the order was placed, or it was cancelled.
    """
    state = payment.state if payment else None
    if isinstance(event.detail, OrderPlaced):
        if state is None:
            return Action.CHARGE
        # The cancel came first, but a charge may have been on its way then: it must not stand.
        return Action.CANCEL if state == "voided" else Action.NOTHING
    return Action.CANCEL if state in (None, "charged") else Action.NOTHING


def is_for_another(payment: Payment | None, event: Command) -> bool:
    """Whether a payment is for a different order than the one that was placed under its id.

    Nothing is charged then, and the payment on record is told: the tracker knows which order it is.
    Where no fingerprint is on record, the sum is compared; a voided payment is for any order.
    """
    placed = event.detail
    if payment is None or payment.amount is None or not isinstance(placed, OrderPlaced):
        return False
    if payment.fingerprint is None:
        return (payment.amount, payment.currency) != (placed.amount, placed.currency)
    return payment.fingerprint != placed.fingerprint


def settle(order: OrderPlaced, answer: Charged | Declined, *, attempt: int, at: str) -> Payment:
    """Make a payment of a final answer of the card processor."""
    charged = isinstance(answer, Charged)
    return Payment(
        order_id=order.order_id,
        state="charged" if charged else "declined",
        at=at,
        amount=order.amount,
        currency=order.currency,
        charge_id=fit(answer.charge_id, MAX_CHARGE_ID) if isinstance(answer, Charged) else None,
        reason=fit(answer.reason, MAX_REASON) if isinstance(answer, Declined) else None,
        fingerprint=order.fingerprint,
        attempt=attempt,
    )


def cancel(payment: Payment | None, order_id: str, *, at: str) -> Payment:
    """Note that the card processor has cancelled a payment.

    A cancel that overtakes its own order leaves a voided payment, so that the late charge does
    nothing.
    """
    if payment is None:
        return Payment(order_id=order_id, state="voided", at=at)
    if payment.state == "charged":
        return msgspec.structs.replace(payment, state="refunded", at=at)
    return payment


def outcome(payment: Payment, event: Command) -> Detail | None:
    """The event that reports a payment's state; nobody needs to hear of a voided payment.

    A cancel is answered by a refund or not at all: the tracker answers a decline with a cancel,
    and the two would go on for ever.
    """
    if isinstance(event.detail, OrderCancelled) and payment.state != "refunded":
        return None
    order_id, amount, currency = payment.order_id, payment.amount, payment.currency
    fingerprint = payment.fingerprint or UNSET
    if payment.state == "declined":
        return PaymentDeclined(
            order_id=order_id, reason=payment.reason or "", fingerprint=fingerprint
        )
    if amount is None or currency is None:
        return None
    if payment.state == "refunded":
        return PaymentRefunded(order_id=order_id, amount=amount, currency=currency)
    return PaymentCharged(
        order_id=order_id,
        amount=amount,
        currency=currency,
        charge_id=payment.charge_id or "",
        fingerprint=fingerprint,
    )
