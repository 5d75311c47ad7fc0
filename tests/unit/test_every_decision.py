"""Every decision there is: each event in each state, until nothing new is reached."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from functools import cache

import pytest
from msgspec import UNSET

from orders.caretaker import decisions as caretaker
from orders.events import (
    InventoryReleased,
    OrderCancelled,
    OrderConfirmed,
    Outcome,
    PaymentRefunded,
    convert_milestone,
)
from orders.order import Order
from orders.payments.decisions import Action, next_action
from orders.tracker.decisions import announcement, cause, follow, follow_all
from support import protocol
from support.protocol import ANSWERS, AT, COMMANDS, OUTCOMES, PAYMENTS, RESERVATIONS, hold, pay

NEW = Order(order_id="order-1", placed_at=AT)


@cache
def every_order() -> frozenset[Order]:
    """Each order that any sequence of outcomes makes of a new one, of whatever length."""
    found: set[Order] = set()
    left = [NEW]
    while left:
        order = left.pop()
        if order not in found:
            assert len(order.history) <= len(OUTCOMES), "something was noted twice"
            found.add(order)
            left += [follow(order, event) for event in OUTCOMES.values()]
    return frozenset(found)


def every_step() -> Iterator[tuple[Order, Outcome, Order]]:
    for order in every_order():
        for event in OUTCOMES.values():
            yield order, event, follow(order, event)


def test_a_decision_stands() -> None:
    for before, event, after in every_step():
        if before.status != "placed" and not isinstance(event.detail, OrderCancelled):
            assert (after.status, after.reason) == (before.status, before.reason)
        if before.status == "cancelled":
            assert (after.status, after.reason) == ("cancelled", before.reason)


def test_an_order_is_decided_as_soon_as_it_can_be_and_not_before() -> None:
    for before, event, after in every_step():
        if before.status != "placed":
            continue
        asked = event.detail.detail_type in ("order.cancel_requested", "order.cancelled")
        if asked or after.payment == "declined" or after.inventory == "rejected":
            assert after.status == "cancelled"
        elif (after.payment, after.inventory) == ("charged", "reserved"):
            assert after.status == "confirmed"
        else:
            assert after.status == "placed"


def test_the_history_only_grows_and_says_who_decided() -> None:
    for before, event, after in every_step():
        steps = len(before.history)
        assert after.history[:steps] == before.history
        new = [step.type for step in after.history[steps:]]
        decided = after.status != before.status
        assert len(new) <= 1 + decided
        if decided:
            assert new[-1] == f"order.{after.status}"
        if new and not isinstance(event.detail, OrderCancelled):
            assert new[0] == event.detail.detail_type
        if decided and after.status == "cancelled":
            assert cause(after) == event.detail.detail_type, "what brought it about, at once"
        elif before.status == "cancelled":
            assert cause(after) == cause(before), "and for ever"


def test_an_event_that_comes_again_changes_nothing() -> None:
    for _, event, after in every_step():
        assert follow(after, event) == after


def test_a_decision_is_published_when_it_is_made_and_can_be_read() -> None:
    for before, event, after in every_step():
        published = announcement(before, after, event)
        if published is None:
            answers_none = PaymentRefunded | InventoryReleased | OrderCancelled
            assert after.status == before.status or isinstance(event.detail, answers_none)
            continue
        assert published.detail_type == f"order.{after.status}"
        assert convert_milestone(protocol.parsed(published)).detail == published
        if isinstance(published, OrderCancelled):
            assert protocol.command(published).detail == published
            assert protocol.outcome(published).detail == published
        else:
            assert isinstance(published, OrderConfirmed)


def test_what_may_have_led_to_a_decision_has_it_published_again() -> None:
    """The function may have ended before it published: the event is delivered again.

    The tracker's own cancel is its echo: the record said so before.
    """
    for before, event, after in every_step():
        published = announcement(before, after, event)
        if published is not None and event != OUTCOMES["order.cancelled"]:
            assert announcement(after, follow(after, event), event) == published


def test_its_own_cancel_tells_the_tracker_nothing() -> None:
    own = OUTCOMES["order.cancelled"]
    for order in every_order():
        if order.status == "cancelled":
            assert follow(order, own) == order
            assert announcement(order, order, own) is None


@pytest.mark.parametrize("length", [2, 3])
def test_several_events_at_once_are_as_one_after_the_other(length: int) -> None:
    for events in itertools.product(OUTCOMES.values(), repeat=length):
        order, published = NEW, []
        for event in events:
            after = follow(order, event)
            published.append(announcement(order, after, event))
            order = after
        together, announced, answered = follow_all(NEW, events)
        assert together == order
        if announced is None:
            assert not any(p and p.detail_type == f"order.{order.status}" for p in published)
        else:
            assert announced.detail_type == f"order.{order.status}"
            assert announced in published
            again = announcement(order, follow(order, events[answered]), events[answered])
            # An echo comes only of what was published.
            is_echo = getattr(events[answered].detail, "version", UNSET) is not UNSET
            assert is_echo or again == announced, "it is told again if it was not published"


def test_from_every_order_there_is_a_way_to_an_end() -> None:
    for order in every_order():
        ways = [order, *(follow(order, event) for event in OUTCOMES.values())]
        ways += [follow(way, event) for way in ways for event in OUTCOMES.values()]
        assert any(way.is_finished for way in ways), order


def test_the_caretaker_helps_every_order_that_has_not_ended() -> None:
    for order in every_order():
        event = protocol.after_its_deadline(order)
        assert (event is None) == order.is_finished
        if isinstance(event, OrderCancelled):
            assert (order.status, event.reason) == ("cancelled", order.reason)
        elif event is not None:
            assert order.status == "placed"
            assert follow(order, protocol.outcome(event)).reason == caretaker.LATE


PAIRS = list(itertools.product(COMMANDS, repeat=2))


@pytest.mark.parametrize("state", PAYMENTS)
@pytest.mark.parametrize("answer", ANSWERS)
def test_every_pair_of_events_at_payments(state: str | None, answer: str) -> None:
    for first, second in PAIRS:
        once, asked, published = pay(state, first, answer)
        twice, asked_again, published_again = pay(once.state, second, answer)
        assert (asked is Action.CHARGE) == (state is None and first == "order.placed")
        assert asked_again is not Action.CHARGE, "nothing is charged twice"
        if "order.cancelled" in (first, second):
            assert twice.state in ("refunded", "voided", "declined")
        if first == second:
            assert (twice, published_again) == (once, published), "a repeat says the same"
        for command, payment, told in ((first, once, published), (second, twice, published_again)):
            reports = f"payment.{payment.state}"
            if payment.state == "voided" or (command, payment.state) == (
                "order.cancelled",
                "declined",
            ):
                assert told is None, "nobody waits for it, or it would be answered for ever"
            else:
                assert told == reports


def test_what_may_be_charged_is_cancelled_at_the_processor() -> None:
    for state, payment in PAYMENTS.items():
        asked = next_action(payment, COMMANDS["order.cancelled"]) is Action.CANCEL
        assert asked == (state in (None, "charged"))
        asked = next_action(payment, COMMANDS["order.placed"]) is Action.CANCEL
        assert asked == (state == "voided"), "a charge may have been on its way"


@pytest.mark.parametrize("state", RESERVATIONS)
@pytest.mark.parametrize("enough", [True, False])
def test_every_pair_of_events_at_inventory(state: str | None, *, enough: bool) -> None:
    for first, second in PAIRS:
        once, published = hold(state, first, enough=enough)
        twice, published_again = hold(once.state, second, enough=enough)
        reserves = state is None and first == "order.placed"
        kept = state == "reserved" and first == "order.placed"
        assert (once.state == "reserved") == (kept or (reserves and enough))
        assert twice.state != "reserved" or once.state == "reserved", "nothing is reserved twice"
        if "order.cancelled" in (first, second):
            assert twice.state in ("released", "voided", "rejected")
        if first == second:
            assert (twice, published_again) == (once, published), "a repeat says the same"
        for command, held, told in ((first, once, published), (second, twice, published_again)):
            if held.state == "voided" or (command, held.state) == ("order.cancelled", "rejected"):
                assert told is None
            else:
                assert told == f"inventory.{held.state}"
