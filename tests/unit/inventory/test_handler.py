from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import pytest
from botocore.exceptions import ClientError

from orders.inventory.handler import InventoryProcessor
from orders.inventory.reservations import Reservations
from support.lambdas import Context, failed, order_placed, sqs_event

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient

    from orders.aws.sqs import Retry

Logged = Callable[[], list[dict[str, Any]]]


@pytest.fixture
def handler(dynamodb: DynamoDBClient, retry: Retry) -> InventoryProcessor:
    for sku, available in (("apple", "10"), ("pear", "3")):
        dynamodb.put_item(
            TableName="stock", Item={"sku": {"S": sku}, "available": {"N": available}}
        )
    return InventoryProcessor(Reservations(dynamodb, "reservations", "stock"), retry)


def order(order_id: str, **lines: int) -> dict[str, Any]:
    items = [{"sku": sku, "quantity": quantity} for sku, quantity in lines.items()]
    return order_placed(order_id, items=items) if items else order_placed(order_id)


def stock(dynamodb: DynamoDBClient) -> dict[str, int]:
    items = dynamodb.scan(TableName="stock")["Items"]
    return {item["sku"]["S"]: int(item["available"]["N"]) for item in items}


def states(dynamodb: DynamoDBClient) -> dict[str, str]:
    items = dynamodb.scan(TableName="reservations")["Items"]
    return {item["order_id"]["S"]: item["state"]["S"] for item in items}


def reason(dynamodb: DynamoDBClient, order_id: str) -> str:
    key = {"order_id": {"S": order_id}}
    return dynamodb.get_item(TableName="reservations", Key=key)["Item"]["reason"]["S"]


def test_an_order_without_items_is_just_recorded(
    handler: InventoryProcessor, dynamodb: DynamoDBClient
) -> None:
    assert failed(handler(sqs_event(order("a"), order("b")), Context())) == []
    assert states(dynamodb) == {"a": "reserved", "b": "reserved"}


def test_takes_all_lines_from_the_stock(
    handler: InventoryProcessor, dynamodb: DynamoDBClient
) -> None:
    assert failed(handler(sqs_event(order("a", apple=4, pear=3)), Context())) == []
    assert stock(dynamodb) == {"apple": 6, "pear": 0}
    assert states(dynamodb) == {"a": "reserved"}


def test_a_redelivered_order_takes_nothing_more(
    handler: InventoryProcessor, dynamodb: DynamoDBClient
) -> None:
    for attempt in (1, 2):
        event = sqs_event(order("a", apple=4), order("b"), attempt=attempt)
        assert failed(handler(event, Context())) == []
    assert stock(dynamodb)["apple"] == 6


def test_the_same_order_twice_in_a_batch_is_reserved_once(
    handler: InventoryProcessor, dynamodb: DynamoDBClient
) -> None:
    event = sqs_event(order("a", apple=4), order("a", apple=4), order("b"), order("b"))
    assert failed(handler(event, Context())) == []
    assert stock(dynamodb)["apple"] == 6


def test_all_lines_or_none(handler: InventoryProcessor, dynamodb: DynamoDBClient) -> None:
    assert failed(handler(sqs_event(order("a", apple=1, pear=4)), Context())) == []
    assert stock(dynamodb) == {"apple": 10, "pear": 3}
    assert states(dynamodb) == {"a": "rejected"}
    assert reason(dynamodb, "a") == "pear: 4 wanted, 3 available"


def test_an_unknown_sku_is_rejected_by_name(
    handler: InventoryProcessor, dynamodb: DynamoDBClient
) -> None:
    handler(sqs_event(order("a", apple=11, plum=1)), Context())
    assert reason(dynamodb, "a") == "apple: 11 wanted, 10 available; unknown SKU plum"


