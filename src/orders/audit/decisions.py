"""What must hold of an order that has ended, and of the stock: plain functions over plain values.

The values hold only what is audited, so that a whole table of them fits into memory.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from decimal import Decimal
from enum import StrEnum
from typing import Final, Literal

import msgspec

from orders import order
from orders.card_books import Booked
from orders.events import OrderLine, is_time, money
from orders.stock import shelf_number, sku_of

STOCK_PASSES: Final = 4
"""How often the stock is added up at most."""
_ON_ITS_WAY: Final = timedelta(hours=1)


class Order(order.Order, frozen=True, kw_only=True):
    """How an order stands, what was ordered, and where the index has it."""

    amount: Decimal | None = None
    """None, as are the following, for an order that another publisher put on the bus."""
    currency: str | None = None
    items: tuple[OrderLine, ...] = ()
    unfinished: str | None = None
    """The key under which the index of unfinished orders has it; None when it has not."""


class Payment(msgspec.Struct, frozen=True, kw_only=True):
    """Where an order's payment stands."""

    order_id: str
    state: Literal["charged", "declined", "refunded", "voided"]
    at: str
    amount: Decimal | None = None
    currency: str | None = None
    charge_id: str | None = None


class Reservation(msgspec.Struct, frozen=True, kw_only=True):
    """What an order holds of the stock."""

    order_id: str
    state: Literal["reserved", "rejected", "released", "voided"]
    at: str
    lines: tuple[OrderLine, ...] = ()
    taken: dict[str, int] | None = None
    """How many were taken from each shelf; None if all were taken from their SKUs' first ones."""


class StockLevel(msgspec.Struct, frozen=True, kw_only=True):
    """What there is of a SKU, or on one of its shelves."""

    sku: str
    """The SKU, or the shelf's key."""
    available: Decimal
    put_in: Decimal | None = None
    """What was ever put in; None for a SKU from before that was noted."""
    shelves: int = 1
    """On how many it stands, as its first shelf says."""
    beyond: Decimal = Decimal(0)
    """What stands on other shelves than those, where no order finds it."""


@dataclass(frozen=True, slots=True)
class Unreadable:
    """A record that cannot be read."""

    table: str
    why: str
    """Which attribute, and what is wrong with it."""


@dataclass(frozen=True, slots=True)
class Books:
    """What all books say of one order; None where they say nothing."""

    order_id: str
    order: Order | Unreadable | None = None
    payment: Payment | Unreadable | None = None
    reservation: Reservation | Unreadable | None = None
    booked: Booked | None = None
    """The card processor's books; None when they were not asked."""


class Kind(StrEnum):
    """What is wrong."""

    UNREADABLE = "unreadable"
    NOT_CHARGED = "not charged"
    NOT_RESERVED = "not reserved"
    NOT_REFUNDED = "not refunded"
    NOT_RELEASED = "not released"
    CHARGED_TWICE = "charged twice"
    CHARGE_DIFFERS = "charge differs"
    PROCESSOR_DIFFERS = "processor differs"
    RESERVATION_DIFFERS = "reservation differs"
    CHARGE_WITHOUT_ORDER = "charge without order"
    RESERVATION_WITHOUT_ORDER = "reservation without order"
    NOT_INDEXED = "not indexed"
    WRONGLY_INDEXED = "wrongly indexed"
    STOCK_OFF = "stock off"
    OVERSOLD = "oversold"
    LOST_SHELF = "lost shelf"


_PASSING: Final = frozenset(
    {
        Kind.NOT_REFUNDED,
        Kind.NOT_RELEASED,
        Kind.CHARGE_WITHOUT_ORDER,
        Kind.RESERVATION_WITHOUT_ORDER,
        Kind.PROCESSOR_DIFFERS,
    }
)


