from __future__ import annotations

import json
from decimal import Decimal
from typing import Any

import pytest
from msgspec.structs import replace

from orders.events import (
    MAX_REASON,
    OrderCancelled,
    OrderConfirmed,
    OrderLine,
    OrderPlaced,
    Outcome,
    decode_outcome,
    encode,
)
from orders.order import Order, Step
from orders.tracker.decisions import AMBIGUOUS, announcement, cause, follow, follow_all
from support.lambdas import event_of

CHARGED = event_of("payment.charged", amount=1, currency="USD", charge_id="ch")
DECLINED = event_of("payment.declined", reason="no funds")
REFUNDED = event_of("payment.refunded", amount=1, currency="USD")
RESERVED = event_of("inventory.reserved")
REJECTED = event_of("inventory.rejected", reason="unknown SKU x")
RELEASED = event_of("inventory.released")
REQUESTED = event_of("order.cancel_requested", reason="changed my mind")
CANCELLED = event_of("order.cancelled", reason="said the shop")
ECHO = event_of("order.cancelled", reason="said the tracker", version=2)
PLACED_AT = "2026-08-18T09:29:58.123Z"


def outcome(event: dict[str, Any]) -> Outcome:
    return decode_outcome(json.dumps(event))


def after(*events: dict[str, Any]) -> Order:
    order = Order(order_id="order-1", placed_at=PLACED_AT)
    for event in events:
        order = follow(order, outcome(event))
    return order


def published(*events: dict[str, Any]) -> Any:  # noqa: ANN401
    """What the last of the events has published."""
    before = after(*events[:-1])
    last = outcome(events[-1])
    return announcement(before, follow(before, last), last)


@pytest.mark.parametrize("events", [[CHARGED, RESERVED], [RESERVED, CHARGED]])
def test_charged_and_reserved_is_confirmed(events: list[dict[str, Any]]) -> None:
    assert after(*events).status == "confirmed"
    assert published(events[0]) is None
    assert published(*events) == OrderConfirmed(order_id="order-1", placed_at=PLACED_AT, version=3)


@pytest.mark.parametrize(
    ("events", "reason"),
    [
        ([DECLINED], "payment declined: no funds"),
        ([RESERVED, DECLINED], "payment declined: no funds"),
        ([CHARGED, REJECTED], "out of stock: unknown SKU x"),
        ([REQUESTED], "changed my mind"),
        ([CHARGED, REQUESTED], "changed my mind"),
    ],
)
def test_a_decline_a_rejection_and_a_request_cancel(
    events: list[dict[str, Any]], reason: str
) -> None:
    assert (after(*events).status, after(*events).reason) == ("cancelled", reason)
    assert published(*events) == OrderCancelled(
        order_id="order-1", reason=reason, placed_at=PLACED_AT, version=len(events) + 1
    )


@pytest.mark.parametrize(
    "late", [DECLINED, REJECTED, REQUESTED, CHARGED, RESERVED], ids=lambda e: e["detail-type"]
)
def test_a_confirmed_order_stays_confirmed(late: dict[str, Any]) -> None:
    assert after(CHARGED, RESERVED, late).status == "confirmed"


def test_a_cancelled_order_stays_cancelled_whatever_comes_late() -> None:
    order = after(REQUESTED, CHARGED, RESERVED)
    assert (order.status, order.payment, order.inventory) == ("cancelled", "charged", "reserved")
    assert not order.is_finished
    order = after(REQUESTED, CHARGED, RESERVED, REFUNDED, RELEASED)
    assert (order.payment, order.inventory, order.is_finished) == ("refunded", "released", True)


def test_a_refund_that_overtakes_its_charge_stands() -> None:
    assert after(REQUESTED, REFUNDED, CHARGED).payment == "refunded"


def test_what_is_known_already_changes_nothing() -> None:
    once = after(CHARGED, RESERVED)
    assert after(CHARGED, CHARGED, RESERVED, RESERVED, CHARGED) == once


def test_a_decision_is_told_again_when_its_cause_comes_again() -> None:
    assert published(CHARGED, RESERVED, RESERVED) == published(CHARGED, RESERVED)
    assert published(DECLINED, DECLINED) == published(DECLINED)
    assert published(REQUESTED, REQUESTED) == published(REQUESTED)


@pytest.mark.parametrize("event", [REFUNDED, RELEASED, ECHO], ids=lambda e: e["detail-type"])
def test_what_follows_from_a_decision_is_not_answered(event: dict[str, Any]) -> None:
    """Otherwise tracker and processors would answer each other for ever."""
    assert published(DECLINED, event) is None
    assert published(DECLINED, event, event) is None


def test_a_cancel_by_another_publisher_is_a_fact() -> None:
    assert after(CANCELLED).status == "cancelled"
    assert after(CHARGED, RESERVED, CANCELLED).status == "cancelled"


