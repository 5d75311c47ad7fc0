"""The rules of the audit: what does not hold of an order and of the stock."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest
from msgspec.structs import replace

from orders.audit.decisions import (
    Books,
    Finding,
    Kind,
    Order,
    Payment,
    Queues,
    Reservation,
    StockLevel,
    Unreadable,
    audit_order,
    audit_stock,
    is_in_flight,
    is_on_its_way,
)
from orders.audit.mending import mend
from orders.audit.records import read_order, read_stock
from orders.audit.tables import TableNames
from orders.card_books import Booked
from orders.events import OrderLine
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


@pytest.mark.parametrize(
    ("records", "change", "kind"),
    [
        (CONFIRMED, {"payment": None, "booked": Booked()}, Kind.NOT_CHARGED),
        (
            CONFIRMED,
            {"payment": replace(PAYMENT, state="refunded"), "booked": Booked(("ch_o",))},
            Kind.NOT_CHARGED,
        ),
        (CONFIRMED, {"reservation": None}, Kind.NOT_RESERVED),
        (CONFIRMED, {"reservation": replace(RESERVATION, state="released")}, Kind.NOT_RESERVED),
        (CONFIRMED, {"booked": Booked(("ch_o", "ch_2"), Decimal("9.99"))}, Kind.CHARGED_TWICE),
        (CONFIRMED, {"booked": Booked(("ch_o", "ch_o"), Decimal("9.99"))}, Kind.CHARGED_TWICE),
        (CONFIRMED, {"booked": Booked(("ch_2",))}, Kind.CHARGED_TWICE),
        (CONFIRMED, {"booked": Booked(("ch_o",), Decimal("19.98"))}, Kind.PROCESSOR_DIFFERS),
        (CONFIRMED, {"booked": Booked((), Decimal(0))}, Kind.PROCESSOR_DIFFERS),
        (
            CONFIRMED,
            {"payment": replace(PAYMENT, amount=Decimal("19.98")), "booked": None},
            Kind.CHARGE_DIFFERS,
        ),
        (CONFIRMED, {"payment": replace(PAYMENT, currency="EUR")}, Kind.CHARGE_DIFFERS),
        (CONFIRMED, {"reservation": replace(RESERVATION, lines=())}, Kind.RESERVATION_DIFFERS),
        (CONFIRMED, {"order": replace(ORDER, unfinished="1")}, Kind.WRONGLY_INDEXED),
        (CANCELLED, {"payment": PAYMENT, "booked": None}, Kind.NOT_REFUNDED),
        (CANCELLED, {"booked": Booked(("ch_o",), Decimal("9.99"))}, Kind.PROCESSOR_DIFFERS),
        (CANCELLED, {"reservation": RESERVATION}, Kind.NOT_RELEASED),
        (PLACED, {"order": replace(PLACED["order"], unfinished=None)}, Kind.NOT_INDEXED),
        ({}, {"payment": PAYMENT}, Kind.CHARGE_WITHOUT_ORDER),
        ({}, {"reservation": RESERVATION}, Kind.RESERVATION_WITHOUT_ORDER),
        (CONFIRMED, {"payment": Unreadable("payments", "no state")}, Kind.UNREADABLE),
    ],
)
def test_what_is_wrong_is_the_only_finding(
    records: Mapping[str, Any], change: Mapping[str, Any], kind: Kind
) -> None:
    assert kinds(**{**records, **change}) == {kind}


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


NOTHING, SOMETHING = Queues(), Queues(is_waiting=True)


@pytest.mark.parametrize(
    ("kind", "queues", "hours", "is_late"),
    [
        (Kind.NOT_REFUNDED, NOTHING, 0, False),
        (Kind.NOT_REFUNDED, SOMETHING, 0.5, True),
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