def test_a_rejected_order_stays_rejected_when_stock_arrives(
    handler: InventoryProcessor, dynamodb: DynamoDBClient
) -> None:
    handler(sqs_event(order("a", pear=4)), Context())
    dynamodb.put_item(TableName="stock", Item={"sku": {"S": "pear"}, "available": {"N": "9"}})
    assert failed(handler(sqs_event(order("a", pear=4), attempt=2), Context())) == []
    assert states(dynamodb) == {"a": "rejected"}
    assert stock(dynamodb)["pear"] == 9


def test_orders_that_want_more_than_there_is_do_not_oversell(
    handler: InventoryProcessor, dynamodb: DynamoDBClient
) -> None:
    orders = [order(f"o{number}", apple=3) for number in range(10)]
    assert failed(handler(sqs_event(*orders), Context())) == []
    assert stock(dynamodb)["apple"] == 1
    assert sorted(states(dynamodb).values()) == ["rejected"] * 7 + ["reserved"] * 3


def test_a_transaction_conflict_fails_that_message_alone(
    handler: InventoryProcessor, dynamodb: DynamoDBClient
) -> None:
    def conflict(params: dict[str, Any], **_: object) -> None:
        if b"unlucky" in params["body"]:
            raise dynamodb.exceptions.TransactionCanceledException(
                {
                    "Error": {"Code": "TransactionCanceledException", "Message": ""},
                    "CancellationReasons": [{"Code": "None"}, {"Code": "TransactionConflict"}],
                },
                "TransactWriteItems",
            )

    dynamodb.meta.events.register("before-call.dynamodb.TransactWriteItems", conflict)
    event = sqs_event(order("unlucky", apple=1), order("a", apple=1))
    assert failed(handler(event, Context())) == ["m0"]
    assert states(dynamodb) == {"a": "reserved"}


def test_a_reply_that_was_lost_leaves_one_reservation(
    handler: InventoryProcessor, dynamodb: DynamoDBClient
) -> None:
    """The transaction is applied and its answer lost: the redelivery meets its own success."""

    def lose(**_: object) -> None:
        dynamodb.meta.events.unregister("after-call.dynamodb.TransactWriteItems", lose)
        raise ClientError({"Error": {"Code": "InternalServerError"}}, "TransactWriteItems")

    dynamodb.meta.events.register("after-call.dynamodb.TransactWriteItems", lose)
    assert failed(handler(sqs_event(order("a", apple=4)), Context())) == ["m0"]
    assert failed(handler(sqs_event(order("a", apple=4), attempt=2), Context())) == []
    assert stock(dynamodb)["apple"] == 6


def test_one_refused_write_fails_that_message_alone(
    handler: InventoryProcessor, dynamodb: DynamoDBClient
) -> None:
    def throttle(parsed: dict[str, Any], **_: object) -> None:
        parsed["Responses"][1] = {"Error": {"Code": "ThrottlingError", "Message": ""}}

    dynamodb.meta.events.register("after-call.dynamodb.BatchExecuteStatement", throttle)
    assert failed(handler(sqs_event(order("a"), order("b"), order("c")), Context())) == ["m1"]


def test_a_refused_call_fails_the_messages_and_says_why(
    handler: InventoryProcessor, dynamodb: DynamoDBClient, logged: Logged
) -> None:
    dynamodb.delete_table(TableName="reservations")
    event = sqs_event(order("a"), order("b", apple=1))
    assert sorted(failed(handler(event, Context()))) == ["m0", "m1"]
    lines = logged()
    told = {line["order_id"]: line["reason"] for line in lines}
    assert told == {
        "a": "ResourceNotFound from DynamoDB",
        "b": "ResourceNotFoundException from TransactWriteItems",
    }


def test_no_transaction_is_begun_when_time_is_up(
    handler: InventoryProcessor, dynamodb: DynamoDBClient
) -> None:
    assert failed(handler(sqs_event(order("a", apple=1)), Context(1000))) == ["m0"]
    assert stock(dynamodb)["apple"] == 10