@pytest.mark.parametrize("before", [[], [CHARGED, RESERVED], [DECLINED]])
def test_a_cancel_by_another_publisher_is_announced_when_it_is_on_record(
    before: list[dict[str, Any]],
) -> None:
    """The shop is told what is on record, and nobody else knows when that is so."""
    told = published(*before, CANCELLED)
    assert isinstance(told, OrderCancelled)
    assert published(*before, CANCELLED, CANCELLED) == told
    assert published(*before, CANCELLED, event_of(told.detail_type, version=told.version)) is None


def test_a_long_reason_is_cut_when_it_is_published() -> None:
    long = {**DECLINED, "detail": {"order_id": "order-1", "reason": "x" * MAX_REASON}}
    cancelled = published(long)
    assert len(cancelled.reason) == MAX_REASON
    assert cancelled.reason.endswith("x…")


def test_what_is_told_of_an_old_record_fits_the_contract() -> None:
    """Records were written before the contract bounded times and reasons."""
    old = Order(order_id="order-1", placed_at="no time", status="cancelled", reason="x" * 9999)
    cancelled = announcement(old, old, outcome(DECLINED))
    assert isinstance(cancelled, OrderCancelled)
    event = event_of("order.cancelled", **json.loads(encode(cancelled)))
    assert decode_outcome(json.dumps(event)).detail == cancelled


@pytest.mark.parametrize(
    ("events", "expected"),
    [
        ([CHARGED, RESERVED], None),
        ([CHARGED], None),
        ([RESERVED, DECLINED], "payment.declined"),
        ([REJECTED, CHARGED, REFUNDED], "inventory.rejected"),
        ([CHARGED, REQUESTED], "order.cancel_requested"),
        ([CANCELLED], "order.cancelled"),
        ([CHARGED, RESERVED, CANCELLED], "order.cancelled"),
        ([CANCELLED, DECLINED], "order.cancelled"),
        ([CANCELLED, REJECTED], "order.cancelled"),
    ],
)
def test_the_cause_of_a_cancelled_order_is_known(
    events: list[dict[str, Any]], expected: str | None
) -> None:
    assert cause(after(*events)) == expected


def test_the_history_tells_each_step_once_in_its_order() -> None:
    order = after(CHARGED, CHARGED, REJECTED, REFUNDED, CANCELLED)
    assert [step.type for step in order.history] == [
        "payment.charged",
        "inventory.rejected",
        "order.cancelled",
        "payment.refunded",
    ]
    assert order.history[2].reason == "out of stock: unknown SKU x"


ORDERED = OrderPlaced(order_id="order-1", amount=Decimal(1), items=(OrderLine("mug", 1),))
OTHER = replace(ORDERED, amount=Decimal(2))
MUG = [{"sku": "mug", "quantity": 1}]


def charged(fingerprint: str | None, amount: int = 1) -> dict[str, Any]:
    told = {"fingerprint": fingerprint} if fingerprint else {}
    return event_of("payment.charged", amount=amount, currency="USD", charge_id="ch", **told)


def reserved(fingerprint: str | None, items: object = MUG) -> dict[str, Any]:
    told = {"fingerprint": fingerprint} if fingerprint else {}
    return event_of("inventory.reserved", items=items, **told)


@pytest.mark.parametrize(
    ("ordered", "events", "status"),
    [
        # An order of the API: each answer must be for what is on record.
        (ORDERED, [charged(ORDERED.fingerprint), reserved(ORDERED.fingerprint)], "confirmed"),
        (ORDERED, [charged(OTHER.fingerprint, 2)], "cancelled"),
        (ORDERED, [charged(ORDERED.fingerprint), reserved(OTHER.fingerprint)], "cancelled"),
        # Answers of producers from before have no fingerprint: what they say is compared.
        (ORDERED, [charged(None), reserved(None)], "confirmed"),
        (ORDERED, [charged(None, 2)], "cancelled"),
        (ORDERED, [reserved(None, [{"sku": "mug", "quantity": 2}])], "cancelled"),
        (ORDERED, [reserved(None), charged(ORDERED.fingerprint)], "confirmed"),
        # An order from another publisher: both must be for the same one.
        (None, [charged(OTHER.fingerprint, 2), reserved(OTHER.fingerprint)], "confirmed"),
        (None, [reserved(ORDERED.fingerprint), charged(OTHER.fingerprint, 2)], "cancelled"),
        (None, [charged(None), reserved(OTHER.fingerprint)], "confirmed"),
    ],
)
def test_no_mixture_of_two_orders_is_confirmed(
    ordered: OrderPlaced | None, events: list[dict[str, Any]], status: str
) -> None:
    order = Order(order_id="order-1", placed_at=PLACED_AT, ordered=ordered)
    for event in events:
        order = follow(order, outcome(event))
    assert order.status == status
    if status == "cancelled":
        assert order.reason == "a different order was placed under the same id"
        assert cause(order) == events[-1]["detail-type"]


