"""However the events of an order come, it ends once, and as the rules say."""

from __future__ import annotations

import json

from hypothesis import given
from hypothesis import strategies as st

from orders.events import (
    InventoryRejected,
    OrderCancelled,
    OrderCancelRequested,
    Outcome,
    PaymentDeclined,
    decode_outcome,
)
from orders.order import Order
from orders.tracker.decisions import announcement, follow
from support.lambdas import event_of

PAYMENTS = (
    event_of("payment.charged", amount=1, currency="USD", charge_id="ch"),
    event_of("payment.declined", reason="no funds"),
)
STOCK = (event_of("inventory.reserved"), event_of("inventory.rejected", reason="none left"))
REQUESTED = event_of("order.cancel_requested")
CANCELLED = event_of("order.cancelled")
CONSEQUENCES = (
    event_of("payment.refunded", amount=1, currency="USD"),
    event_of("inventory.released"),
)


@st.composite
def deliveries(draw: st.DrawFn) -> list[Outcome]:
    """One answer of each consumer, perhaps more, in any order and any number of times."""
    events = [draw(st.sampled_from(PAYMENTS)), draw(st.sampled_from(STOCK))]
    if draw(st.booleans()):
        events.append(REQUESTED)
    if draw(st.booleans()):  # from a publisher that is not the tracker
        events += [CANCELLED, *draw(st.lists(st.sampled_from(CONSEQUENCES), max_size=2))]
    events += draw(st.lists(st.sampled_from(events), max_size=4))
    return [decode_outcome(json.dumps(event)) for event in draw(st.permutations(events))]


def cancels(event: Outcome) -> bool:
    return isinstance(
        event.detail,
        PaymentDeclined | InventoryRejected | OrderCancelRequested | OrderCancelled,
    )


@given(deliveries())
def test_an_order_ends_once_and_tells_of_it(events: list[Outcome]) -> None:
    order = Order(order_id="order-1", placed_at="2026-08-18T09:29:58.123Z")
    statuses, published = [order.status], []
    for event in events:
        after = follow(order, event)
        if (published_event := announcement(order, after, event)) is not None:
            published.append(type(published_event).__name__)
        order = after
        statuses.append(order.status)
    changes = [s for s, before in zip(statuses[1:], statuses, strict=False) if s != before]
    if any(isinstance(event.detail, OrderCancelled) for event in events):
        assert statuses[-1] == "cancelled"
    elif any(cancels(event) for event in events):
        assert len(changes) == 1, "decided, and once"
        assert len(set(published)) == 1
    elif order.payment == "charged" and order.inventory == "reserved":
        assert changes == ["confirmed"]
        assert set(published) == {"OrderConfirmed"}


@given(deliveries())
def test_to_hear_it_all_again_changes_nothing(events: list[Outcome]) -> None:
    order = Order(order_id="order-1", placed_at="2026-08-18T09:29:58.123Z")
    for event in events:
        order = follow(order, event)
    once = order
    for event in events:
        order = follow(order, event)
    assert order.status == once.status
    assert (order.payment, order.inventory) == (once.payment, once.inventory)
