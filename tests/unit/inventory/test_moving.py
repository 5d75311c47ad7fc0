"""What becomes of orders when their transaction is cancelled: by what each of them met."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import pytest

from orders.aws.patience import HELD
from orders.events import OrderLine
from orders.inventory.decisions import Reservation
from orders.inventory.moving import write
from orders.inventory.reservations import Cancelled, Stock
from orders.inventory.shelves import Change, Move
from support.lambdas import Context

AWS = "from TransactWriteItems"
CONDITION = "ConditionalCheckFailed"


def wants(order_id: str, **lines: int) -> Change:
    of_it = tuple(OrderLine(sku, quantity) for sku, quantity in lines.items())
    return None, Reservation(order_id=order_id, state="reserved", at="", lines=of_it)


@dataclass
class Tables:
    """Tables whose every transaction is cancelled, and how much there is when somebody looks."""

    met: dict[str, str] = field(default_factory=dict)
    """By order id or shelf, the code; others met nothing."""
    mugs: int = 9
    looks: list[list[str]] = field(default_factory=list)

    def transact(self, moves: Sequence[Move]) -> Cancelled:
        shelves = {shelf for move in moves for shelf in move.shelves}
        return Cancelled(
            [self.met.get(move.order_id, "None") for move in moves],
            {shelf: self.met.get(shelf, "None") for shelf in shelves},
        )

    def look(self, skus: list[str], _context: Context) -> Stock:
        self.looks.append(skus)
        return Stock({sku: {sku: self.mugs} for sku in skus})

    def write(self, _changes: Sequence[Change], _context: Context) -> dict[str, str]:
        return {}

    def refusals(self, *changes: Change, milliseconds: int = 10_000) -> dict[str, str]:
        tables: Any = self
        stock = Stock({"mug": {"mug": 9}, "tea": {"tea": 9}})
        return write(tables, changes, stock, Context(milliseconds))[1]


@pytest.mark.parametrize(
    ("met", "why"),
    [
        ({"mug": "ThrottlingError"}, f"ThrottlingError {AWS}"),
        ({"a": "ThrottlingError", "mug": "InternalServerError"}, f"ThrottlingError {AWS}"),
        ({"a": "AccessDenied", "mug": "ValidationError"}, f"AccessDenied {AWS}"),
        ({"mug": CONDITION}, "others took of the same stock each time"),
    ],
)
def test_an_order_is_refused_for_what_it_and_its_shelves_met(met: dict[str, str], why: str) -> None:
    assert Tables(met).refusals(wants("a", mug=1)) == {"a": why}


@pytest.mark.parametrize(
    "met", [{"a": HELD, "b": "ThrottlingError"}, {"a": "ThrottlingError", "b": HELD}]
)
def test_what_aws_refuses_weighs_more_than_what_others_hold(met: dict[str, str]) -> None:
    why = f"ThrottlingError {AWS}"
    assert Tables(met).refusals(wants("a", mug=1), wants("b", tea=1)) == {"a": why, "b": why}


def test_without_time_all_are_refused_for_that() -> None:
    refusals = Tables().refusals(wants("a", mug=1), milliseconds=1000)
    assert refusals == {"a": "the function is about to time out"}


def test_only_the_stock_of_those_that_fall_short_is_looked_at() -> None:
    tables = Tables({"b": "AccessDenied"})
    assert tables.refusals(wants("a", mug=10), wants("b", tea=1)) == {"b": f"AccessDenied {AWS}"}
    assert tables.looks == [["mug"]]
