"""Reads and writes of many records at once: what was not answered is not taken as an answer."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from orders.aws.dynamodb import (
    CONFLICT,
    Source,
    change_state,
    read_all,
    read_records,
    update,
    write_all,
)
from orders.aws.patience import TRIES
from orders.payments.decisions import Payment
from orders.payments.ledger import Ledger
from support.aws import Refused, line, refuse
from support.lambdas import Context

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient

CHARGED = Payment(order_id="a", state="charged", at="then")
REFUNDED = Payment(order_id="a", state="refunded", at="now")


def leave_out(dynamodb: DynamoDBClient, order_id: str) -> list[int]:
    """Have BatchGetItem always leave a key out; fills in how many keys each call asked for."""
    asked: list[int] = []

    def look(params: dict[str, Any]) -> None:
        asked.append(len(params["RequestItems"]["payments"]["Keys"]))

    def take_out(parsed: dict[str, Any]) -> None:
        items = parsed["Responses"]["payments"]
        items[:] = [item for item in items if item["order_id"]["S"] != order_id]
        left = {"Keys": [{"order_id": {"S": order_id}}]}
        parsed["UnprocessedKeys"] = {"payments": left}

    line(dynamodb).before("BatchGetItem", look)
    line(dynamodb).after("BatchGetItem", take_out)
    return asked


def test_what_is_left_out_for_good_is_unread_and_not_absent(dynamodb: DynamoDBClient) -> None:
    ledger = Ledger(dynamodb, "payments")
    assert ledger.write([(None, CHARGED)], Context()) == {}
    asked = leave_out(dynamodb, "a")
    found, refusals = ledger.find(["a", "b"], Context())
    assert (found, refusals) == ({}, {"a": "UnprocessedKeys from BatchGetItem"})
    assert asked == [2] + [1] * (TRIES - 1)


def test_a_read_is_consistent(dynamodb: DynamoDBClient) -> None:
    wanted: list[Any] = []
    line(dynamodb).before("BatchGetItem", lambda params: wanted.append(params["RequestItems"]))
    read_all(dynamodb, "payments", ["a"], dict, Context())
    keys = [{"order_id": {"S": "a"}}]
    assert wanted == [{"payments": {"Keys": keys, "ConsistentRead": True}}]


@pytest.mark.parametrize(("keys", "calls"), [(100, [100]), (101, [100, 1])])
def test_a_read_asks_for_no_more_keys_than_dynamodb_takes(
    dynamodb: DynamoDBClient, keys: int, calls: list[int]
) -> None:
    asked: list[int] = []

    def look(params: dict[str, Any]) -> None:
        asked.append(len(params["RequestItems"]["payments"]["Keys"]))

    line(dynamodb).before("BatchGetItem", look)
    read_all(dynamodb, "payments", [f"o{number}" for number in range(keys)], dict, Context())
    assert asked == calls


def test_a_read_that_fails_is_the_reason_for_each_key(dynamodb: DynamoDBClient) -> None:
    def deny(_: object) -> None:
        raise Refused("AccessDeniedException")

    line(dynamodb).before("BatchGetItem", deny)
    why = "AccessDeniedException from BatchGetItem"
    assert read_all(dynamodb, "payments", ["a", "b"], dict, Context()) == (
        {},
        {"a": why, "b": why},
    )


def test_a_record_is_written_only_over_the_state_it_was_decided_on(
    dynamodb: DynamoDBClient,
) -> None:
    ledger = Ledger(dynamodb, "payments")
    assert ledger.write([(None, CHARGED)], Context()) == {}
    assert ledger.write([(None, CHARGED)], Context()) == {"a": CONFLICT}
    assert ledger.write([(CHARGED, REFUNDED)], Context()) == {}
    assert ledger.write([(CHARGED, REFUNDED)], Context()) == {"a": CONFLICT}
    assert ledger.find(["a"], Context()) == ({"a": REFUNDED}, {})


def test_a_statement_changes_what_changes_under_its_condition() -> None:
    statement = change_state("payments", CHARGED, REFUNDED)
    assert statement.text == (
        'UPDATE "payments" SET "state"=? SET "at"=? WHERE "order_id"=? AND "state"=?'
    )
    assert statement.parameters == [{"S": "refunded"}, {"S": "now"}, {"S": "a"}, {"S": "charged"}]
    first = change_state("payments", None, CHARGED)
    assert first.text == ("INSERT INTO \"payments\" VALUE {'order_id': ?, 'state': ?, 'at': ?}")
    removing = update(
        "orders", ("order_id", "a"), {"x": {"N": "1"}}, removed=["y", "z"], condition=("v", {})
    )
    assert removing.text == (
        'UPDATE "orders" SET "x"=? REMOVE "y" REMOVE "z" WHERE "order_id"=? AND "v"=?'
    )


@pytest.mark.parametrize(
    ("code", "why"),
    [
        ("DuplicateItem", CONFLICT),
        ("ConditionalCheckFailed", CONFLICT),
        ("AccessDenied", "AccessDenied from BatchExecuteStatement"),
        ("ThrottlingError", "ThrottlingError from BatchExecuteStatement"),
    ],
)
def test_each_statement_has_its_own_answer(dynamodb: DynamoDBClient, code: str, why: str) -> None:
    refuse(dynamodb, "BatchExecuteStatement", "unlucky", {"Error": {"Code": code, "Message": ""}})
    statements = {
        order_id: change_state("payments", None, Payment(order_id=order_id, state="voided", at=""))
        for order_id in ("a", "unlucky", "c")
    }
    assert write_all(dynamodb, statements, Context()) == {"unlucky": why}


def test_a_write_that_fails_is_the_reason_for_each_statement(dynamodb: DynamoDBClient) -> None:
    dynamodb.delete_table(TableName="payments")

    def deny(_: object) -> None:
        raise Refused("AccessDeniedException")

    line(dynamodb).before("BatchExecuteStatement", deny)
    statements = {order_id: change_state("payments", None, CHARGED) for order_id in "ab"}
    why = "AccessDeniedException from BatchExecuteStatement"
    assert write_all(dynamodb, statements, Context()) == {"a": why, "b": why}


@pytest.mark.parametrize(("writes", "calls"), [(25, [25]), (26, [25, 1])])
def test_a_write_has_no_more_statements_than_dynamodb_takes(
    dynamodb: DynamoDBClient, writes: int, calls: list[int]
) -> None:
    sizes: list[int] = []
    line(dynamodb).before(
        "BatchExecuteStatement", lambda params: sizes.append(len(params["Statements"]))
    )
    statements = {
        order_id: change_state("payments", None, Payment(order_id=order_id, state="voided", at=""))
        for order_id in (f"o{number}" for number in range(writes))
    }
    assert write_all(dynamodb, statements, Context()) == {}
    assert sizes == calls


def test_nothing_to_write_takes_no_call(dynamodb: DynamoDBClient) -> None:
    calls = line(dynamodb).calls
    calls.clear()
    assert write_all(dynamodb, {}, Context()) == {}
    assert calls == []


def test_what_was_read_of_another_table_is_no_record_of_this_one() -> None:
    this, other = Source("orders", "order_id"), Source("stock", "sku")
    items: dict[Any, Any] = {(other, "b"): {}, (this, "a"): {"order_id": {"S": "a"}}}
    refused = {(this, "c"): "why", (other, "d"): "why"}
    assert read_records(this, items, refused, len) == ({"a": 1}, {"c": "why"})
