"""How orders have ended, as one waits for it."""

from __future__ import annotations

from typing import Any, cast

from orderctl.pipeline.endings import Endings, has_ended

TIMES = [{"at": "2026-11-29T12:00:00.000Z"}, {"at": "2026-11-29T12:00:01.500Z"}]
CONFIRMED = {"status": "confirmed", "placed_at": TIMES[0]["at"], "history": TIMES}
SOLD_OUT = {"status": "cancelled", "reason": "out of stock: mug: 1 wanted, 0 available"}


class Orders:
    """What a table has, and what was asked of it."""

    def __init__(self) -> None:
        self.there: dict[str, dict[str, Any]] = {}
        self.asked: list[list[str]] = []

    def find(self, order_ids: list[str]) -> dict[str, dict[str, Any]]:
        self.asked.append(order_ids)
        return {each: self.there[each] for each in order_ids if each in self.there}


def test_only_what_has_not_ended_is_read_again() -> None:
    orders = Orders()
    endings = Endings(cast("Any", orders), ["a", "b", "c"])
    assert endings.look() == 0
    orders.there = {"a": CONFIRMED, "b": SOLD_OUT | {"payment": "charged"}}
    assert endings.look() == 1
    orders.there["b"] = SOLD_OUT | {"payment": "refunded"}
    assert endings.look() == 1
    assert orders.asked == [["a", "b", "c"], ["a", "b", "c"], ["b", "c"]]
    assert endings.counts() == [("confirmed", 1), ("cancelled: out of stock", 1)]
    assert list(endings.open) == ["c"]
    assert endings.seconds() == [1.5]


def test_an_order_has_ended_when_money_and_stock_are_where_they_belong() -> None:
    assert has_ended(CONFIRMED)
    assert not has_ended({"status": "placed", "payment": "charged"})
    assert not has_ended(SOLD_OUT | {"inventory": "reserved"})
    assert has_ended(SOLD_OUT | {"inventory": "released"})
    assert not has_ended({})
