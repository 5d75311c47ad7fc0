"""What may as well come at once: messages of which it no longer matters when they come.

Most of what is still on its way to an order that has its end changes nothing, or something that
nothing else goes by: a refund is noted, a repeat is answered as before. Whether it comes before or
after anything else leads to the same. That is not a list of ours: the real decisions are asked, for
all that can be on record and each event.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Hashable, Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from typing import Final, Generic, NamedTuple, TypeVar

from msgspec.structs import replace

from orders.events import OrderCancelled
from orders.order import Order, Step
from orders.payments.decisions import Action
from orders.tracker.decisions import announcement, cause, follow
from support.protocol import (
    AT,
    COMMANDS,
    FROM_OUTSIDE,
    OUTCOMES,
    PAYMENTS,
    PLACED,
    RESERVATIONS,
    hold,
    pay,
)

S = TypeVar("S", bound=Hashable)

TRACKER: Final = "order-tracker"
RECORDS: Final = {
    "payments-processor": ("payments", ("state",)),
    "inventory-processor": ("reservations", ("state",)),
    TRACKER: ("orders", ("status", "payment", "inventory")),
}
"""What each function goes by: the table, and the attributes that say how an order stands in it."""


class Standing(NamedTuple):
    """How an order stands in a function's table, and an event that comes to it."""

    function: str
    state: tuple[str | None, ...]
    detail_type: str


class Deed(NamedTuple):
    """What a function does for an event."""

    changes: bool
    """Whether anything is changed by it."""
    publishes: str | None
    """An event's detail-type."""


@cache
def settled() -> Mapping[Standing, Deed]:
    """When it does not matter when an event comes, and what is then done for it."""
    order = Order(
        order_id=PLACED.order_id,
        placed_at=AT,
        history=(Step(PLACED.detail_type, AT),),
        ordered=PLACED,
    )
    found = {
        **_Decisions("payments-processor", PAYMENTS, _commands, _pay, lambda it: (it,)).settled(),
        **_Decisions(
            "inventory-processor", RESERVATIONS, _commands, _hold, lambda it: (it,)
        ).settled(),
        **_Decisions(TRACKER, [order], _outcomes, _follow, _order_stands).settled(),
    }
    # What payments asks of the card processor could meet what it has asked before.
    return {at: deed for at, deed in found.items() if at.function == TRACKER or not deed.changes}


@dataclass(frozen=True, slots=True)
class _Decisions(Generic[S]):
    """The decisions of a function about one order."""

    function: str
    beginnings: Collection[S]
    """What may be on record; the rest follows from it."""
    events: Callable[[S], Iterator[str]]
    """The kinds of events that may come to a record."""
    hear: Callable[[S, str], tuple[S, Deed]]
    """What is on record after an event, and what is done for it."""
    stands: Callable[[S], tuple[str | None, ...]]

    def settled(self) -> dict[Standing, Deed]:
        found: dict[Standing, set[Deed | None]] = {}
        for record in self._reached(self.beginnings):
            for event in self.events(record):
                standing = Standing(self.function, self.stands(record), event)
                deed = self.hear(record, event)[1] if self._may_come(record, event) else None
                found.setdefault(standing, set()).add(deed)
        deeds = {standing: of.pop() for standing, of in found.items() if len(of) == 1}
        return {standing: deed for standing, deed in deeds.items() if deed}

    def _reached(self, records: Collection[S]) -> Iterator[S]:
        """What is on record after any sequence of events."""
        found, left = set[S](), list(records)
        while left:
            record = left.pop()
            if record not in found:
                found.add(record)
                yield record
                left += [self.hear(record, event)[0] for event in self.events(record)]

    def _may_come(self, record: S, event: str) -> bool:
        """Whether an event may as well come now as after whatever else comes before it."""
        return all(
            self._commute(reached, event, other)
            for reached in self._reached([record])
            for other in self.events(reached)
            if other != event
        )

    def _commute(self, record: S, one: str, other: str) -> bool:
        first, for_one = self.hear(record, one)
        after, for_other = self.hear(first, other)
        first, for_other_first = self.hear(record, other)
        swapped, for_one_then = self.hear(first, one)
        return (_essence(after), for_one, for_other) == (
            _essence(swapped),
            for_one_then,
            for_other_first,
        )


def _commands(_: object) -> Iterator[str]:
    yield from COMMANDS


def _outcomes(order: Order) -> Iterator[str]:
    """No scope has another publisher that says an order is cancelled; the tracker's is an echo."""
    for kind in OUTCOMES:
        if kind != FROM_OUTSIDE and (
            kind != OrderCancelled.detail_type or order.status == "cancelled"
        ):
            yield kind


def _pay(state: str | None, kind: str) -> tuple[str | None, Deed]:
    payment, action, published = pay(state, kind, "charged")
    changes = action is not Action.NOTHING or payment.state != state
    return payment.state, Deed(changes, published)


def _hold(state: str | None, kind: str) -> tuple[str | None, Deed]:
    reservation, published = hold(state, kind, enough=True)
    return reservation.state, Deed(reservation.state != state, published)


@cache
def _follow(order: Order, kind: str) -> tuple[Order, Deed]:
    event = OUTCOMES[kind]
    after = follow(order, event)
    published = announcement(order, after, event)
    return after, Deed(after != order, published.detail_type if published else None)


def _order_stands(order: Order) -> tuple[str | None, ...]:
    return order.status, order.payment, order.inventory


@cache
def _essence(record: Hashable) -> Hashable:
    """A record; of an order's history only what functions go by."""
    if not isinstance(record, Order):
        return record
    steps = tuple(sorted(step.type for step in record.history))
    return replace(record, history=()), record.status_version, cause(record), steps
