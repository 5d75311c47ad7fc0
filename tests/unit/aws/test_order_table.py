"""The table ``orders``: its index of the unfinished, and what each write changes."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from msgspec.structs import replace

from orders.aws.dynamodb import CONFLICT
from orders.aws.order_table import LEAST_UNFINISHED_KEYS, OrderTable, unfinished_shard
from orders.order import Order, Repeats, Step
from support.aws import line
from support.lambdas import Context

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient

AT = "2026-08-18T09:30:00.123Z"
LATER = "2026-08-18T09:30:01.000Z"


@pytest.fixture
def table(dynamodb: DynamoDBClient) -> OrderTable:
    return OrderTable(dynamodb, "orders")


def test_each_unfinished_order_is_under_a_key_that_is_looked_at(
    table: OrderTable, dynamodb: DynamoDBClient
) -> None:
    ids = [f"order-{number}" for number in range(100)]
    assert {unfinished_shard(order_id) for order_id in ids} == set(
        map(str, range(LEAST_UNFINISHED_KEYS))
    )
    for start in range(0, 100, 25):
        some = [Order(order_id=order_id, placed_at=AT) for order_id in ids[start : start + 25]]
        assert table.write(some, Context()) == {}
    calls = line(dynamodb).calls
    calls.clear()
    assert table.count_unfinished(LATER) == 100
    assert calls == ["Query"] * LEAST_UNFINISHED_KEYS
    calls.clear()
    assert sorted(id_ for page in table.unfinished(LATER) for id_ in page) == sorted(ids)
    assert calls == ["Query"] * LEAST_UNFINISHED_KEYS
    assert table.count_unfinished(AT) == 0
    assert list(table.unfinished(AT)) == []


def test_the_keys_of_the_index_may_be_raised_while_orders_are_under_way(
    table: OrderTable, dynamodb: DynamoDBClient
) -> None:
    ids = [f"order-{number}" for number in range(100)]
    few, more = ids[:50], ids[50:]
    wider = OrderTable(dynamodb, "orders", unfinished_keys=64)
    for orders, written in ((table, few), (wider, more)):
        assert orders.write([Order(order_id=i, placed_at=AT) for i in written], Context()) == {}
    assert {unfinished_shard(order_id, 64) for order_id in more} - set(map(str, range(8)))
    assert sorted(id_ for page in wider.unfinished(LATER) for id_ in page) == sorted(ids)
    assert wider.count_unfinished(LATER) == 100
    finished = [Order(order_id=i, placed_at=AT, status="confirmed", version=1) for i in few]
    assert wider.write(finished, Context()) == {}
    assert wider.count_unfinished(LATER) == 50


def test_a_write_changes_how_an_order_stands_and_nothing_else(table: OrderTable) -> None:
    placed = Order(order_id="a", placed_at=AT)
    assert table.write([placed], Context()) == {}
    stands = replace(
        placed,
        placed_at="another time",
        status="cancelled",
        payment="refunded",
        inventory="released",
        reason="changed my mind",
        history=(Step("order.cancelled", LATER, "changed my mind"),),
        version=1,
    )
    assert table.write([stands], Context()) == {}
    assert table.get("a") == replace(stands, placed_at=AT, version=2)
    again = replace(stands, version=2, reason="another reason")
    assert table.write([again], Context()) == {}
    assert table.get("a") == replace(again, placed_at=AT, version=3)


def test_an_order_that_has_ended_is_listed_by_its_end_and_its_day(
    table: OrderTable, dynamodb: DynamoDBClient
) -> None:
    not_listed = OrderTable(dynamodb, "orders", lists_ended=False)
    for writing, order_id in ((table, "a"), (not_listed, "b")):
        order = Order(order_id=order_id, placed_at=AT)
        assert writing.write([order], Context()) == {}
        ended = replace(order, status="confirmed", version=1)
        assert writing.write([ended], Context()) == {}
    a, b = (
        dynamodb.get_item(TableName="orders", Key={"order_id": {"S": order_id}})["Item"]
        for order_id in ("a", "b")
    )
    assert a["ended"] == {"S": f"confirmed/2026-08-18/{unfinished_shard('a')}"}
    assert "ended" not in b
    assert "unfinished" not in a | b


@pytest.mark.parametrize("version", [0, 1])
def test_an_order_is_written_only_over_what_was_read(table: OrderTable, version: int) -> None:
    order = Order(order_id="a", placed_at=AT)
    assert table.write([order], Context()) == {}
    assert table.write([replace(order, version=1)], Context()) == {}
    assert table.write([replace(order, version=version)], Context()) == {"a": CONFLICT}


class TestRepeats:
    """Each is noted once, beside the order."""

    def test_a_repeat_is_noted_by_one_of_two(self, table: OrderTable) -> None:
        table.write([Order(order_id="a", placed_at=AT)], Context())
        for count in range(3):
            before = Repeats(count, AT if count else None)
            assert table.note_repeat("a", before, LATER) is None
            assert table.note_repeat("a", before, LATER) == CONFLICT
        found, refusals = table.find_repeated(["a", "b"], Context())
        assert refusals == {}
        assert found == {"a": (Order(order_id="a", placed_at=AT, version=1), Repeats(3, LATER))}

    def test_no_repeat_of_an_order_that_has_ended(self, table: OrderTable) -> None:
        table.write([Order(order_id="a", placed_at=AT, status="confirmed")], Context())
        assert table.note_repeat("a", Repeats(), LATER) == CONFLICT
        assert table.note_repeat("nobody", Repeats(), LATER) == CONFLICT

    def test_a_table_that_is_gone_is_a_reason(
        self, table: OrderTable, dynamodb: DynamoDBClient
    ) -> None:
        dynamodb.delete_table(TableName="orders")
        why: Any = table.note_repeat("a", Repeats(), LATER)
        assert why == "ResourceNotFoundException from UpdateItem"


def test_an_order_is_read_as_it_is_now(table: OrderTable, dynamodb: DynamoDBClient) -> None:
    asked: list[dict[str, Any]] = []
    line(dynamodb).before("GetItem", asked.append)
    assert table.get("a") is None
    assert asked[0]["ConsistentRead"] is True


def test_a_page_has_as_many_orders_as_are_read_at_once(
    table: OrderTable, dynamodb: DynamoDBClient
) -> None:
    asked: list[dict[str, Any]] = []
    line(dynamodb).before("Query", asked.append)
    assert list(table.unfinished(LATER)) == []
    assert {query["Limit"] for query in asked} == {100}
