"""The list of orders: what fits, in pages, newest first, each order once."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any, cast

import pytest

from orderctl.pipeline.order_list import NotListedError, OrderList, Wanted, in_words
from orderctl.pipeline.orders import Orders
from orders.aws.order_table import OrderTable
from orders.clock import timestamp
from orders.events import OrderLine, OrderPlaced
from orders.order import Order
from support import aws
from support.lambdas import Context

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient

    from orderctl.pipeline.stack import Stack

NOW = datetime(2026, 11, 29, 0, 10, tzinfo=UTC)
STATUSES = ("placed", "confirmed", "cancelled")
ALL = Wanted(since=NOW - timedelta(days=2), until=NOW)
COUNT = 40


@pytest.fixture
def dynamodb() -> DynamoDBClient:
    return aws.boto3_dynamodb()


def order_list(dynamodb: DynamoDBClient, index: str | None = "true") -> OrderList:
    outputs = {"OrdersTableName": "orders"}
    parameters = {} if index is None else {"OrdersIndex": index}
    stack: Any = SimpleNamespace(outputs=outputs, parameters=lambda: parameters, name="s")
    return OrderList(dynamodb, Orders(dynamodb, outputs), cast("Stack", stack))


@pytest.fixture
def orders(dynamodb: DynamoDBClient) -> list[Order]:
    """Orders of two days, two of them always at the same time, newest first."""
    made = [_order(number) for number in range(COUNT)]
    table = OrderTable(dynamodb, "orders")
    for start in range(0, COUNT, 25):
        assert table.write(made[start : start + 25], Context()) == {}
    return sorted(made, key=lambda order: (order.placed_at, order.order_id), reverse=True)


def _order(number: int) -> Order:
    status: Any = STATUSES[number % 3]
    return Order(
        order_id=f"order-{number}",
        placed_at=timestamp(NOW - timedelta(minutes=number // 2)),
        status=status,
        reason="out of stock: mug" if status == "cancelled" else None,
        ordered=OrderPlaced(
            order_id=f"order-{number}",
            amount=Decimal("12.5"),
            customer_id=f"Customer-{number}",
            items=(OrderLine("tea" if number % 2 else "mug", 1),),
        ),
    )


def pages(listed: OrderList, wanted: Wanted, limit: int) -> list[list[str]]:
    found, after = [], None
    while True:
        page = listed.page(wanted, limit, after)
        found.append([order["order_id"] for order in page.orders])
        if not (after := page.next):
            return found


@pytest.mark.parametrize("limit", [7, COUNT])
def test_every_order_comes_once_newest_first(
    dynamodb: DynamoDBClient, orders: list[Order], limit: int
) -> None:
    found = pages(order_list(dynamodb), ALL, limit)
    assert [len(page) <= limit for page in found] == [True] * -(-COUNT // limit)
    assert [order_id for page in found for order_id in page] == [o.order_id for o in orders]


@pytest.mark.parametrize(
    ("wanted", "fits"),
    [
        (replace(ALL, statuses=("placed",)), lambda o: o.status == "placed"),
        (replace(ALL, statuses=("confirmed",)), lambda o: o.status == "confirmed"),
        (replace(ALL, sku="tea"), lambda o: o.ordered.items[0].sku == "tea"),
        (replace(ALL, reason="OUT OF"), lambda o: o.status == "cancelled"),
        (replace(ALL, text="customer-7"), lambda o: o.order_id == "order-7"),
        (replace(ALL, text="12.50 usd"), lambda _: True),
        (replace(ALL, text="Decimal"), lambda _: False),
        (replace(ALL, text="tea"), lambda o: o.ordered.items[0].sku == "tea"),
        (replace(ALL, unfinished=True), lambda o: not o.is_finished),
        (replace(ALL, since=NOW), lambda o: o.placed_at >= timestamp(NOW)),
        (
            replace(ALL, until=NOW - timedelta(minutes=10)),
            lambda o: o.placed_at <= timestamp(NOW - timedelta(minutes=10)),
        ),
    ],
    ids=[
        "placed",
        "confirmed",
        "sku",
        "reason",
        "customer",
        "amount",
        "not a type of Python",
        "text",
        "unfinished",
        "since",
        "until",
    ],
)
def test_what_does_not_fit_is_left_out(
    dynamodb: DynamoDBClient, orders: list[Order], wanted: Wanted, fits: Callable[[Any], bool]
) -> None:
    (found,) = pages(order_list(dynamodb), wanted, COUNT)
    assert found == [order.order_id for order in orders if fits(order)]


@pytest.mark.parametrize("look_at", [1, 7, COUNT])
def test_it_looks_at_so_many_and_goes_on_from_there(
    dynamodb: DynamoDBClient, orders: list[Order], look_at: int
) -> None:
    listed, wanted = order_list(dynamodb), replace(ALL, text="customer-33")
    found: list[str] = []
    after, looked_at = None, 0
    while True:
        page = listed.page(wanted, 5, after, look_at)
        assert page.looked_at <= look_at
        looked_at += page.looked_at
        found += [order["order_id"] for order in page.orders]
        if not (after := page.next):
            break
    assert found == ["order-33"]
    assert looked_at == COUNT


@pytest.mark.parametrize("index", ["false", None])
def test_a_stack_without_the_index_says_so(dynamodb: DynamoDBClient, index: str | None) -> None:
    listed = order_list(dynamodb, index)
    with pytest.raises(NotListedError, match="OrdersIndex=true"):
        listed.page(ALL, 10)
    assert listed.page(replace(ALL, statuses=("placed",)), 10).orders == ()
    assert listed.page(replace(ALL, unfinished=True), 10).orders == ()


def test_an_order_that_ended_without_the_index_is_found_by_a_scan_alone(
    dynamodb: DynamoDBClient,
) -> None:
    table = OrderTable(dynamodb, "orders", lists_ended=False)
    assert table.write([_order(1)], Context()) == {}
    assert order_list(dynamodb).page(ALL, 10).orders == ()
    found = order_list(dynamodb, "false").page(replace(ALL, scan=True), 10).orders
    assert [order["order_id"] for order in found] == ["order-1"]


def test_a_scan_lists_what_the_indexes_do_and_in_the_same_order(
    dynamodb: DynamoDBClient, orders: list[Order]
) -> None:
    listed = order_list(dynamodb)
    span = Wanted(since=NOW - timedelta(minutes=15), until=NOW - timedelta(minutes=3))
    for wanted in (span, replace(span, statuses=("cancelled",)), replace(span, sku="mug")):
        scanned = replace(wanted, scan=True)
        assert list(listed.every(scanned)) == list(listed.every(wanted))
        first, same = listed.page(scanned, 3), listed.page(wanted, 3)
        assert (first.orders, first.next) == (same.orders, same.next)
        rest, same = listed.page(scanned, 3, first.next), listed.page(wanted, 3, first.next)
        assert (rest.orders, rest.next) == (same.orders, same.next)


@pytest.mark.parametrize("after", ["x", "2026-11-29T00:00:00Z", "yesterday/order-1"])
def test_what_is_no_end_of_a_page_is_refused(dynamodb: DynamoDBClient, after: str) -> None:
    with pytest.raises(ValueError, match="not the end of a page"):
        order_list(dynamodb).page(ALL, 10, after)


@pytest.mark.parametrize(
    ("order", "words"),
    [
        ({"status": "confirmed"}, "confirmed"),
        ({"status": "cancelled", "reason": "out of stock: mug 0 of 2"}, "cancelled: out of stock"),
        ({"status": "cancelled", "reason": "cancel requested"}, "cancelled: cancel requested"),
        ({}, "unreadable"),
    ],
)
def test_ends_are_counted_without_what_differs(order: dict[str, Any], words: str) -> None:
    assert in_words(order) == words
