"""A console that only reads tells of the newest orders what is new, each step once."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace
from typing import Any, cast

import pytest

from orderctl.console.story_reader import ORDERS, StoryReader
from orderctl.pipeline.feed import SeenEvent
from orderctl.pipeline.order_list import NotListedError, Page, Wanted
from orders.clock import timestamp

LONG_AGO = timedelta(minutes=10)


class Orders:
    """The orders on record, listed or not."""

    def __init__(self) -> None:
        self.found: list[dict[str, Any]] = []
        self.lists_ended = True
        self.order_list = self

    def page(self, wanted: Wanted, limit: int, look_at: int) -> Page:
        assert limit == look_at == ORDERS
        if not (self.lists_ended or wanted.unfinished):
            raise NotListedError("not listed")
        return Page(tuple(self.found), None)

    def happens(self, order_id: str, what: str, ago: timedelta = timedelta(0)) -> None:
        known = {order["order_id"]: order for order in self.found}
        if order_id not in known:
            self.found.insert(0, {"order_id": order_id, "history": []})
        order = {order["order_id"]: order for order in self.found}[order_id]
        order["history"].append({"type": what, "at": timestamp(datetime.now(UTC) - ago)})


class Read:
    """A reader, and what it has told."""

    def __init__(self, orders: Orders) -> None:
        self.told: list[SeenEvent] = []
        pipeline = cast(Any, SimpleNamespace(order_list=orders))
        self._reader = StoryReader(lambda: pipeline, 0, self.told.extend)

    def look(self) -> list[tuple[str | None, str]]:
        self.told.clear()
        self._reader._work()
        return [(event.order_id, event.type) for event in self.told]


@pytest.fixture
def orders() -> Orders:
    return Orders()


@pytest.fixture
def read(orders: Orders) -> Read:
    return Read(orders)


def test_each_step_is_told_once_the_oldest_first(orders: Orders, read: Read) -> None:
    orders.happens("a", "order.placed", timedelta(seconds=3))
    assert read.look() == [("a", "order.placed")]
    orders.happens("a", "payment.charged", timedelta(seconds=1))
    orders.happens("b", "order.placed", timedelta(seconds=2))
    assert read.look() == [("b", "order.placed"), ("a", "payment.charged")]
    assert read.look() == []


def test_what_happened_long_before_the_first_look_is_left_out(orders: Orders, read: Read) -> None:
    orders.happens("a", "order.placed", LONG_AGO)
    assert read.look() == []
    orders.happens("a", "order.confirmed")
    assert read.look() == [("a", "order.confirmed")]


def test_what_an_index_lists_late_is_told_late(orders: Orders, read: Read) -> None:
    read.look()
    orders.happens("a", "order.placed", LONG_AGO)
    assert read.look() == [("a", "order.placed")]


def test_a_stack_that_lists_no_ended_orders_shows_the_others(orders: Orders, read: Read) -> None:
    orders.lists_ended = False
    orders.happens("a", "order.placed")
    assert read.look() == [("a", "order.placed")]


@pytest.mark.parametrize("history", [None, "x", [None, {"at": 1}], [{}]])
def test_a_damaged_history_does_no_harm(orders: Orders, read: Read, history: object) -> None:
    orders.happens("a", "order.placed")
    read.look()
    orders.found.append({"order_id": "damaged", "history": history})
    told: Sequence[tuple[str | None, str]] = read.look()
    assert set(told) <= {("damaged", "unreadable")}
