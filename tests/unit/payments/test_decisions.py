"""What payments decides, for every state that a payment can have and every event that can come."""

from __future__ import annotations

import json
from decimal import Decimal
from typing import Any

import pytest
from msgspec.structs import replace

from orders.events import (
    MAX_CHARGE_ID,
    MAX_REASON,
    Command,
    OrderPlaced,
    PaymentCharged,
    PaymentDeclined,
    PaymentRefunded,
    decode_command,
)
from orders.payments.decisions import (
    Action,
    Payment,
    cancel,
    is_for_another,
    next_action,
    outcome,
    settle,
)
from orders.payments.provider import Charged, Declined
from support.lambdas import fingerprint, order_cancelled, order_placed

PLACED = decode_command(json.dumps(order_placed("a", 5)))
CANCELLED = decode_command(json.dumps(order_cancelled("a")))
FACTS = {"order_id": "a", "amount": Decimal(5), "currency": "USD"}

CHARGED = Payment(**FACTS, state="charged", at="then", charge_id="ch_a", attempt=1)  # type: ignore[arg-type]
DECLINED = Payment(**FACTS, state="declined", at="then", reason="no funds", attempt=1)  # type: ignore[arg-type]
REFUNDED = Payment(**FACTS, state="refunded", at="then", charge_id="ch_a", attempt=1)  # type: ignore[arg-type]
VOIDED = Payment(order_id="a", state="voided", at="then")


@pytest.mark.parametrize(
    ("payment", "event", "action"),
    [
        (None, PLACED, Action.CHARGE),
        (CHARGED, PLACED, Action.NOTHING),
        (DECLINED, PLACED, Action.NOTHING),
        (REFUNDED, PLACED, Action.NOTHING),
        # A charge may have been on its way when the order was cancelled.
        (VOIDED, PLACED, Action.CANCEL),
        (None, CANCELLED, Action.CANCEL),
        (CHARGED, CANCELLED, Action.CANCEL),
        (DECLINED, CANCELLED, Action.NOTHING),
        (REFUNDED, CANCELLED, Action.NOTHING),
        (VOIDED, CANCELLED, Action.NOTHING),
    ],
)
def test_what_is_asked_of_the_card_processor(
    payment: Payment | None, event: Command, action: Action
) -> None:
    assert next_action(payment, event) is action


@pytest.mark.parametrize(
    ("payment", "event", "told"),
    [
        (CHARGED, PLACED, PaymentCharged(**FACTS, charge_id="ch_a")),  # type: ignore[arg-type]
        (DECLINED, PLACED, PaymentDeclined(order_id="a", reason="no funds")),
        # Not that it was charged: the tracker would confirm what was paid back.
        (REFUNDED, PLACED, PaymentRefunded(**FACTS)),  # type: ignore[arg-type]
        (VOIDED, PLACED, None),
        (CHARGED, CANCELLED, None),
        (DECLINED, CANCELLED, None),
        (REFUNDED, CANCELLED, PaymentRefunded(**FACTS)),  # type: ignore[arg-type]
        (VOIDED, CANCELLED, None),
    ],
)
def test_what_is_told_of_a_payment(payment: Payment, event: Command, told: object) -> None:
    assert outcome(payment, event) == told


@pytest.mark.parametrize(
    ("missing", "told"),
    [
        ({"charge_id": None}, PaymentCharged(**FACTS, charge_id="")),  # type: ignore[arg-type]
        ({"state": "declined"}, PaymentDeclined(order_id="a", reason="")),
        # An event says how much; a record that does not know it is not told of.
        ({"amount": None}, None),
        ({"currency": None}, None),
    ],
)
def test_what_is_told_of_a_record_that_lacks_something(missing: Any, told: object) -> None:  # noqa: ANN401
    assert outcome(replace(CHARGED, **missing), PLACED) == told


@pytest.mark.parametrize(
    ("payment", "after"),
    [
        (None, Payment(order_id="a", state="voided", at="now")),
        (CHARGED, Payment(**FACTS, state="refunded", at="now", charge_id="ch_a", attempt=1)),  # type: ignore[arg-type]
        (DECLINED, DECLINED),
        (REFUNDED, REFUNDED),
        (VOIDED, VOIDED),
    ],
)
def test_a_payment_after_its_cancel(payment: Payment | None, after: Payment) -> None:
    assert cancel(payment, "a", at="now") == after


def test_a_payment_is_what_the_card_processor_answered() -> None:
    order = PLACED.detail
    assert isinstance(order, OrderPlaced)
    charged, declined = (
        settle(order, answer, attempt=1, at="then")
        for answer in (Charged("ch_a"), Declined("no funds"))
    )
    assert charged == replace(CHARGED, fingerprint=order.fingerprint)
    assert declined == replace(DECLINED, fingerprint=order.fingerprint)


def test_what_the_card_processor_says_is_cut_to_the_contract() -> None:
    order = PLACED.detail
    assert isinstance(order, OrderPlaced)
    charged = settle(order, Charged("x" * (MAX_CHARGE_ID + 1)), attempt=1, at="now")
    declined = settle(order, Declined("x" * (MAX_REASON + 1)), attempt=1, at="now")
    assert charged.charge_id is not None
    assert declined.reason is not None
    assert (len(charged.charge_id), len(declined.reason)) == (MAX_CHARGE_ID, MAX_REASON)


@pytest.mark.parametrize(
    ("payment", "event", "expected"),
    [
        (None, PLACED, False),
        (VOIDED, PLACED, False),
        (CHARGED, CANCELLED, False),
        # Without a fingerprint, the sum is compared.
        (CHARGED, PLACED, False),
        (replace(CHARGED, amount=Decimal(6)), PLACED, True),
        (replace(CHARGED, currency="EUR"), PLACED, True),
        (replace(CHARGED, fingerprint=fingerprint(order_placed("a", 5))), PLACED, False),
        (replace(CHARGED, fingerprint="another"), PLACED, True),
    ],
)
def test_a_payment_is_for_the_order_whose_fingerprint_or_sum_it_has(
    payment: Payment | None, event: Command, expected: bool
) -> None:
    assert is_for_another(payment, event) is expected
