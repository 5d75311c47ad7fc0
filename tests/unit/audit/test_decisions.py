"""The rules of the audit: what does not hold of an order and of the stock."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest
from msgspec.structs import replace

from orders.audit.decisions import (
    STOCK_PASSES,
    Books,
    Finding,
    Kind,
    Order,
    Payment,
    Queues,
    Reservation,
    StockAudit,
    StockLevel,
    StockPass,
    Unreadable,
    add_up,
    audit_order,
    audit_stock,
    is_in_flight,
    is_on_its_way,
    reserved,
)
from orders.audit.mending import mend
from orders.audit.records import read_order, read_stock
from orders.audit.tables import TableNames
from orders.card_books import Booked
from orders.events import OrderLine
from orders.order import Step
from orders.payments.provider import Charged, SimulatedCardProcessor

AT = "2026-11-24T10:00:00.000Z"
TABLES = TableNames("orders", "payments", "reservations", "stock")
LINES = (OrderLine(sku="mug", quantity=2),)
ORDER = Order(
    order_id="o",
    placed_at=AT,
    status="confirmed",
    payment="charged",
    inventory="reserved",
    amount=Decimal("9.99"),
    currency="USD",
    items=LINES,
)
PAYMENT = Payment(
    order_id="o",
    state="charged",
    at=AT,
    amount=Decimal("9.99"),
    currency="USD",
    charge_id="ch_o",
)
RESERVATION = Reservation(order_id="o", state="reserved", at=AT, lines=LINES)
CONFIRMED: Mapping[str, Any] = {
    "order": ORDER,
    "payment": PAYMENT,
    "reservation": RESERVATION,
    "booked": Booked(("ch_o",), Decimal("9.99")),
}
CANCELLED: Mapping[str, Any] = {
    "order": replace(ORDER, status="cancelled", payment="refunded", inventory="released"),
    "payment": replace(PAYMENT, state="refunded"),
    "reservation": replace(RESERVATION, state="released"),
    "booked": Booked(("ch_o",), Decimal(0)),
}
NEVER_HELD: Mapping[str, Any] = {
    "order": replace(ORDER, status="cancelled", payment=None, inventory=None),
    "payment": Payment(order_id="o", state="voided", at=AT),
    "reservation": Reservation(order_id="o", state="voided", at=AT),
    "booked": Booked(),
}
PLACED: Mapping[str, Any] = {
    "order": replace(ORDER, status="placed", payment=None, inventory=None, unfinished="1"),
    "payment": None,
    "reservation": None,
    "booked": Booked(),
}
FROM_OUTSIDE: Mapping[str, Any] = {
    **CONFIRMED,
    "order": replace(ORDER, amount=None, currency=None, items=()),
}


def kinds(**records: Any) -> set[Kind]:  # noqa: ANN401
    return {finding.kind for finding in audit_order(Books("o", **records))}


@pytest.mark.parametrize("records", [CONFIRMED, CANCELLED, NEVER_HELD, PLACED, FROM_OUTSIDE, {}])
def test_what_is_right_has_no_findings(records: Mapping[str, Any]) -> None:
    assert kinds(**records) == set()


WRONG: list[tuple[Mapping[str, Any], Mapping[str, Any], Kind, str]] = [
    (
        CONFIRMED,
        {"payment": None, "booked": Booked()},
        Kind.NOT_CHARGED,
        "it is confirmed, and its payment is missing",
    ),
    (
        CONFIRMED,
        {"payment": replace(PAYMENT, state="refunded"), "booked": Booked(("ch_o",))},
        Kind.NOT_CHARGED,
        "it is confirmed, and its payment is refunded",
    ),
    (
        CONFIRMED,
        {"reservation": None},
        Kind.NOT_RESERVED,
        "it is confirmed, and its reservation is missing",
    ),
    (
        CONFIRMED,
        {"reservation": replace(RESERVATION, state="released")},
        Kind.NOT_RESERVED,
        "it is confirmed, and its reservation is released",
    ),
    (
        CONFIRMED,
        {"booked": Booked(("ch_o", "ch_2"), Decimal("9.99"))},
        Kind.CHARGED_TWICE,
        "there is more than one charge for it: ch_2, ch_o",
    ),
    (
        CONFIRMED,
        {"booked": Booked(("ch_o", "ch_o"), Decimal("9.99"))},
        Kind.CHARGED_TWICE,
        "there is more than one charge for it: ch_o",
    ),
    (
        CONFIRMED,
        {"booked": Booked(("ch_2",))},
        Kind.CHARGED_TWICE,
        "there is more than one charge for it: ch_2, ch_o",
    ),
    (
        CONFIRMED,
        {"booked": Booked(("ch_o",), Decimal("19.98"))},
        Kind.PROCESSOR_DIFFERS,
        "the card processor has 19.98 charged for it, the payment says 9.99",
    ),
    (
        CONFIRMED,
        {"booked": Booked((), Decimal(0))},
        Kind.PROCESSOR_DIFFERS,
        "the card processor has 0 charged for it, the payment says 9.99",
    ),
    (
        CONFIRMED,
        {"payment": replace(PAYMENT, amount=Decimal("19.98")), "booked": None},
        Kind.CHARGE_DIFFERS,
        "19.98 USD charged, ordered for 9.99 USD",
    ),
    (
        CONFIRMED,
        {"payment": replace(PAYMENT, currency="EUR")},
        Kind.CHARGE_DIFFERS,
        "9.99 EUR charged, ordered for 9.99 USD",
    ),
    (
        CONFIRMED,
        {"payment": replace(PAYMENT, currency=None)},
        Kind.CHARGE_DIFFERS,
        "9.99  charged, ordered for 9.99 USD",
    ),
    (
        CONFIRMED,
        {"order": replace(ORDER, currency=None)},
        Kind.CHARGE_DIFFERS,
        "9.99 USD charged, ordered for 9.99 ",
    ),
    (
        CONFIRMED,
        {"reservation": replace(RESERVATION, lines=())},
        Kind.RESERVATION_DIFFERS,
        "nothing reserved, ordered 2 mug",
    ),
    (
        CONFIRMED,
        {"reservation": replace(RESERVATION, lines=(*LINES, OrderLine(sku="cap", quantity=1)))},
        Kind.RESERVATION_DIFFERS,
        "2 mug, 1 cap reserved, ordered 2 mug",
    ),
    (
        CONFIRMED,
        {"order": replace(ORDER, items=())},
        Kind.RESERVATION_DIFFERS,
        "2 mug reserved, ordered nothing",
    ),
    (
        CONFIRMED,
        {"reservation": replace(RESERVATION, taken={"mug": 1})},
        Kind.RESERVATION_DIFFERS,
        "2 mug reserved, taken was 1 from mug",
    ),
    (
        CONFIRMED,
        {"reservation": replace(RESERVATION, taken={"mug 1": 2, "mug": 1})},
        Kind.RESERVATION_DIFFERS,
        "2 mug reserved, taken was 2 from mug 1, 1 from mug",
    ),
    (
        CONFIRMED,
        {"reservation": replace(RESERVATION, taken={})},
        Kind.RESERVATION_DIFFERS,
        "2 mug reserved, taken was nothing",
    ),
    (
        CONFIRMED,
        {"order": replace(ORDER, unfinished="1")},
        Kind.WRONGLY_INDEXED,
        "it has ended, and is in the index of unfinished orders",
    ),
    (
        CANCELLED,
        {"payment": PAYMENT, "booked": None},
        Kind.NOT_REFUNDED,
        "it is cancelled, and 9.99 USD is charged",
    ),
    (
        CANCELLED,
        {"payment": replace(PAYMENT, amount=None), "booked": None},
        Kind.NOT_REFUNDED,
        "it is cancelled, and an amount is charged",
    ),
    (
        CANCELLED,
        {"booked": Booked(("ch_o",), Decimal("9.99"))},
        Kind.PROCESSOR_DIFFERS,
        "the card processor has 9.99 charged for it, the payment says 0",
    ),
    (
        CANCELLED,
        {"payment": None, "booked": Booked(("ch_o",), Decimal("9.99"))},
        Kind.PROCESSOR_DIFFERS,
        "the card processor has 9.99 charged for it, the payment says 0",
    ),
    (
        CANCELLED,
        {"reservation": RESERVATION},
        Kind.NOT_RELEASED,
        "it is cancelled, and 2 mug reserved",
    ),
    (
        PLACED,
        {"order": replace(PLACED["order"], unfinished=None)},
        Kind.NOT_INDEXED,
        "it has not ended, and is not in the index of unfinished orders",
    ),
    (
        {},
        {"payment": PAYMENT},
        Kind.CHARGE_WITHOUT_ORDER,
        "9.99 USD charged for an order nobody knows",
    ),
    (
        {},
        {"reservation": RESERVATION},
        Kind.RESERVATION_WITHOUT_ORDER,
        "2 mug reserved for an order nobody knows",
    ),
    (
        CONFIRMED,
        {"payment": Unreadable("payments", "no state")},
        Kind.UNREADABLE,
        "its record in payments cannot be read: no state",
    ),
]


@pytest.mark.parametrize(
    ("records", "change", "kind", "says"),
    WRONG,
    ids=[f"{kind}: {says}" for *_, kind, says in WRONG],
)
def test_what_is_wrong_is_the_only_finding(
    records: Mapping[str, Any], change: Mapping[str, Any], kind: Kind, says: str
) -> None:
    (finding,) = audit_order(Books("o", **{**records, **change}))
    assert (finding.kind, finding.subject, finding.says) == (kind, "o", says)


@pytest.mark.parametrize(
    "records",
    [
        {**CONFIRMED, "payment": replace(PAYMENT, amount=None, currency=None)},
        {**CONFIRMED, "payment": replace(PAYMENT, charge_id=None)},
        {**CONFIRMED, "booked": Booked(("ch_o",))},
        {**CONFIRMED, "reservation": replace(RESERVATION, taken={"mug": 1, "mug 1": 1})},
        {**CANCELLED, "payment": replace(PAYMENT, state="refunded", amount=Decimal(1))},
        {**CANCELLED, "reservation": replace(RESERVATION, state="released", lines=())},
        {**CANCELLED, "reservation": replace(RESERVATION, state="released", taken={})},
        # What is still on its way says nothing yet.
        {**PLACED, "payment": PAYMENT, "booked": Booked(("ch_o",), Decimal(0))},
        {**PLACED, "reservation": RESERVATION},
        # Nobody held anything, whatever there is of it.
        {"payment": replace(PAYMENT, state="voided"), "booked": Booked(("ch_o",), Decimal(0))},
        {"payment": PAYMENT, "reservation": None, "order": PLACED["order"]},
        {"reservation": replace(RESERVATION, state="rejected", taken={})},
    ],
)
def test_what_nothing_contradicts_has_no_findings(records: Mapping[str, Any]) -> None:
    assert kinds(**records) == set()


def test_everything_that_is_wrong_is_found_at_once() -> None:
    order = replace(ORDER, unfinished="1")
    assert kinds(order=order, payment=replace(PAYMENT, state="refunded"), reservation=None) == {
        Kind.WRONGLY_INDEXED,
        Kind.NOT_CHARGED,
        Kind.NOT_RESERVED,
    }
    stray = {"payment": PAYMENT, "reservation": RESERVATION}
    assert kinds(**stray) == {Kind.CHARGE_WITHOUT_ORDER, Kind.RESERVATION_WITHOUT_ORDER}
    held = {**CANCELLED, **stray, "booked": None}
    assert kinds(**held) == {Kind.NOT_REFUNDED, Kind.NOT_RELEASED}


def test_of_records_that_cannot_be_read_each_is_found_and_nothing_else() -> None:
    orders, payments = Unreadable("orders", "broken"), Unreadable("payments", "broken")
    found = audit_order(Books("o", orders, payments, RESERVATION))
    assert [(finding.kind, finding.says, finding.is_missing) for finding in found] == [
        (Kind.UNREADABLE, "its record in orders cannot be read: broken", False),
        (Kind.UNREADABLE, "its record in payments cannot be read: broken", False),
    ]


@pytest.mark.parametrize(
    ("records", "is_missing"),
    [
        ({**CONFIRMED, "payment": None, "booked": None}, True),
        ({**CONFIRMED, "reservation": None}, True),
        ({**CONFIRMED, "payment": replace(PAYMENT, state="refunded"), "booked": None}, False),
        ({**CANCELLED, "reservation": RESERVATION}, False),
        ({**CANCELLED, "payment": PAYMENT, "booked": None, "reservation": None}, False),
    ],
)
def test_a_record_is_missing_that_events_would_make(
    records: Mapping[str, Any], is_missing: bool
) -> None:
    (finding,) = audit_order(Books("o", **records))
    assert finding.is_missing is is_missing


def day(number: int) -> str:
    return f"2026-11-{number}T10:00:00.000Z"


def test_a_finding_says_when_the_order_moved() -> None:
    history = (Step(type="payment.refunded", at=day(23)), Step(type="order.placed", at=day(21)))
    order = replace(ORDER, placed_at=day(22), history=history)
    payment = replace(PAYMENT, state="refunded", at=day(25))
    reservation = replace(RESERVATION, at=day(20))

    def times(**records: Any) -> tuple[str, str]:  # noqa: ANN401
        finding = audit_order(Books("o", **records))[0]
        return finding.since, finding.until

    assert times(order=order, payment=payment, reservation=reservation) == (day(20), day(25))
    assert times(order=order) == (day(21), day(23))
    assert times(order=replace(order, history=())) == (day(22), day(22))
    assert times(payment=replace(PAYMENT, at=day(25))) == (day(25), day(25))
    assert times(reservation=reservation) == (day(20), day(20))
    assert times(order=Unreadable("orders", "")) == ("", "")


@pytest.mark.parametrize(
    ("records", "may_pass"),
    [
        ({**CONFIRMED, "payment": None, "booked": None}, False),
        ({**CONFIRMED, "payment": replace(PAYMENT, state="refunded"), "booked": None}, True),
        ({**CONFIRMED, "reservation": replace(RESERVATION, state="released")}, True),
        ({**CANCELLED, "payment": PAYMENT, "booked": None}, True),
        ({**CONFIRMED, "order": replace(ORDER, unfinished="1")}, False),
        ({"payment": PAYMENT}, True),
    ],
)
def test_what_a_message_on_its_way_would_put_right_may_pass(
    records: Mapping[str, Any], may_pass: bool
) -> None:
    (finding,) = audit_order(Books("o", **records))
    assert finding.may_pass is may_pass


PASSING = {
    Kind.NOT_REFUNDED,
    Kind.NOT_RELEASED,
    Kind.CHARGE_WITHOUT_ORDER,
    Kind.RESERVATION_WITHOUT_ORDER,
    Kind.PROCESSOR_DIFFERS,
}
"""What a message that is on its way puts right, whatever else is so."""


@pytest.mark.parametrize("kind", list(Kind))
def test_which_kinds_may_pass(kind: Kind) -> None:
    lost = {Kind.NOT_CHARGED, Kind.NOT_RESERVED}
    assert Finding(kind, "o", "").may_pass is (kind in PASSING | lost)
    assert Finding(kind, "o", "", is_missing=True).may_pass is (kind in PASSING)


NOTHING, SOMETHING = Queues(), Queues(is_waiting=True)


@pytest.mark.parametrize(
    ("kind", "queues", "hours", "is_late"),
    [
        (Kind.NOT_REFUNDED, NOTHING, 0, False),
        (Kind.NOT_REFUNDED, SOMETHING, 0.5, True),
        (Kind.NOT_REFUNDED, SOMETHING, 1, False),
        (Kind.NOT_REFUNDED, SOMETHING, 2, False),
        (Kind.NOT_REFUNDED, Queues(is_waiting=True, is_paused=True), 2, True),
        (Kind.NOT_REFUNDED, Queues(parked={"o"}), 2, True),
        (Kind.NOT_REFUNDED, Queues(parked={"another"}), 2, False),
        (Kind.NOT_REFUNDED, Queues(parked=None), 2, True),
        (Kind.CHARGED_TWICE, Queues(is_waiting=True, is_paused=True, parked=None), 0, False),
    ],
)
def test_a_message_that_may_put_it_right_is_on_its_way(
    kind: Kind, queues: Queues, hours: float, is_late: bool
) -> None:
    now = datetime(2026, 11, 24, 10, 0, tzinfo=UTC) + timedelta(hours=hours)
    assert is_on_its_way(Finding(kind, "o", "", until=AT), queues, now) is is_late


def test_of_an_order_whose_time_nobody_can_read_nothing_is_on_its_way() -> None:
    finding = Finding(Kind.NOT_REFUNDED, "o", "", until="yesterday")
    now = datetime(2026, 11, 24, tzinfo=UTC)
    assert not is_on_its_way(finding, SOMETHING, now)
    assert is_on_its_way(finding, Queues(is_waiting=True, is_paused=True), now)


def test_what_is_not_on_record_is_not_in_flight() -> None:
    assert not is_in_flight(Books("o"))
    assert not is_in_flight(Books("o", Unreadable("orders", "")))
    assert not is_in_flight(Books("o", ORDER))


def test_a_cancelled_order_that_waits_for_its_refund_is_in_flight() -> None:
    waits = replace(ORDER, status="cancelled", inventory="released", unfinished="1")
    books = Books("o", waits, PAYMENT, replace(RESERVATION, state="released"))
    assert is_in_flight(books)
    assert audit_order(books) == []


@pytest.mark.parametrize(
    ("available", "put_in", "reserved", "kind", "off_by"),
    [
        (3, 5, 2, None, 0),
        (4, 5, 2, Kind.STOCK_OFF, 1),
        (3, 5, 1, Kind.STOCK_OFF, -1),
        (3, None, 9, None, 0),
        (-1, 5, 6, Kind.OVERSOLD, 0),
    ],
)
def test_stock(
    available: int, put_in: int | None, reserved: int, kind: Kind | None, off_by: int
) -> None:
    numbers = {"available": available} | ({} if put_in is None else {"put_in": put_in})
    item = {"sku": {"S": "mug"}, **{name: {"N": str(n)} for name, n in numbers.items()}}
    level = read_stock(item)
    assert isinstance(level, StockLevel)
    finding = audit_stock(level, "mug", reserved)
    assert (finding and finding.kind) == kind
    assert (finding.off_by if finding else 0) == off_by


@pytest.mark.parametrize(
    ("level", "reserved", "kind", "says"),
    [
        ({"available": 4}, 2, Kind.STOCK_OFF, "4 available and 2 reserved are not the 5 put in"),
        ({"available": -1}, 6, Kind.OVERSOLD, "-1 available: orders hold more than was put in"),
        (
            {"available": 3, "shelves": 2, "beyond": Decimal(1)},
            2,
            Kind.LOST_SHELF,
            "1 on shelves beyond its 2, where no order finds them",
        ),
    ],
)
def test_what_is_wrong_with_the_stock_is_said(
    level: Mapping[str, Any], reserved: int, kind: Kind, says: str
) -> None:
    stock = StockLevel(sku="mug", put_in=Decimal(5), **level)
    finding = audit_stock(stock, "mug", reserved)
    assert finding
    assert (finding.kind, finding.subject, finding.says) == (kind, "mug", says)
    assert (finding.since, finding.until) == ("", ""), "no order moved"
    assert finding.shelves == (2 if kind is Kind.LOST_SHELF else 0)


def test_nothing_is_oversold_that_is_all_sold() -> None:
    assert audit_stock(StockLevel(sku="mug", available=Decimal(0)), "mug", 5) is None
    assert (
        audit_stock(StockLevel(sku="mug", available=Decimal(1), beyond=Decimal(0)), "m", 0) is None
    )


def shelf(key: str, available: int, **values: Any) -> StockLevel:  # noqa: ANN401
    return StockLevel(sku=key, available=Decimal(available), **values)


def test_the_shelves_of_a_sku_are_added_up() -> None:
    put_in = Decimal(20)
    shelves: dict[str, StockLevel | Unreadable] = {
        # In an order in which no scan has to have them.
        "mug 1": shelf("mug 1", 2),
        "mug 2": shelf("mug 2", 4),
        "mug": shelf("mug", 1, put_in=put_in, shelves=3),
        "mug 3": shelf("mug 3", 8),
        "mug x": shelf("mug x", 16),
        "cap": shelf("cap", 7),
        "cap 1": shelf("cap 1", 3),
        "hat 1": shelf("hat 1", 5),
    }
    assert add_up(shelves) == {
        "mug": shelf("mug", 31, put_in=put_in, shelves=3, beyond=Decimal(24)),
        "cap": shelf("cap", 10, beyond=Decimal(3)),
        "hat": shelf("hat", 5, shelves=0, beyond=Decimal(5)),
    }


@pytest.mark.parametrize("broken", ["mug", "mug 1", "mug 2"])
def test_a_shelf_that_cannot_be_read_makes_the_whole_sku_unreadable(broken: str) -> None:
    unreadable = Unreadable("stock", "no number")
    shelves: dict[str, StockLevel | Unreadable] = {
        key: shelf(key, 1) for key in ("mug", "mug 1", "mug 2", "cap")
    }
    shelves[broken] = unreadable
    assert add_up(shelves) == {"mug": unreadable, "cap": shelf("cap", 1)}


def test_what_is_reserved_is_added_up_by_sku() -> None:
    more = replace(RESERVATION, lines=(*LINES, OrderLine(sku="cap", quantity=3)))
    others = [replace(more, state=state) for state in ("rejected", "released", "voided")]
    unreadable = Unreadable("reservations", "")
    assert reserved([RESERVATION, *others, None, unreadable, more]) == {"mug": 4, "cap": 3}


def stock_pass(after: int, *, before: int | None = None, held: int = 2) -> StockPass:
    """Of one SKU, of which five were put in."""
    levels = [
        {"mug": shelf("mug", available, put_in=Decimal(5))}
        for available in (after if before is None else before, after)
    ]
    return StockPass(levels[0], levels[1], {"mug": held})


class TestStockAudit:
    """It is sure of a SKU when it has seen the same twice, or all in order once."""

    def audited(self, *passes: StockPass) -> StockAudit:
        audit = StockAudit()
        for each in passes:
            audit.add(each)
        return audit

    def test_what_adds_up_is_done_at_once(self) -> None:
        assert not StockAudit().is_done
        audit = self.audited(stock_pass(3))
        assert (audit.findings, audit.left, audit.passes, audit.is_done) == ([], {}, 1, True)

    def test_what_is_off_twice_in_the_same_way_is_found(self) -> None:
        audit = self.audited(stock_pass(4))
        assert (audit.findings, list(audit.left), audit.is_done) == ([], ["mug"], False)
        audit.add(stock_pass(4))
        assert [finding.off_by for finding in audit.findings] == [1]
        assert (audit.left, audit.is_done) == ({}, True)

    def test_what_is_off_in_another_way_is_looked_at_again(self) -> None:
        audit = self.audited(stock_pass(4), stock_pass(1))
        assert (audit.findings, list(audit.left), audit.is_done) == ([], ["mug"], False)
        audit.add(stock_pass(3))
        assert (audit.findings, audit.left, audit.is_done) == ([], {}, True)

    def test_what_does_not_stand_still_is_left_after_so_many_passes(self) -> None:
        moves = stock_pass(4, before=3)
        audit = self.audited(*[moves] * (STOCK_PASSES - 1))
        assert (audit.left, audit.is_done) == ({"mug": None}, False)
        audit.add(moves)
        assert (audit.findings, audit.left, audit.is_done) == ([], {"mug": None}, True)

    def test_what_moved_and_adds_up_is_looked_at_again_too(self) -> None:
        assert self.audited(stock_pass(3, before=4)).left == {"mug": None}

    def test_what_was_off_before_it_moved_counts_from_anew(self) -> None:
        audit = self.audited(stock_pass(4), stock_pass(4, before=3), stock_pass(4))
        assert (audit.findings, list(audit.left)) == ([], ["mug"])

    def test_only_what_is_left_is_added_up_again(self) -> None:
        both = StockPass(
            {"mug": shelf("mug", 4, put_in=Decimal(5)), "cap": shelf("cap", 1)},
            {"mug": shelf("mug", 4, put_in=Decimal(5)), "cap": shelf("cap", 1)},
            {"mug": 2},
        )
        audit = self.audited(both, both)
        assert [finding.subject for finding in audit.findings] == ["mug"]
        audit.add(both)
        assert len(audit.findings) == 1

    def test_a_sku_that_is_gone_has_nothing_wrong(self) -> None:
        gone = StockPass({}, {}, {"mug": 2})
        assert self.audited(stock_pass(4), gone).is_done
        assert self.audited(stock_pass(4), gone).findings == []

    def test_of_a_sku_that_nobody_holds_nothing_is_reserved(self) -> None:
        levels = {"mug": shelf("mug", 5, put_in=Decimal(5))}
        nobody = StockPass(levels, levels, {})
        assert nobody.judge("mug") == (True, None)

    def test_no_sums_are_judged_when_a_reservation_cannot_be_read(self) -> None:
        audit = StockAudit(
            findings=[
                Finding(Kind.STOCK_OFF, "mug", "", off_by=Decimal(1)),
                Finding(Kind.OVERSOLD, "cap", ""),
            ],
            left={"hat": None},
        )
        audit.distrust()
        assert [finding.subject for finding in audit.findings] == ["cap"]
        assert audit.left == {"hat": None, "mug": None}


def test_stock_that_cannot_be_read() -> None:
    item = {"sku": {"S": "mug"}, "available": {"S": "many"}}
    finding = audit_stock(read_stock(item), "mug", 0)
    assert finding
    assert finding.kind is Kind.UNREADABLE


def test_an_order_that_cannot_be_read_says_which_attribute() -> None:
    unreadable = read_order({"order_id": {"S": "o"}, "placed_at": {"N": "1"}})
    assert isinstance(unreadable, Unreadable)
    assert "placed_at" in unreadable.why


def test_the_simulated_processor_finds_the_charge_it_made() -> None:
    processor = SimulatedCardProcessor(failure_rate=0, decline_rate=0)
    answer = processor.charge("o", Decimal(1), "USD")
    assert isinstance(answer, Charged)
    assert processor.find("o") == Booked((answer.charge_id,))


@pytest.mark.parametrize("kind", list(Kind))
def test_each_finding_has_a_command_that_names_it(kind: Kind) -> None:
    finding = Finding(kind, "it's", "", since=AT, until=AT, off_by=Decimal(-2))
    command = mend(finding, TABLES, datetime(2026, 11, 25, tzinfo=UTC))
    assert command.startswith(("orderctl ", "aws dynamodb update-item "))
    assert "it" in command or command == (
        "orderctl replay --from 2026-11-24T09:55:00.000Z --to 2026-11-24T10:01:00.000Z"
    )


OF_AN_ORDER = '--key \'{"order_id": {"S": "o"}}\''
UPDATE = "aws dynamodb update-item --table-name"


@pytest.mark.parametrize(
    ("finding", "command"),
    [
        (
            Finding(Kind.NOT_INDEXED, "o", ""),
            f"{UPDATE} orders {OF_AN_ORDER} --update-expression 'SET unfinished = :shard' "
            "--condition-expression 'attribute_exists(order_id)' "
            """--expression-attribute-values '{":shard": {"S": "4"}}'""",
        ),
        (
            Finding(Kind.WRONGLY_INDEXED, "o", ""),
            f"{UPDATE} orders {OF_AN_ORDER} --update-expression 'REMOVE unfinished' "
            "--condition-expression 'attribute_exists(order_id)'",
        ),
        (
            Finding(Kind.STOCK_OFF, "mug", "", off_by=Decimal(3)),
            f"""{UPDATE} stock --key '{{"sku": {{"S": "mug"}}}}' """
            "--update-expression 'SET available = available + :by' "
            "--condition-expression 'attribute_exists(sku)' "
            """--expression-attribute-values '{":by": {"N": "-3"}}'""",
        ),
        (Finding(Kind.OVERSOLD, "a mug", ""), "orderctl stock set 'a mug'=0"),
        (Finding(Kind.LOST_SHELF, "mug", "", shelves=3), "orderctl stock shelves mug --count 3"),
        (Finding(Kind.LOST_SHELF, "mug", ""), "orderctl stock shelves mug --count 1"),
        (Finding(Kind.CHARGED_TWICE, "a b", "", since=AT, until=AT), "orderctl trace 'a b'"),
        (Finding(Kind.NOT_REFUNDED, "o", "", since="soon", until=AT), "orderctl trace o"),
        (Finding(Kind.NOT_REFUNDED, "o", "", since=AT), "orderctl trace o"),
        (
            Finding(Kind.NOT_CHARGED, "o", "", is_missing=True, since=AT, until=AT),
            "orderctl replay --from 2026-11-24T09:55:00.000Z --to 2026-11-24T10:01:00.000Z",
        ),
        (
            Finding(Kind.NOT_REFUNDED, "o", "", since=AT, until="2026-11-24T23:59:00.000Z"),
            "orderctl replay --from 2026-11-24T09:55:00.000Z",
        ),
    ],
    ids=[f"command-{number}" for number in range(11)],
)
def test_the_command_that_mends_it(finding: Finding, command: str) -> None:
    """The last one's end is now, and not before."""
    assert mend(finding, TABLES, datetime(2026, 11, 25, tzinfo=UTC)) == command


def test_a_replay_does_not_reach_into_the_future() -> None:
    finding = Finding(Kind.NOT_REFUNDED, "o", "", since=AT, until=AT)
    now = datetime(2026, 11, 24, 10, 0, 30, tzinfo=UTC)
    assert mend(finding, TABLES, now) == "orderctl replay --from 2026-11-24T09:55:00.000Z"


def test_each_kind_has_the_text_that_people_and_programs_read() -> None:
    assert {kind.value for kind in Kind} == {
        "unreadable",
        "not charged",
        "not reserved",
        "not refunded",
        "not released",
        "charged twice",
        "charge differs",
        "processor differs",
        "reservation differs",
        "charge without order",
        "reservation without order",
        "not indexed",
        "wrongly indexed",
        "stock off",
        "oversold",
        "lost shelf",
    }