@dataclass(frozen=True, slots=True)
class Finding:
    """Something that does not hold."""

    kind: Kind
    subject: str
    """The order id, or the SKU."""
    says: str
    is_missing: bool = False
    """Whether a record is missing that the order's events would make."""
    since: str = ""
    """When the order first moved, as its records say; empty where they do not."""
    until: str = ""
    """When it last moved."""
    off_by: Decimal = Decimal(0)
    """For STOCK_OFF: how much more is available than there should be."""
    shelves: int = 0
    """For LOST_SHELF: how many the SKU has."""

    @property
    def may_pass(self) -> bool:
        """Whether it is also so for a moment, while a message is on its way.

        A confirmed order can have lost its charge by a cancel that its own record will hear of.
        """
        cancelled = self.kind in (Kind.NOT_CHARGED, Kind.NOT_RESERVED) and not self.is_missing
        return self.kind in _PASSING or cancelled


@dataclass(frozen=True, slots=True)
class Queues:
    """What messages are on their way."""

    is_waiting: bool = False
    """Whether messages are in the consumers' queues."""
    is_paused: bool = False
    """Whether messages wait that no consumer takes."""
    parked: Collection[str] | None = ()
    """The orders with a message in a dead-letter queue; None when nobody knows which they are."""


def is_on_its_way(finding: Finding, queues: Queues, now: datetime) -> bool:
    """Whether a message that waits or is parked may put right what was found."""
    if not finding.may_pass:
        return False
    if queues.parked is None or finding.subject in queues.parked:
        return True
    if not queues.is_waiting:
        return False
    moved_at = moment(finding.until)
    return queues.is_paused or (moved_at is not None and now - moved_at < _ON_ITS_WAY)


def moment(at: str) -> datetime | None:
    """A time of the tables; None if nobody can read it."""
    return datetime.fromisoformat(at) if is_time(at) else None


def is_in_flight(books: Books) -> bool:
    """Whether something is still to happen to an order, as its own record says."""
    return isinstance(books.order, Order) and not books.order.is_finished


def audit_order(books: Books) -> list[Finding]:
    """Everything that does not hold of an order.

    Of an order that is in flight only what must hold at every moment is judged.
    """
    times = list(_times(books))
    since, until = min(times, default=""), max(times, default="")
    records = books.order, books.payment, books.reservation
    unreadable = [record for record in records if isinstance(record, Unreadable)]
    found = map(_unreadable, unreadable) if unreadable else _found(books)
    missing = {Kind.NOT_CHARGED: books.payment, Kind.NOT_RESERVED: books.reservation}
    return [
        Finding(kind, books.order_id, says, missing.get(kind, books) is None, since, until)
        for kind, says in found
    ]


def _times(books: Books) -> Iterator[str]:
    """When an order moved, as its readable records say."""
    if isinstance(books.order, Order):
        yield books.order.placed_at
        yield from (step.at for step in books.order.history)
    for record in (books.payment, books.reservation):
        if isinstance(record, Payment | Reservation):
            yield record.at


def _unreadable(record: Unreadable) -> tuple[Kind, str]:
    return Kind.UNREADABLE, f"its record in {record.table} cannot be read: {record.why}"


def add_up(
    shelves: Mapping[str, StockLevel | Unreadable],
) -> dict[str, StockLevel | Unreadable]:
    """What there is of each SKU on all its shelves together.

    Args:
        shelves: the items of the table, by key.
    """
    by_sku: dict[str, StockLevel | Unreadable] = {}
    for key in sorted(shelves, key=lambda key: key != sku_of(key)):  # the first shelves first
        sku, level = sku_of(key), shelves[key]
        there = by_sku.get(sku, StockLevel(sku=sku, available=Decimal(0), shelves=0))
        if isinstance(level, Unreadable) or isinstance(there, Unreadable):
            by_sku[sku] = level if isinstance(level, Unreadable) else there
        elif key == sku:
            by_sku[sku] = level
        else:
            is_found = 0 < shelf_number(key) < there.shelves
            by_sku[sku] = msgspec.structs.replace(
                there,
                available=there.available + level.available,
                beyond=there.beyond + (0 if is_found else level.available),
            )
    return by_sku