def test_a_decline_of_a_different_order_says_so() -> None:
    order = Order(order_id="order-1", placed_at=PLACED_AT, ordered=ORDERED)
    declined = event_of("payment.declined", reason="no funds", fingerprint=OTHER.fingerprint)
    assert follow(order, outcome(declined)).reason == (
        "a different order was placed under the same id"
    )


@pytest.mark.parametrize(
    ("first", "other"),
    [(CHARGED, DECLINED), (DECLINED, CHARGED), (RESERVED, REJECTED), (REJECTED, RESERVED)],
)
def test_of_two_answers_of_one_consumer_the_first_stands(
    first: dict[str, Any], other: dict[str, Any]
) -> None:
    assert after(first, other) == after(first)


@pytest.mark.parametrize("again", [REFUNDED, RELEASED, REQUESTED, CANCELLED])
def test_what_came_before_is_no_step_again(again: dict[str, Any]) -> None:
    once = after(CHARGED, REQUESTED, RESERVED, REFUNDED, RELEASED)
    assert follow(once, outcome(again)) == once


class TestSeveralEvents:
    """Those of one order that come in one batch."""

    def published(self, *events: dict[str, Any]) -> Any:  # noqa: ANN401
        order = Order(order_id="order-1", placed_at=PLACED_AT)
        followed, told, _ = follow_all(order, list(map(outcome, events)))
        assert followed == after(*events)
        return told

    def test_a_decision_is_told_whatever_comes_after_it(self) -> None:
        told = OrderConfirmed(order_id="order-1", placed_at=PLACED_AT, version=3)
        assert self.published(CHARGED, RESERVED) == told
        assert self.published(CHARGED, RESERVED, RELEASED) == told
        assert self.published(CHARGED, RESERVED, CHARGED) == told

    def test_a_confirmation_that_a_cancel_overtakes_is_not_told(self) -> None:
        for after_it in ([], [CHARGED]):
            told = self.published(CHARGED, RESERVED, CANCELLED, *after_it)
            assert isinstance(told, OrderCancelled)

    def test_nothing_is_told_of_what_decides_nothing(self) -> None:
        assert self.published(CHARGED, CHARGED) is None
        assert self.published() is None


def test_a_cancelled_record_without_a_reason_is_told_all_the_same() -> None:
    old = Order(order_id="order-1", placed_at=PLACED_AT, status="cancelled")
    assert announcement(old, old, outcome(DECLINED)) == OrderCancelled(
        order_id="order-1", reason="", placed_at=PLACED_AT, version=0
    )


def at(time: str, event: dict[str, Any]) -> dict[str, Any]:
    return {**event, "time": f"2026-08-18T{time}Z"}


@pytest.mark.parametrize("times", [("09:31:00", "09:30:00"), ("09:30:00", "09:31:00")])
def test_a_decision_is_not_earlier_than_what_it_follows_from(times: tuple[str, str]) -> None:
    """The clocks of two consumers may differ."""
    order = after(at(times[0], CHARGED), at(times[1], RESERVED))
    assert order.history[-1] == Step("order.confirmed", "2026-08-18T09:31:00Z", None)


def test_a_time_that_nobody_can_read_is_not_the_latest() -> None:
    """A record may be older than the contract's bounds."""
    old = after()
    old = replace(old, history=(Step("order.placed", "yesterday"),))
    decided = follow(old, outcome(DECLINED))
    assert decided.history[-1].at == DECLINED["time"]


def test_a_cancel_from_outside_has_no_other_cause_whatever_its_reason() -> None:
    assert cause(after(event_of("order.cancelled", reason=AMBIGUOUS))) == "order.cancelled"


@pytest.mark.parametrize(
    ("event", "reason"),
    [(DECLINED, "payment declined: no funds"), (REJECTED, "out of stock: unknown SKU x")],
)
def test_a_refusal_without_a_fingerprint_is_taken_for_the_order_on_record(
    event: dict[str, Any], reason: str
) -> None:
    assert follow(replace(after(), ordered=ORDERED), outcome(event)).reason == reason


def test_the_fingerprint_of_an_order_that_nobody_recorded_is_the_first_that_is_told() -> None:
    first = ORDERED.fingerprint
    assert after(CHARGED).fingerprint is None
    assert after(CHARGED, reserved(first)).fingerprint == first
    assert after(charged(first), reserved(OTHER.fingerprint)).fingerprint == first
    assert after(charged(first), RESERVED).fingerprint == first


def test_the_fingerprint_of_an_order_on_record_is_not_noted() -> None:
    """It follows from what was ordered."""
    order = follow(replace(after(), ordered=ORDERED), outcome(charged(ORDERED.fingerprint)))
    assert order.fingerprint is None
