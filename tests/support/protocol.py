"""The real decisions at work on one order, without AWS: every state they reach.

What the functions do around their decisions is one step here: they read, decide, write under a
condition, publish. A queue has no order and may deliver twice, so it is a set of events; any number
of faults strikes. ``docs/reliability.md`` says what this leaves out.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from functools import cache
from typing import Any, Final, Literal, NamedTuple

from msgspec import UNSET

from orders.caretaker.decisions import Settings, next_event
from orders.events import (
    ROUTING,
    Command,
    Detail,
    InventoryRejected,
    InventoryReleased,
    InventoryReserved,
    OrderCancelled,
    OrderCancelRequested,
    OrderLine,
    OrderPlaced,
    Outcome,
    PaymentCharged,
    PaymentDeclined,
    PaymentRefunded,
    decode_command,
    decode_outcome,
    encode,
)
from orders.inventory import decisions as inventory
from orders.inventory.decisions import Reservation
from orders.order import Order
from orders.payments import decisions as payments
from orders.payments.decisions import Action, Payment
from orders.payments.provider import Charged, Declined
from orders.tracker import decisions as tracker

AT: Final = "2026-08-18T09:30:00Z"
_MINUTES_LATER: Final = datetime(2026, 8, 18, 9, 36, tzinfo=UTC)
_DAYS_LATER: Final = datetime(2026, 8, 20, tzinfo=UTC)
_SETTINGS: Final = Settings(repeat_after=timedelta(minutes=5), deadline=timedelta(hours=1))
_LINES: Final = (OrderLine("apple", 2),)
_SHORTAGE: Final = {"apple": 1}

PLACED: Final = OrderPlaced(order_id="order-1", amount=Decimal(42), items=_LINES)
REQUESTED: Final = OrderCancelRequested(order_id="order-1", reason="changed my mind")
CANCELLED: Final = OrderCancelled(order_id="order-1", reason="said the shop", version=2)
FROM_OUTSIDE: Final = "order.cancelled from outside"
"""Stands for the detail-type of the one event whose publisher matters: the tracker answers it."""
_FROM_OUTSIDE: Final = OrderCancelled(order_id="order-1", reason="said the shop")
_OUTCOMES: Final[tuple[Detail, ...]] = (
    PaymentCharged(order_id="order-1", amount=Decimal(42), currency="USD", charge_id="ch_1"),
    PaymentDeclined(order_id="order-1", reason="no funds"),
    PaymentRefunded(order_id="order-1", amount=Decimal(42), currency="USD"),
    InventoryReserved(order_id="order-1", items=_LINES),
    InventoryRejected(order_id="order-1", reason=inventory.describe_shortage(_LINES, _SHORTAGE)),
    InventoryReleased(order_id="order-1", items=_LINES),
    REQUESTED,
    CANCELLED,
    _FROM_OUTSIDE,
)


def kind(detail: Detail) -> str:
    """An event's detail-type; FROM_OUTSIDE for a cancel of another publisher, without a version."""
    if isinstance(detail, OrderCancelled) and detail.version is UNSET:
        return FROM_OUTSIDE
    return detail.detail_type


def parsed(detail: Detail) -> dict[str, Any]:
    """An event as EventBridge hands it to a function."""
    source, detail_type = ROUTING[type(detail)]
    envelope = {"source": source, "detail-type": detail_type, "time": AT}
    return {**envelope, "detail": json.loads(encode(detail))}


def command(detail: Detail) -> Command:
    """An event as payments and inventory read it.

    Raises:
        UnreadableEventError: it does not fit the contract.
    """
    return decode_command(json.dumps(parsed(detail)))


def outcome(detail: Detail) -> Outcome:
    """An event as the tracker reads it.

    Raises:
        UnreadableEventError: it does not fit the contract.
    """
    return decode_outcome(json.dumps(parsed(detail)))


COMMANDS: Final[dict[str, Command]] = {
    kind(detail): command(detail) for detail in (PLACED, CANCELLED, _FROM_OUTSIDE)
}
"""What payments and inventory act on, by kind."""
OUTCOMES: Final[dict[str, Outcome]] = {kind(detail): outcome(detail) for detail in _OUTCOMES}
"""What the tracker follows, by kind."""
ANSWERS: Final[dict[str, Charged | Declined]] = {
    "charged": Charged("ch_1"),
    "declined": Declined("no funds"),
}
"""What the card processor says."""

