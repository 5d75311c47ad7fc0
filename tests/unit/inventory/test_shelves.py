"""Which shelves are taken from: values in, values out."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import pytest

from orders.events import OrderLine
from orders.inventory import moving
from orders.inventory.decisions import Reservation
from orders.inventory.moving import divide
from orders.inventory.reservations import Stock
from orders.inventory.shelves import Change, Move, Plan, arrange, find_shortage
from orders.stock import shelf_key, shelf_number, sku_of


def wants(order_id: str, **lines: int) -> Change:
    """A new order."""
    of_it = tuple(OrderLine(sku, quantity) for sku, quantity in lines.items())
    return None, Reservation(order_id=order_id, state="reserved", at="", lines=of_it)


def returns(order_id: str, taken: dict[str, int] | None = None, **lines: int) -> Change:
    """A cancelled order."""
    _, held = wants(order_id, **lines)
    before = Reservation(order_id=order_id, state="reserved", at="", lines=held.lines, taken=taken)
    return before, Reservation(
        order_id=order_id, state="released", at="", lines=held.lines, taken=taken
    )


def plan(changes: Sequence[Change], stock: Mapping[str, Mapping[str, int]]) -> Plan:
    return arrange(changes, stock, lambda shelves: shelves)


def taken(plan: Plan) -> dict[str, Mapping[str, int]]:
    return {move.order_id: move.taken for move in plan.moves}


def test_a_shelf_has_a_key_that_no_sku_can_have() -> None:
    assert [shelf_key("mug", n) for n in (0, 1, 12)] == ["mug", "mug 1", "mug 12"]
    assert {sku_of(key) for key in ("mug", "mug 1")} == {"mug"}
    keys = ("mug", "mug 1", "mug 12", "mug 0", "mug 01", "mug x", "mug ")
    assert [shelf_number(key) for key in keys] == [0, 1, 12, -1, -1, -1, -1]


def test_all_are_taken_from_one_shelf_if_it_has_enough() -> None:
    orders = [wants("a", mug=2), wants("b", mug=3)]
    made = plan(orders, {"mug": {"mug": 4, "mug 1": 9, "mug 2": 5}})
    assert taken(made) == {"a": {"mug 1": 2}, "b": {"mug 1": 3}}
    assert [move.change[1].taken for move in made.moves] == [{"mug 1": 2}, {"mug 1": 3}]


def test_a_line_is_split_when_no_shelf_has_enough() -> None:
    made = plan([wants("a", mug=6)], {"mug": {"mug": 2, "mug 1": 0, "mug 2": 5}})
    assert taken(made) == {"a": {"mug 2": 5, "mug": 1}}


def test_nothing_is_noted_of_an_order_from_first_shelves() -> None:
    (move,) = plan([wants("a", mug=1, tea=1)], {"mug": {"mug": 2}, "tea": {"tea": 1}}).moves
    assert move.change[1].taken is None


def test_all_lines_or_none() -> None:
    orders = [wants("a", mug=1, tea=9), wants("b", mug=2)]
    made = plan(orders, {"mug": {"mug": 2}, "tea": {"tea": 3}})
    assert (taken(made), made.short) == ({"b": {"mug": 2}}, {"a"})


def test_who_does_not_fit_beside_the_others_waits_and_is_not_turned_away() -> None:
    made = plan([wants("a", mug=2), wants("b", mug=2)], {"mug": {"mug": 3}})
    assert (taken(made), made.short) == ({"a": {"mug": 2}}, set())


def test_who_may_fit_once_something_is_put_back_waits() -> None:
    made = plan([wants("a", mug=2), returns("b", mug=2)], {"mug": {"mug": 1}})
    assert ([move.order_id for move in made.moves], made.short) == (["b"], set())


def test_what_nobody_has_looked_at_is_looked_at() -> None:
    assert plan([wants("a", mug=2)], {}).short == {"a"}


def test_lines_go_back_to_where_they_were_taken_from() -> None:
    change = returns("a", {"mug 2": 5, "mug": 1}, mug=6)
    for stock in ({}, {"mug": {"mug": 0, "mug 1": 0, "mug 2": 0}}):
        (move,) = plan([change], stock).moves
        assert move.put_back == {"mug 2": 5, "mug": 1}
        assert move.shelves == {"mug 2", "mug"}


def test_what_was_taken_from_a_shelf_that_is_gone_goes_back_to_the_first() -> None:
    (move,) = plan([returns("a", {"mug 2": 5, "mug": 1}, mug=6)], {"mug": {"mug": 0}}).moves
    assert move.put_back == {"mug": 6}


def test_an_order_after_one_that_returns_something_is_taken_too() -> None:
    made = plan([returns("a", tea=1), wants("b", mug=1)], {"mug": {"mug": 1}, "tea": {"tea": 0}})
    assert [move.order_id for move in made.moves] == ["a", "b"]


def test_of_two_shelves_the_one_with_enough_for_all_comes_first() -> None:
    orders = [wants("a", mug=1), wants("b", mug=1)]
    made = plan(orders, {"mug": {"mug": 1, "mug 1": 9}})
    assert taken(made) == {"a": {"mug 1": 1}, "b": {"mug 1": 1}}


def test_of_shelves_with_enough_none_is_preferred() -> None:
    """They stay as they were shuffled, whether one has just enough or more."""
    for level in (3, 4, 9):
        made = plan([wants("a", mug=3)], {"mug": {"mug": level, "mug 1": 5}})
        assert taken(made) == {"a": {"mug": 3}}


def test_one_sku_that_nobody_has_looked_at_is_enough_to_look() -> None:
    assert plan([wants("a", mug=1, tea=1)], {"mug": {"mug": 5}}).short == {"a"}


def test_too_little_is_less_than_was_ordered() -> None:
    _, order = wants("a", unseen=1, gone=1, mug=2, tea=2)
    stock = {"gone": {}, "mug": {"mug": 1, "mug 1": 1}, "tea": {"tea": 1, "tea 1": -1}}
    assert find_shortage(order.lines, stock) == {"gone": None, "tea": 1}


def takes(order_id: str, *shelves: str) -> Move:
    return Move(wants(order_id), taken=dict.fromkeys(shelves, 1))


@pytest.mark.parametrize(
    ("moves", "parts"),
    [
        # Those of one shelf together: three orders and their shelf are four actions.
        ([takes("a", "x"), takes("b", "y"), takes("c", "x"), takes("d", "x")], ["acd", "b"]),
        ([takes("a", "x"), takes("b", "x"), takes("c", "x"), takes("d", "x")], ["abc", "d"]),
        # By the first of its shelves.
        ([takes("a", "y"), takes("b", "x", "z"), takes("c", "z")], ["b", "ac"]),
        # One alone may be as large as it is.
        ([takes("a", *"vwxyz")], ["a"]),
    ],
)
def test_what_is_of_one_shelf_is_written_together_as_far_as_it_fits(
    moves: list[Move], parts: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(moving, "_MAX_ACTIONS", 4)
    assert ["".join(move.order_id for move in part) for part in divide(moves)] == parts


def test_what_is_seen_later_counts() -> None:
    stock = Stock(levels={"cap": {"cap": 1}}, unreadable={"mug": "why"})
    stock.add(Stock(levels={"mug": {"mug": 2}}, unreadable={"tea": "why not"}))
    assert stock.levels == {"cap": {"cap": 1}, "mug": {"mug": 2}}
    assert stock.unreadable == {"tea": "why not"}