def audit_stock(stock: StockLevel | Unreadable, sku: str, reserved: int) -> Finding | None:
    """Whether what was put in of a SKU is what is available and reserved together.

    Args:
        stock: what there is of it.
        sku: which.
        reserved: what all orders hold of it.
    """
    if isinstance(stock, Unreadable):
        kind, says = _unreadable(stock)
        return Finding(kind, sku, says)
    off_by = Decimal(0) if stock.put_in is None else stock.available + reserved - stock.put_in
    if not off_by:
        if stock.available < 0:
            says = f"{stock.available} available: orders hold more than was put in"
            return Finding(Kind.OVERSOLD, sku, says)
        says = f"{stock.beyond} on shelves beyond its {stock.shelves}, where no order finds them"
        return Finding(Kind.LOST_SHELF, sku, says, shelves=stock.shelves) if stock.beyond else None
    says = f"{stock.available} available and {reserved} reserved are not the {stock.put_in} put in"
    return Finding(Kind.STOCK_OFF, sku, says, off_by=off_by)


def reserved(reservations: Iterable[Reservation | Unreadable | None]) -> Counter[str]:
    """How much of each SKU orders hold."""
    held: Counter[str] = Counter()
    for each in reservations:
        if isinstance(each, Reservation) and each.state == "reserved":
            for line in each.lines:
                held[line.sku] += line.quantity
    return held


@dataclass(frozen=True, slots=True)
class StockPass:
    """The stock before and after all reservations were added up."""

    before: Mapping[str, StockLevel | Unreadable]
    after: Mapping[str, StockLevel | Unreadable]
    reserved: Mapping[str, int]

    def judge(self, sku: str) -> tuple[bool, Finding | None]:
        """Whether the stock stood still, and what does not hold."""
        stock = self.after.get(sku)
        finding = audit_stock(stock, sku, self.reserved.get(sku, 0)) if stock else None
        return self.before.get(sku) == stock, finding


@dataclass(slots=True)
class StockAudit:
    """Adds up the stock of every SKU, and again what does not add up: up to STOCK_PASSES times."""

    findings: list[Finding] = field(default_factory=list)
    """What is off twice in the same way, while the stock stood still."""
    left: dict[str, Finding | None] = field(default_factory=dict)
    """The SKUs that are to be added up again, each with what did not hold while it stood still."""
    passes: int = 0

    def add(self, stock: StockPass) -> None:
        """Judge the SKUs that are left: all of them the first time."""
        last = self.left if self.passes else dict.fromkeys(stock.after)
        self.passes, self.left = self.passes + 1, {}
        for sku, before in last.items():
            still, finding = stock.judge(sku)
            if not still or (finding and finding != before):
                self.left[sku] = finding if still else None
            elif finding:
                self.findings.append(finding)

    @property
    def is_done(self) -> bool:
        """Whether nothing is left to be added up, or what is left is never still."""
        return self.passes > 0 and (not self.left or self.passes == STOCK_PASSES)

    def distrust(self) -> None:
        """Judge no sums: of some reservation nobody knows what it holds."""
        self.left |= {finding.subject: None for finding in self.findings if finding.off_by}
        self.findings = [finding for finding in self.findings if not finding.off_by]


def _found(books: Books) -> Iterator[tuple[Kind, str]]:
    order_, payment, reservation = books.order, books.payment, books.reservation
    # The caller has looked: none of them is unreadable.
    assert not isinstance(order_, Unreadable)  # noqa: S101
    assert not isinstance(payment, Unreadable)  # noqa: S101
    assert not isinstance(reservation, Unreadable)  # noqa: S101
    if order_ is None:
        yield from _without_order(payment, reservation)
    else:
        yield from _index(order_)
        if order_.status == "confirmed":
            yield from _confirmed(payment, reservation)
        elif order_.is_finished:
            yield from _cancelled(payment, reservation)
        yield from _differences(order_, payment, reservation)
    yield from _shelves(reservation)
    yield from _processor(order_, payment, books.booked)


def _without_order(
    payment: Payment | None, reservation: Reservation | None
) -> Iterator[tuple[Kind, str]]:
    """What holds money or stock for an order that is not on record."""
    if payment and payment.state == "charged":
        yield Kind.CHARGE_WITHOUT_ORDER, f"{_money(payment)} charged for an order nobody knows"
    if reservation and reservation.state == "reserved":
        yield Kind.RESERVATION_WITHOUT_ORDER, f"{_held(reservation)} for an order nobody knows"


