from __future__ import annotations

from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest
from msgspec.structs import replace

from orders.caretaker.decisions import (
    LATE,
    MAX_REDRIVES,
    Failure,
    Parked,
    Settings,
    is_due,
    next_event,
    redrive_delay,
)
from orders.events import OrderCancelled, OrderCancelRequested, OrderPlaced
from orders.order import Order, Repeats, Step

PLACED_AT = datetime(2026, 8, 18, 9, 30, tzinfo=UTC)
SETTINGS = Settings(repeat_after=timedelta(minutes=5), deadline=timedelta(days=1))
ORDERED = OrderPlaced(order_id="o1", amount=Decimal("12.50"), currency="EUR")


def order(**fields: Any) -> Order:  # noqa: ANN401 - of an order
    values: dict[str, Any] = {"order_id": "o1", "placed_at": "2026-08-18T09:30:00Z"}
    return Order(**values | {"ordered": ORDERED} | fields)


def after(**duration: float) -> datetime:
    return PLACED_AT + timedelta(**duration)


def due_after(known: Order, repeats: Repeats) -> int:
    """After how many minutes something is published again."""
    return next(n for n in range(1000) if is_due(known, repeats, after(minutes=n), SETTINGS))


@pytest.mark.parametrize(
    ("repeats", "minutes"), [(0, 5), (1, 10), (2, 20), (3, 40), (4, 80), (5, 80), (99, 80)]
)
def test_pauses_between_repeats_double_four_times(repeats: int, minutes: int) -> None:
    assert due_after(order(), Repeats(repeats, "2026-08-18T09:30:00Z")) == minutes


def test_an_order_that_was_heard_of_has_time_from_then_on() -> None:
    known = order(payment="charged", history=(Step("payment.charged", "2026-08-18T09:33:00Z"),))
    assert due_after(known, Repeats()) == 8
    assert due_after(known, Repeats(1, "2026-08-18T09:40:00.000Z")) == 20


def test_a_time_nobody_can_read_keeps_no_order_waiting() -> None:
    assert is_due(order(placed_at="yesterday"), Repeats(), PLACED_AT, SETTINGS)
    known = order(placed_at="yesterday")
    assert isinstance(next_event(known, PLACED_AT, SETTINGS), OrderCancelRequested)


@pytest.mark.parametrize(
    "heard",
    [{}, {"payment": "charged"}, {"inventory": "reserved"}, {"payment": "declined"}],
    ids=str,
)
def test_before_its_deadline_an_order_is_placed_again_as_it_was_ordered(heard: Any) -> None:  # noqa: ANN401
    assert next_event(order(**heard), after(hours=23), SETTINGS) == ORDERED


@pytest.mark.parametrize(
    "heard",
    [
        {},
        {"payment": "charged"},
        {"inventory": "reserved"},
        {"history": (Step("payment.charged", "2026-08-19T09:29:00Z"),)},
    ],
    ids=str,
)
def test_at_its_deadline_the_tracker_is_asked_to_cancel_it(heard: Any) -> None:  # noqa: ANN401
    expected = OrderCancelRequested(order_id="o1", reason=LATE)
    assert next_event(order(**heard), after(days=1), SETTINGS) == expected
    assert next_event(order(ordered=None, **heard), after(days=1), SETTINGS) == expected


def test_what_was_ordered_elsewhere_waits_for_its_deadline() -> None:
    assert next_event(order(ordered=None), after(hours=1), SETTINGS) is None


@pytest.mark.parametrize(
    ("payment", "inventory"), [("charged", None), ("declined", "reserved"), ("charged", "reserved")]
)
def test_a_cancelled_order_is_cancelled_again_until_money_and_stock_are_back(
    payment: Any,  # noqa: ANN401 - a state
    inventory: Any,  # noqa: ANN401
) -> None:
    known = order(status="cancelled", reason="why", payment=payment, inventory=inventory)
    expected = OrderCancelled(
        order_id="o1", reason="why", placed_at="2026-08-18T09:30:00Z", version=0
    )
    for when in (after(minutes=5), after(days=2)):
        assert next_event(known, when, SETTINGS) == expected


def test_a_cancelled_record_without_a_reason_is_told_all_the_same() -> None:
    told = next_event(order(status="cancelled", payment="charged"), after(minutes=5), SETTINGS)
    assert isinstance(told, OrderCancelled)
    assert told.reason == ""


@pytest.mark.parametrize(
    "fields",
    [
        {"status": "confirmed", "payment": "charged", "inventory": "reserved"},
        {"status": "cancelled", "payment": "refunded", "inventory": "released"},
    ],
    ids=lambda fields: fields["status"],
)
def test_a_finished_order_is_left_alone_however_old_it_is(fields: Any) -> None:  # noqa: ANN401
    assert next_event(order(**fields), after(days=9), SETTINGS) is None


MESSAGE = Parked(
    id="m", receipt_handle="h", body="{}", sent_at=PLACED_AT, redrives=0, order_id="o1"
)


def test_a_passing_reason_is_tried_again_with_growing_pauses_and_not_for_ever() -> None:
    delays = [
        redrive_delay(replace(MESSAGE, redrives=n), Failure(PLACED_AT, "no answer"), PLACED_AT)
        for n in range(MAX_REDRIVES + 2)
    ]
    assert delays[:7] == [0, 15, 30, 60, 120, 240, 240]
    assert set(delays[7:MAX_REDRIVES]) == {240}
    assert delays[MAX_REDRIVES:] == [None, None]


@pytest.mark.parametrize(
    ("reason", "is_redriven"),
    [
        (None, True),  # killed, timed out, throttled: it could log nothing
        ("ThrottlingException from PutEvents", True),
        ("the function is about to time out", True),
        ("ProvisionedThroughputExceededException from BatchGetItem", True),
        ("AccessDeniedException from BatchExecuteStatement", False),
        ("AccessDenied from PutEvents", False),
        ("ResourceNotFoundException from BatchGetItem", False),
        ("EntryTooLarge (300000 bytes)", False),
        ("its record in payments cannot be read: $.amount", False),
    ],
)
def test_what_does_not_pass_by_itself_is_left_to_a_person(
    reason: str | None, is_redriven: bool
) -> None:
    failure = Failure(PLACED_AT, reason) if reason else None
    assert (redrive_delay(MESSAGE, failure, PLACED_AT) is not None) == is_redriven


def test_what_was_logged_of_an_earlier_message_of_the_order_does_not_count() -> None:
    earlier = Failure(after(seconds=-1), "AccessDeniedException from PutEvents")
    assert redrive_delay(MESSAGE, earlier, PLACED_AT) == 0


def test_what_no_code_can_read_is_left_to_a_person() -> None:
    assert redrive_delay(replace(MESSAGE, order_id=None), None, PLACED_AT) is None


def test_what_is_older_than_the_log_that_is_searched_is_left_to_a_person() -> None:
    assert redrive_delay(MESSAGE, None, after(hours=24)) == 0
    assert redrive_delay(MESSAGE, None, after(hours=25)) is None
