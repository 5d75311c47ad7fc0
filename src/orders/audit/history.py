"""What must hold of the events of an order: plain functions over plain values.

Events of one order may be told again, late and in any order within seconds, as functions publish at
the same time. So times are compared with some slack, and what an event repeats is no fault. A feed
begins somewhere: an order that began before it is judged only by what its events contradict.

One thing events cannot say: a function may die between its record and its event, so a refund or a
release can be told though the charge or the reservation never was. The books have both
(`orders.audit.decisions`).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any, Final, TypeVar

from orders.events import (
    Detail,
    Event,
    InventoryRejected,
    InventoryReleased,
    InventoryReserved,
    OrderCancelled,
    OrderConfirmed,
    OrderLine,
    OrderPlaced,
    PaymentCharged,
    PaymentDeclined,
    PaymentRefunded,
    money,
)

DetailT = TypeVar("DetailT", bound=Detail)

SLACK: Final = timedelta(seconds=15)
"""How much later an event may be told than one that follows from it, or that overtook it: longer
than an invocation lasts, and than clocks differ."""
SETTLED_AFTER: Final = timedelta(hours=1)
"""How long after a cancel money and stock are back, or somebody looks after a parked message."""
ENDED_AFTER: Final = timedelta(hours=25)
"""How long after it was placed an order has ended: its deadline by default, and an hour."""


class Rule(StrEnum):
    """What does not hold."""

    PLACED_DIFFERENTLY = "placed differently"
    ENDED_TWICE = "ended twice"
    CONFIRMED_UNPAID = "confirmed unpaid"
    CONFIRMED_UNRESERVED = "confirmed unreserved"
    CHARGED_TWICE = "charged twice"
    CHARGE_DIFFERS = "charge differs"
    REFUND_DIFFERS = "refund differs"
    RESERVATION_DIFFERS = "reservation differs"
    CONTRADICTION = "contradiction"
    BEFORE_ITS_CAUSE = "before its cause"
    NOT_REFUNDED = "not refunded"
    NOT_RELEASED = "not released"
    NOT_ENDED = "not ended"


@dataclass(frozen=True, slots=True)
class Finding:
    """Something that does not hold."""

    rule: Rule
    order_id: str
    says: str


@dataclass(frozen=True, slots=True)
class History:
    """The events of one order, oldest first."""

    order_id: str
    events: tuple[Event[Any], ...]

    def of(self, kind: type[DetailT]) -> list[tuple[datetime, DetailT]]:
        """The events of a kind, each with its time."""
        return [(_time(e), e.detail) for e in self.events if isinstance(e.detail, kind)]

    def first(self, kind: type[Detail]) -> datetime | None:
        """When a kind was told first."""
        return next((at for at, _ in self.of(kind)), None)

    def last(self, kind: type[Detail]) -> datetime | None:
        """When a kind was told last."""
        return next((at for at, _ in reversed(self.of(kind))), None)

    @property
    def is_whole(self) -> bool:
        """Whether it begins with the order; one that does not has begun before the feed."""
        placed = self.first(OrderPlaced)
        return placed is not None and placed <= _time(self.events[0]) + SLACK


def histories(events: Iterable[Event[Any]]) -> list[History]:
    """The history of each order, in the order of their ids; notices are about none."""
    by_order: dict[str, list[Event[Any]]] = {}
    for event in events:
        if not isinstance(event.detail, Detail):
            continue
        by_order.setdefault(event.detail.order_id, []).append(event)
    return [
        History(order_id, tuple(sorted(by_order[order_id], key=_time)))
        for order_id in sorted(by_order)
    ]


def audit_history(history: History, until: datetime) -> list[Finding]:
    """Everything that does not hold of an order.

    Args:
        history: its events, at least one.
        until: up to when all events are known; what may still come then is not missed.
    """
    found = [*_contradictions(history), *_differences(history)]
    if history.is_whole:
        found += [*_causes(history), *_missing(history, until)]
    return [Finding(rule, history.order_id, says) for rule, says in found]


def _time(event: Event[Any]) -> datetime:
    return datetime.fromisoformat(event.time)


def _contradictions(history: History) -> Iterator[tuple[Rule, str]]:
    """What no order can be told to be, whenever its history begins."""
    placed = _distinct(detail for _, detail in history.of(OrderPlaced))
    if len(placed) > 1:
        yield Rule.PLACED_DIFFERENTLY, f"{len(placed)} different orders were placed under its id"
    confirmed, cancelled = history.first(OrderConfirmed), history.first(OrderCancelled)
    if confirmed and cancelled:
        yield (
            Rule.ENDED_TWICE,
            f"confirmed at {_text(confirmed)}, and cancelled at {_text(cancelled)}",
        )
    for one, other in ((PaymentCharged, PaymentDeclined), (InventoryReserved, InventoryRejected)):
        if history.first(one) and history.first(other):
            yield Rule.CONTRADICTION, f"{one.detail_type} and {other.detail_type} were told of it"
    for undone, done in ((PaymentRefunded, PaymentCharged), (InventoryReleased, InventoryReserved)):
        first, last = history.first(undone), history.last(done)
        if first and last and last > first + SLACK:
            yield (
                Rule.CONTRADICTION,
                f"{done.detail_type} was told at {_text(last)}, and {undone.detail_type} before it",
            )
    charges = {detail.charge_id for _, detail in history.of(PaymentCharged)}
    if len(charges) > 1:
        yield Rule.CHARGED_TWICE, f"there is more than one charge: {', '.join(sorted(charges))}"


def _differences(history: History) -> Iterator[tuple[Rule, str]]:
    """What was taken or given back otherwise than ordered."""
    placed = [detail for _, detail in history.of(OrderPlaced)]
    if not placed:
        return
    sums = {(order.amount, order.currency) for order in placed}
    for payments, rule in (
        (history.of(PaymentCharged), Rule.CHARGE_DIFFERS),
        (history.of(PaymentRefunded), Rule.REFUND_DIFFERS),
    ):
        for paid in _distinct(paid for _, paid in payments):
            if (paid.amount, paid.currency) not in sums:
                has = f"{paid.detail_type} has {money(paid.amount, paid.currency)}"
                yield rule, f"{has}, ordered for {_sums(sums)}"
    ordered = [_quantities(order.items) for order in placed]
    for held in (history.of(InventoryReserved), history.of(InventoryReleased)):
        for lines in _distinct(lines for _, lines in held):
            if _quantities(lines.items) not in ordered:
                has = f"{lines.detail_type} has {_lines(lines.items)}"
                yield Rule.RESERVATION_DIFFERS, f"{has}, ordered {_lines(placed[0].items)}"


def _causes(history: History) -> Iterator[tuple[Rule, str]]:
    """What can only follow from something else."""
    for effect, cause, rule in (
        (OrderConfirmed, PaymentCharged, Rule.CONFIRMED_UNPAID),
        (OrderConfirmed, InventoryReserved, Rule.CONFIRMED_UNRESERVED),
        (PaymentRefunded, OrderCancelled, Rule.BEFORE_ITS_CAUSE),
        (InventoryReleased, OrderCancelled, Rule.BEFORE_ITS_CAUSE),
    ):
        told, due = history.first(effect), history.first(cause)
        if told and (due is None or due > told + SLACK):
            when = f"only at {_text(due)}" if due else "never"
            yield (
                rule,
                f"{effect.detail_type} was told at {_text(told)}, {cause.detail_type} {when}",
            )


def _missing(history: History, until: datetime) -> Iterator[tuple[Rule, str]]:
    """What should have come by now."""
    placed, cancelled = history.first(OrderPlaced), history.first(OrderCancelled)
    if cancelled:
        for done, undone, rule in (
            (PaymentCharged, PaymentRefunded, Rule.NOT_REFUNDED),
            (InventoryReserved, InventoryReleased, Rule.NOT_RELEASED),
        ):
            last = history.last(done)
            if last and not history.first(undone) and until > max(last, cancelled) + SETTLED_AFTER:
                yield (
                    rule,
                    f"cancelled at {_text(cancelled)}, and {undone.detail_type} was never told",
                )
    elif placed and not history.first(OrderConfirmed) and until > placed + ENDED_AFTER:
        yield Rule.NOT_ENDED, f"placed at {_text(placed)}, and neither confirmed nor cancelled"


def _distinct(things: Iterable[Any]) -> list[Any]:
    """Each of them once; not all can be hashed."""
    found: list[Any] = []
    for thing in things:
        if thing not in found:
            found.append(thing)
    return found


def _quantities(lines: Sequence[OrderLine]) -> dict[str, int]:
    return {line.sku: line.quantity for line in lines}


def _lines(lines: Sequence[OrderLine]) -> str:
    return ", ".join(f"{line.quantity} {line.sku}" for line in lines) or "nothing"


def _sums(sums: Iterable[tuple[Any, str]]) -> str:
    return " or ".join(money(amount, currency) for amount, currency in sorted(sums))


def _text(at: datetime) -> str:
    return at.isoformat().replace("+00:00", "Z")