_charged: Final = payments.settle(PLACED, ANSWERS["charged"], attempt=1, at=AT)
_reserved: Final = inventory.settle(None, COMMANDS["order.placed"], at=AT)
PAYMENTS: Final[dict[str | None, Payment | None]] = {
    None: None,
    "charged": _charged,
    "declined": payments.settle(PLACED, ANSWERS["declined"], attempt=1, at=AT),
    "refunded": payments.cancel(_charged, "order-1", at=AT),
    "voided": payments.cancel(None, "order-1", at=AT),
}
"""What can be on record of a payment, by its state."""
RESERVATIONS: Final[dict[str | None, Reservation | None]] = {
    None: None,
    "reserved": _reserved,
    "rejected": inventory.reject(_reserved, _SHORTAGE),
    "released": inventory.settle(_reserved, COMMANDS["order.cancelled"], at=AT),
    "voided": inventory.settle(None, COMMANDS["order.cancelled"], at=AT),
}
"""What can be on record of a reservation, by its state."""


class Standing(NamedTuple):
    """How an order stands in the three tables; None: nothing is on record."""

    status: str | None = None
    noted_payment: str | None = None
    noted_stock: str | None = None
    payment: str | None = None
    reservation: str | None = None


Events = frozenset[str]
"""The kinds of event that wait in a queue: there is one event of each."""
_NONE: Final[Events] = frozenset()


class State(NamedTuple):
    """Everything that decides how an order goes on."""

    standing: Standing = Standing()
    shop: Literal["waits", "api", "bus"] = "waits"
    """How the order was placed: through the API, so that it is on record, or on the bus alone."""
    card: Literal["charged", "declined", "refunded", "refused"] | None = None
    """What the card processor's books say; it charges no more once it was asked to cancel."""
    to_payments: Events = _NONE
    to_inventory: Events = _NONE
    to_tracker: Events = _NONE

    @property
    def is_quiet(self) -> bool:
        """Whether nothing waits for a function."""
        return not (self.to_payments or self.to_inventory or self.to_tracker)

    def put(self, detail_type: str | None) -> State:
        """Put an event on the bus, which has it delivered to whom it concerns."""
        if detail_type is None:
            return self
        standing, shop, card, to_payments, to_inventory, to_tracker = self
        if detail_type in COMMANDS:
            to_payments = _with(to_payments, detail_type)
            to_inventory = _with(to_inventory, detail_type)
        if detail_type in OUTCOMES:
            to_tracker = _with(to_tracker, detail_type)
        return State(standing, shop, card, to_payments, to_inventory, to_tracker)


@cache
def _with(events: Events, detail_type: str) -> Events:
    return events | {detail_type}


@cache
def _without(events: Events, detail_type: str) -> Events:
    return events - {detail_type}


@cache
def order(status: str | None, payment: str | None, stock: str | None, *, ours: bool) -> Order:
    """An order's record, or what the tracker begins with when there is none."""
    record: Any = {"status": status or "placed", "payment": payment, "inventory": stock}
    return Order(order_id="order-1", placed_at=AT, ordered=PLACED if ours else None, **record)


def order_of(state: State) -> Order:
    """The order's record in a state."""
    status, payment, stock, *_ = state.standing
    return order(status, payment, stock, ours=state.shop == "api")


@cache
def pay(payment: str | None, detail_type: str, answer: str) -> tuple[Payment, Action, str | None]:
    """What payments makes of an event: the record, what it asks, the detail-type it publishes.

    Args:
        payment: the state on record.
        detail_type: the event's.
        answer: what the card processor says if it is asked for a charge.
    """
    before, event = PAYMENTS[payment], COMMANDS[detail_type]
    action = payments.next_action(before, event)
    if action is Action.CHARGE:
        after = payments.settle(PLACED, ANSWERS[answer], attempt=1, at=AT)
    elif action is Action.CANCEL or before is None:
        after = payments.cancel(before, "order-1", at=AT)
    else:
        after = before
    return after, action, _published(payments.outcome(after, event))


@cache
def hold(
    reservation: str | None, detail_type: str, *, enough: bool
) -> tuple[Reservation, str | None]:
    """What inventory makes of an event: the record, and the detail-type it publishes."""
    before, event = RESERVATIONS[reservation], COMMANDS[detail_type]
    after = inventory.settle(before, event, at=AT)
    if after != before and after.state == "reserved" and not enough:
        after = inventory.reject(after, _SHORTAGE)
    return after, _published(inventory.outcome(after, event))


@cache
def follow(
    status: str | None, payment: str | None, stock: str | None, detail_type: str
) -> tuple[Order, str | None]:
    """What the tracker makes of an event: the record, and the detail-type it publishes."""
    before, event = order(status, payment, stock, ours=False), OUTCOMES[detail_type]
    after = tracker.follow(before, event)
    return after, _published(tracker.announcement(before, after, event))


