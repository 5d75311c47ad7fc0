"""Units are counted as DynamoDB bills them."""

from __future__ import annotations

from typing import Any

import pytest

from bench.units import Units, size

PAYMENT = {"order_id": {"S": "a"}, "state": {"S": "charged"}}


def counted(operation: str, arguments: dict[str, Any], was: Any, now: Any) -> Units:  # noqa: ANN401
    units = Units()
    number = len(units.touched(operation, arguments))
    units.count(operation, arguments, [was] * number, [now] * number)
    return units


def put(table: str = "payments", item: dict[str, Any] = PAYMENT) -> dict[str, Any]:
    return {"TableName": table, "Item": item}


@pytest.mark.parametrize(("characters", "expected"), [(1, 1), (997, 1), (998, 2)])
def test_a_write_unit_is_a_kilobyte(characters: int, expected: int) -> None:
    item = PAYMENT | {"reason": {"S": "x" * characters}}
    assert counted("PutItem", put(item=item), None, item).writes["payments"] == expected


def test_the_larger_of_before_and_after_counts() -> None:
    large = PAYMENT | {"reason": {"S": "x" * 3000}}
    assert counted("PutItem", put(), large, PAYMENT).writes["payments"] == 3


def test_a_transaction_counts_twice() -> None:
    units = counted("TransactWriteItems", {"TransactItems": [{"Put": put()}]}, None, PAYMENT)
    assert units.writes["payments"] == 2


def test_a_write_that_was_refused_counts() -> None:
    assert counted("PutItem", put(), PAYMENT, PAYMENT).writes["payments"] == 1


def test_statements_are_counted_one_by_one() -> None:
    insert = {
        "Statement": "INSERT INTO \"payments\" VALUE {'order_id': ?, 'state': ?}",
        "Parameters": [{"S": "a"}, {"S": "charged"}],
    }
    update = {
        "Statement": 'UPDATE "payments" SET "state"=? SET "at"=? WHERE "order_id"=? AND "state"=?',
        "Parameters": [{"S": "refunded"}, {"S": "now"}, {"S": "b"}, {"S": "charged"}],
    }
    arguments = {"Statements": [insert, update]}
    assert Units().touched("BatchExecuteStatement", arguments) == [
        ("payments", "order_id", "a"),
        ("payments", "order_id", "b"),
    ]
    units = counted("BatchExecuteStatement", arguments, None, PAYMENT)
    assert units.writes["payments"] == 2


def test_an_index_entry_is_a_write_when_it_comes_and_when_it_goes() -> None:
    order = {"order_id": {"S": "a"}, "placed_at": {"S": "now"}}
    indexed = order | {"unfinished": {"S": "3"}}
    came = counted("PutItem", put("orders", indexed), None, indexed)
    stayed = counted("PutItem", put("orders", indexed), indexed, indexed)
    went = counted("PutItem", put("orders", order), indexed, order)
    assert [units.writes["orders (index unfinished)"] for units in (came, stayed, went)] == [
        1,
        0,
        1,
    ]


@pytest.mark.parametrize(("consistent", "expected"), [(True, 1), (False, 0.5)])
def test_an_eventually_consistent_read_costs_half(consistent: bool, expected: float) -> None:
    keys = {"Keys": [{"order_id": {"S": "a"}}], "ConsistentRead": consistent}
    arguments = {"RequestItems": {"payments": keys}}
    assert counted("BatchGetItem", arguments, None, None).reads["payments"] == expected


def test_an_items_size_is_that_of_its_names_and_values() -> None:
    assert size({"name": {"S": "äb"}}) == 4 + 3
    assert size({"list": {"L": [{"M": {"k": {"S": "v"}}}]}}) == 4 + 3 + 1 + (3 + 1 + 1 + 1)
