"""The way of a scheduled audit: values in, values out."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest

from orders.audit import legs
from orders.audit.decisions import Kind, StockLevel, Unreadable
from orders.audit.legs import Leg, Run, Stage, Task, Way
from orders.audit.records import pack_stock, unpack_stock


def leg(place: str, end: str | None = None, **values: Any) -> Leg:  # noqa: ANN401
    return Leg(run="r", leg=place, end=end, **values)


@pytest.fixture(autouse=True)
def two_segments(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(legs, "SEGMENTS", 2)


def stock(round_: int, available: int) -> Leg:
    return leg(f"stock-{round_}/0/000000", stock={"mug": f"{available}/5"})


def reservations(round_: int, **values: Any) -> list[Leg]:  # noqa: ANN401
    """In two segments."""
    places = [f"reservations-{round_}/{segment}/000000" for segment in (0, 1)]
    return [leg(places[0], **values), leg(places[1])]


def places(way: Way) -> list[str]:
    return [task.leg for task in way.tasks()]


def test_a_leg_has_its_place() -> None:
    assert Task(Stage.RESERVATIONS, 2, 3, 14, "x").leg == "reservations-2/3/000014"


def test_the_stages_come_in_their_order() -> None:
    way = Way([])
    assert places(way) == ["stock-0/0/000000"]
    way.add(stock(0, 3))
    assert places(way) == ["reservations-0/0/000000", "reservations-0/1/000000"]
    first, second = reservations(0, held={"mug": 2})
    way.add(second)
    assert places(way) == ["reservations-0/0/000000"]
    way.add(first)
    assert places(way) == ["stock-1/0/000000"]
    way.add(stock(1, 3))
    assert places(way) == ["payments-0/0/000000", "payments-0/1/000000"]
    for segment in (0, 1):
        way.add(leg(f"payments-0/{segment}/000000"))
    assert places(way) == ["orders-0/0/000000", "orders-0/1/000000"]
    for segment in (0, 1):
        way.add(leg(f"orders-0/{segment}/000000"))
    assert places(way) == ["settle-0/0/000000"]
    way.add(leg("settle-0/0/000000"))
    assert way.tasks() == []


def test_a_leg_begins_where_the_one_before_it_ended() -> None:
    way = Way([leg("stock-0/0/000000", "k1"), leg("stock-0/0/000001", "k2")])
    assert way.tasks() == [Task(Stage.STOCK, 0, 0, 2, "k2")]
    assert Way([]).tasks() == [Task(Stage.STOCK, 0, 0, 0, None)]


def test_stock_that_is_off_is_added_up_again() -> None:
    way = Way([stock(0, 4), *reservations(0, held={"mug": 2}), stock(1, 4)])
    assert places(way) == ["reservations-1/0/000000", "reservations-1/1/000000"]
    assert way.findings_of_stock().findings == []
    for each in (*reservations(1, held={"mug": 2}), stock(2, 4)):
        way.add(each)
    assert way.tasks()[0].stage is Stage.PAYMENTS
    (finding,) = way.findings_of_stock().findings
    assert (finding.kind, finding.off_by) == (Kind.STOCK_OFF, Decimal(1))


def test_what_is_reserved_in_all_legs_counts() -> None:
    first, second = reservations(0, held={"mug": 1})
    second.held = {"mug": 1, "cap": 1}
    way = Way([stock(0, 3), first, second, stock(1, 3)])
    assert way.stock().is_done
    assert way.stock().findings == []


def test_of_stock_nothing_is_judged_that_a_reservation_may_hold_which_nobody_can_read() -> None:
    first, second = reservations(0, held={"mug": 2})
    first.unreadable = 1
    again = reservations(1, held={"mug": 2})
    way = Way([stock(0, 4), first, second, stock(1, 4), *again, stock(2, 4)])
    assert len(way.stock().findings) == 1
    assert way.findings_of_stock().findings == []
    assert list(way.findings_of_stock().left) == ["mug"]


def test_the_orders_that_do_not_look_right_come_once_and_sorted() -> None:
    way = Way(
        [
            leg("orders-0/0/000000", "x", suspects={"c", "a"}),
            leg("payments-0/1/000000", suspects={"b"}),
            leg("reservations-0/1/000000", suspects={"a", "d"}),
            leg("settle-0/0/000000", suspects={"e"}),
        ]
    )
    assert way.suspects() == ["a", "b", "c", "d"]
    assert [each.leg for each in way.of(Stage.ORDERS)] == ["orders-0/0/000000"]
    assert way.of(Stage.ORDERS, 1) == []


def test_the_stock_of_each_time_is_kept_and_the_first_is_what_there_was() -> None:
    way = Way([stock(0, 3), stock(1, 4)])
    for round_, available in ((0, 3), (1, 4)):
        level = StockLevel(sku="mug", available=Decimal(available), put_in=Decimal(5))
        assert way.levels(round_) == {"mug": level}
    assert way.levels() == way.levels(0)
    assert Run(began_at="now").findings == 0


@pytest.mark.parametrize("what", ["stock", "held", "suspects"])
def test_a_leg_is_full_before_its_item_is_too_large(
    what: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(legs, "_MOST_ENTRIES", 2)

    def of(count: int) -> Leg:
        keys = [str(number) for number in range(count)]
        entries: Any = set(keys) if what == "suspects" else dict.fromkeys(keys, 1)
        return leg("x", **{what: entries})

    assert (of(2).is_full, of(3).is_full) == (False, True)


def test_all_that_a_leg_holds_counts(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(legs, "_MOST_ENTRIES", 2)
    assert leg("x", stock={"a": ""}, held={"a": 1}, suspects={"a"}).is_full


@pytest.mark.parametrize(
    ("level", "text"),
    [
        (StockLevel(sku="mug", available=Decimal(3)), "3/"),
        (StockLevel(sku="mug", available=Decimal(-3), put_in=Decimal(0)), "-3/0"),
        (StockLevel(sku="mug", available=Decimal(3), put_in=Decimal(5), shelves=7), "3/5/7"),
        (StockLevel(sku="mug", available=Decimal(3), shelves=2), "3//2"),
        (Unreadable("stock", "no / number"), "!no / number"),
    ],
)
def test_what_there_is_on_a_shelf_is_a_short_text(
    level: StockLevel | Unreadable, text: str
) -> None:
    assert pack_stock(level) == text
    assert unpack_stock("mug", text) == level