def after_its_deadline(before: Order) -> Detail | None:
    """What the caretaker publishes of an order when its deadline has passed."""
    return next_event(before, _DAYS_LATER, _SETTINGS)


@cache
def repeat(before: Order, *, late: bool) -> str | None:
    """What the caretaker publishes of an order, before its deadline or after it."""
    if late:
        return _published(after_its_deadline(before))
    return _published(next_event(before, _MINUTES_LATER, _SETTINGS))


def _published(event: Detail | None) -> str | None:
    """The event's kind; whoever acts on it can read it.

    Raises:
        UnreadableEventError: the event does not fit the contract.
    """
    if event is None:
        return None
    if kind(event) in COMMANDS:
        command(event)
    if kind(event) in OUTCOMES:
        outcome(event)
    return kind(event)


def steps(state: State) -> Iterator[State]:
    """How a state goes on by itself."""
    if state.shop == "waits":
        if state.standing.status is None:
            yield _recorded(state).put("order.placed")
        yield state._replace(shop="bus").put("order.placed")
    for after, published, event in _payments(state):
        yield after._replace(to_payments=_without(after.to_payments, event)).put(published)
    for after, published, event in _inventory(state):
        yield after._replace(to_inventory=_without(after.to_inventory, event)).put(published)
    for after, published, event in _tracker(state):
        yield after._replace(to_tracker=_without(after.to_tracker, event)).put(published)
    if state.is_quiet and (published := _repeated(state, late=True)):
        yield state.put(published)


def surprises(state: State) -> Iterator[State]:
    """What may happen to it besides, any number of times.

    Somebody cancels, a function dies, a message comes twice, the caretaker comes early.
    """
    yield state.put(FROM_OUTSIDE)
    if state.standing.status == "placed":
        yield state.put("order.cancel_requested")
    if state.shop == "waits" and state.standing.status is None:
        yield _recorded(state)  # order-api dies before it publishes, and nobody calls again
    for after, published, _ in _payments(state):
        yield state._replace(card=after.card)  # dies before it writes
        yield after  # dies before it publishes
        yield after.put(published)  # the message comes again
    for step in (_inventory, _tracker):
        for after, published, _ in step(state):
            yield after
            yield after.put(published)
    for late in (False, True):
        yield state.put(_repeated(state, late=late))


_Step = tuple[State, str | None, str]
"""A state after a function has written, what it is to publish, and which event it has handled."""


def _payments(state: State) -> Iterator[_Step]:
    standing, shop, card, *queues = state
    for event in state.to_payments:
        for answer in _answers(card):
            payment, action, published = pay(standing.payment, event, answer)
            noted = Standing(*standing[:3], payment.state, standing.reservation)
            yield State(noted, shop, _booked(card, action, answer), *queues), published, event


def _answers(card: str | None) -> Iterable[str]:
    """What the processor may say to a charge: the same key gets the same answer."""
    if card is None:
        return ANSWERS
    return ("charged",) if card == "charged" else ("declined",)


def _booked(card: Any, action: Action, answer: str) -> Any:  # noqa: ANN401 - see State
    if action is Action.CANCEL:
        return "refunded" if card in ("charged", "refunded") else "refused"
    return card or answer if action is Action.CHARGE else card


def _inventory(state: State) -> Iterator[_Step]:
    standing = state.standing
    for event in state.to_inventory:
        for enough in (True, False) if standing.reservation is None else (True,):
            reservation, published = hold(standing.reservation, event, enough=enough)
            yield State(Standing(*standing[:4], reservation.state), *state[1:]), published, event


def _tracker(state: State) -> Iterator[_Step]:
    standing = state.standing
    for event in state.to_tracker:
        after, published = follow(*standing[:3], event)
        noted = Standing(after.status, after.payment, after.inventory, *standing[3:])
        yield State(noted, *state[1:]), published, event


def _repeated(state: State, *, late: bool) -> str | None:
    """What the caretaker publishes, which finds an order by its record."""
    return repeat(order_of(state), late=late) if state.standing.status else None


def _recorded(state: State) -> State:
    standing = state.standing._replace(status="placed")
    return state._replace(standing=standing, shop="api")


@cache
def explore() -> dict[State, list[State]]:
    """Every state that can be reached, and how each goes on by itself."""
    found: dict[State, list[State]] = {}
    left = [State()]
    while left:
        state = left.pop()
        if state not in found:
            found[state] = list(steps(state))
            left += [s for s in (*found[state], *surprises(state)) if s not in found]
    return found