def _index(order_: Order) -> Iterator[tuple[Kind, str]]:
    if order_.is_finished and order_.unfinished is not None:
        yield Kind.WRONGLY_INDEXED, "it has ended, and is in the index of unfinished orders"
    if not order_.is_finished and order_.unfinished is None:
        yield Kind.NOT_INDEXED, "it has not ended, and is not in the index of unfinished orders"


def _confirmed(
    payment: Payment | None, reservation: Reservation | None
) -> Iterator[tuple[Kind, str]]:
    if not payment or payment.state != "charged":
        yield Kind.NOT_CHARGED, f"it is confirmed, and its payment is {_state(payment)}"
    if not reservation or reservation.state != "reserved":
        yield Kind.NOT_RESERVED, f"it is confirmed, and its reservation is {_state(reservation)}"


def _cancelled(
    payment: Payment | None, reservation: Reservation | None
) -> Iterator[tuple[Kind, str]]:
    if payment and payment.state == "charged":
        yield Kind.NOT_REFUNDED, f"it is cancelled, and {_money(payment)} is charged"
    if reservation and reservation.state == "reserved":
        yield Kind.NOT_RELEASED, f"it is cancelled, and {_held(reservation)}"


def _differences(
    order_: Order, payment: Payment | None, reservation: Reservation | None
) -> Iterator[tuple[Kind, str]]:
    """What is held otherwise than ordered; not for an order that does not say what that was.

    Anything else may have been a different order's, which somebody placed under the same id.
    """
    if order_.amount is None:
        return
    if (
        payment
        and payment.state == "charged"
        and payment.amount is not None
        and ((payment.amount, payment.currency) != (order_.amount, order_.currency))
    ):
        yield (
            Kind.CHARGE_DIFFERS,
            f"{_money(payment)} {payment.state}, "
            f"ordered for {money(order_.amount, order_.currency or '')}",
        )
    if (
        reservation
        and reservation.state == "reserved"
        and _quantities(reservation.lines) != _quantities(order_.items)
    ):
        yield (
            Kind.RESERVATION_DIFFERS,
            f"{_lines(reservation.lines)} {reservation.state}, ordered {_lines(order_.items)}",
        )


def _shelves(reservation: Reservation | None) -> Iterator[tuple[Kind, str]]:
    """Whether what was taken from shelves is what is reserved: that goes back to them."""
    if not reservation or reservation.state != "reserved" or reservation.taken is None:
        return
    taken: Counter[str] = Counter()
    for shelf, quantity in reservation.taken.items():
        taken[sku_of(shelf)] += quantity
    if taken != _quantities(reservation.lines):
        shelves = ", ".join(f"{n} from {shelf}" for shelf, n in reservation.taken.items())
        yield Kind.RESERVATION_DIFFERS, f"{_held(reservation)}, taken was {shelves or 'nothing'}"


def _processor(
    order_: Order | None, payment: Payment | None, booked: Booked | None
) -> Iterator[tuple[Kind, str]]:
    """Whether the card processor's books say the same."""
    if booked is None:
        return
    charges = {*booked.charge_ids, *([payment.charge_id] if payment and payment.charge_id else [])}
    if max(len(charges), len(booked.charge_ids)) > 1:
        ids = ", ".join(sorted(charges))
        yield Kind.CHARGED_TWICE, f"there is more than one charge for it: {ids}"
    if booked.net is None or order_ is None or not order_.is_finished:
        return
    expected = payment.amount if payment and payment.state == "charged" else Decimal(0)
    if expected is not None and booked.net != expected:
        yield (
            Kind.PROCESSOR_DIFFERS,
            f"the card processor has {booked.net} charged for it, the payment says {expected}",
        )


def _state(record: Payment | Reservation | None) -> str:
    return record.state if record else "missing"


def _money(payment: Payment) -> str:
    return "an amount" if payment.amount is None else money(payment.amount, payment.currency or "")


def _held(reservation: Reservation) -> str:
    return f"{_lines(reservation.lines)} reserved"


def _lines(lines: tuple[OrderLine, ...]) -> str:
    return ", ".join(f"{line.quantity} {line.sku}" for line in lines) or "nothing"


def _quantities(lines: tuple[OrderLine, ...]) -> dict[str, int]:
    return {line.sku: line.quantity for line in lines}
